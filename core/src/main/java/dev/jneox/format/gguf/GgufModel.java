package dev.jneox.format.gguf;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.template.ChatTemplates;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlBlocks;
import dev.jneox.weights.GgmlRows;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.QuantisedMatrix;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Opens a model in a GGUF file, as llama.cpp runs it: architectures {@code gptneox}, {@code gpt2},
 * {@code gptj} and {@code phi2}, with the tokenizer in the file. {@link #open} checks that the file
 * has every tensor of the metadata, with its shape, and no other. {@link GgufExport} writes such
 * files.
 *
 * <p>GELU is the tanh approximation that llama.cpp computes, whatever the model was trained with,
 * unless the file has our key {@code jneox.hidden_act}. F32, F16 and BF16 tensors are read in
 * place; quantised ones are dequantised to fp32 as ggml does.
 *
 * <p>This object owns the mapping: values in place must not be used after {@link #close}.
 */
public final class GgufModel implements StoredModel {
  private final GgufFile file;
  private final ModelSpec spec;
  private final List<StoredTensor> tensors = new ArrayList<>();

  /** Represents a tensor of the file. */
  private record Ggml(TensorExpression expression, GgufFile file) implements StoredTensor {
    private GgmlType ggmlType() {
      return file.entry(expression.name()).type();
    }

    @Override
    public String type() {
      return ggmlType().name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return ggmlType().dtype().map(dtype -> new MappedTensor(dtype, file.data(expression.name())));
    }

    @Override
    public MappedTensor read(Arena arena) {
      return inPlace()
          .orElseGet(
              () -> {
                MemorySegment values = arena.allocate(expression.elements() * Float.BYTES, 64);
                GgmlBlocks.dequantise(ggmlType(), file.data(expression.name()), values);
                return new MappedTensor(Dtype.F32, values);
              });
    }

    @Override
    public Optional<QuantisedMatrix> quantised() {
      GgmlType type = ggmlType();
      return type.isQuantised() && expression.columns() % type.blockValues() == 0
          ? Optional.of(
              new GgmlRows(
                  type, expression.rows(), expression.columns(), file.data(expression.name())))
          : Optional.empty();
    }
  }

  private GgufModel(Path path) {
    this.file = GgufFile.open(path);
    boolean opened = false;
    try {
      spec = GgufArchitecture.of(file).spec(file);
      findTensors();
      opened = true;
    } finally {
      if (!opened) {
        file.close();
      }
    }
  }

  /**
   * Maps the file and checks its tensors against its metadata.
   *
   * @throws InputException when they disagree
   */
  public static GgufModel open(Path path) {
    return new GgufModel(path);
  }

  private void findTensors() {
    Set<String> surplus = new LinkedHashSet<>();
    file.entries().forEach(entry -> surplus.add(entry.name()));
    CanonicalNames.requireTensors(spec, file.file(), surplus.size());
    for (TensorExpression tensor :
        GgufArchitecture.tensors(spec, this::isFused, RowOrder.CONCATENATED)) {
      check(tensor.name(), tensor.shape());
      tensors.add(new Ggml(tensor, file));
      surplus.remove(tensor.name());
    }
    for (String name : surplus) {
      throw InputException.in(
          file.file(),
          "tensor " + quoted(name),
          "none of this name by the metadata",
          "shape " + file.entry(name).shape());
    }
  }

  /**
   * Returns whether query, key and value are one tensor. Where the file has neither form, errors
   * name the fused one.
   */
  private boolean isFused(ParamId id) {
    ParamId query = id.part().isQueryKeyValue() ? id.of(Part.QUERY) : id;
    return id.part().isQueryKeyValue()
        && (file.contains(GgufArchitecture.fusedName(query))
            || !file.contains(GgufArchitecture.tensorName(query)));
  }

  private void check(String name, long[] shape) {
    String expected = "shape " + Arrays.toString(shape) + " by the metadata";
    if (!file.contains(name)) {
      throw InputException.in(file.file(), "tensor " + quoted(name), expected, "no such tensor");
    }
    if (!Arrays.equals(file.entry(name).axes(), shape)) {
      throw InputException.in(
          file.file(), "tensor " + quoted(name), expected, "shape " + file.entry(name).shape());
    }
  }

  @Override
  public Path path() {
    return file.file();
  }

  @Override
  public ModelSpec spec() {
    return spec;
  }

  @Override
  public List<StoredTensor> tensors() {
    return Collections.unmodifiableList(tensors);
  }

  /** Returns the mapped file, with its metadata and its tensors as stored. */
  public GgufFile file() {
    return file;
  }

  @Override
  public Optional<String> tokenizerJson() {
    return GgufTokenizer.json(file.file(), file.metadata());
  }

  @Override
  public Optional<ChatTemplates> chatTemplates() {
    return GgufChatTemplates.read(file.file(), file.metadata());
  }

  @Override
  public void release() {
    file.release();
  }

  @Override
  public void check() {
    file.check();
  }

  /** Unmaps the file. */
  @Override
  public void close() {
    file.close();
  }
}
