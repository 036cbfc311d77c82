package dev.jneox.checkpoint;

import static dev.jneox.checkpoint.JsonObject.quoted;

import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import dev.jneox.model.Position;
import dev.jneox.tensor.Tensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * A model in a GGUF file, as llama.cpp runs it: architectures {@code gptneox}, {@code gpt2}, {@code
 * gptj} and {@code phi2}, with the tokenizer inside. Every tensor the metadata asks for is there
 * with its shape, and no other, once {@link #open} returns. {@link GgufExport} writes such files.
 *
 * <p>GELU is the tanh approximation that llama.cpp computes, whatever the model was trained with,
 * unless the file has our key {@code jneox.hidden_act}. F32, F16 and BF16 tensors are views of the
 * mapped file, but for queries, keys and values, whose rows llama.cpp orders otherwise; quantised
 * ones are read in fp32, as ggml does.
 *
 * <p>This object holds the mapping: let go of every tensor before {@link #close}, a later touch
 * ends the process.
 */
public final class GgufModel implements StoredModel {
  private static final String FUSED = "attn_qkv";
  private static final List<String> SPLIT = List.of("attn_q", "attn_k", "attn_v");

  private final GgufFile file;
  private final ModelConfig config;

  /** The tensors of the file that make each canonical one: one, or query, key and value. */
  private final Map<String, List<String>> places = new LinkedHashMap<>();

  private GgufModel(Path path) {
    this.file = GgufFile.open(path);
    boolean opened = false;
    try {
      config = GgufArchitecture.of(file).config(file);
      findTensors();
      opened = true;
    } finally {
      if (!opened) {
        file.close();
      }
    }
  }

  /** Maps the file and checks its tensors against its metadata. */
  public static GgufModel open(Path path) {
    return new GgufModel(path);
  }

  private void findTensors() {
    Set<String> surplus = new LinkedHashSet<>();
    file.entries().forEach(entry -> surplus.add(entry.name()));
    for (TensorSpec spec : config.tensors()) {
      String name = GgufArchitecture.tensorName(spec.name());
      boolean split = name.contains(FUSED) && !file.contains(name);
      if (split) {
        long[] third = spec.shape().clone();
        third[0] /= 3;
        List<String> parts = SPLIT.stream().map(part -> name.replace(FUSED, part)).toList();
        parts.forEach(part -> check(part, third));
        places.put(spec.name(), parts);
      } else {
        check(name, spec.shape());
        places.put(spec.name(), List.of(name));
      }
      surplus.removeAll(places.get(spec.name()));
    }
    for (String name : surplus) {
      throw InputException.in(
          file.file(),
          "tensor " + quoted(name),
          "none of this name by the metadata",
          "shape " + file.entry(name).shape());
    }
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

  /**
   * For each row of llama.cpp's queries, keys and values (all queries, head by head, then all keys,
   * all values) the row of the canonical ones (head by head its query, key and value) that it is.
   *
   * @param halves whether an interleaved rotary's pairs (0,1), (2,3), ... are laid out as a
   *     half-split one's (0, dims/2), ...
   */
  static int[] queryKeyValueRows(ModelConfig config, boolean halves) {
    int hidden = config.hiddenSize();
    int width = config.headDim();
    int turned = halves && config.position() instanceof Position.Rotary rotary ? rotary.dims() : 0;
    int[] rows = new int[3 * hidden];
    for (int row = 0; row < rows.length; row++) {
      int part = row / hidden;
      int head = row % hidden / width;
      int d = row % width;
      if (part < 2 && d < turned) {
        d = d < turned / 2 ? 2 * d : 2 * (d - turned / 2) + 1;
      }
      rows[row] = head * 3 * width + part * width + d;
    }
    return rows;
  }

  @Override
  public Path path() {
    return file.file();
  }

  @Override
  public ModelConfig config() {
    return config;
  }

  /** The mapped file, with its metadata and its tensors as they are stored. */
  public GgufFile file() {
    return file;
  }

  @Override
  public String storedAs(String canonical) {
    return file.entry(place(canonical).getFirst()).type().name();
  }

  @Override
  public Tensor tensor(String canonical) {
    List<String> names = place(canonical);
    if (names.size() == 1 && !names.getFirst().contains(FUSED)) {
      return file.tensor(names.getFirst());
    }
    int[] back = canonicalOrder();
    return Tensors.scoped(
        () -> {
          Tensor[] parts = names.stream().map(file::tensor).toArray(Tensor[]::new);
          Tensor all = parts.length == 1 ? parts[0] : torch.cat(new TensorVector(parts));
          return all.index_select(0, Tensors.of(back, back.length));
        });
  }

  /** For each canonical row of queries, keys and values its place in the file. */
  private int[] canonicalOrder() {
    int[] rows = queryKeyValueRows(config, false);
    int[] back = new int[rows.length];
    for (int row = 0; row < rows.length; row++) {
      back[rows[row]] = row;
    }
    return back;
  }

  @Override
  public Optional<MappedTensor> mapped(String canonical) {
    GgmlRows rows = rows(canonical);
    if (rows == null || rows.type().isQuantised()) {
      return Optional.empty();
    }
    Dtype dtype = Dtype.of(rows.type().scalarType());
    if (rows.inOrder()) {
      return Optional.of(new MappedTensor(dtype, rows.parts().getFirst()));
    }
    MemorySegment all = Arena.ofAuto().allocate(rows.out() * rows.rowBytes(), 64);
    rows.copy(0, rows.out(), all);
    return Optional.of(new MappedTensor(dtype, all));
  }

  @Override
  public Optional<QuantisedMatrix> quantised(String canonical) {
    return Optional.<QuantisedMatrix>ofNullable(rows(canonical))
        .filter(rows -> rows.type().isQuantised() && rows.in() % rows.type().blockValues() == 0);
  }

  /**
   * A tensor by its rows, those of a vector single values; null where its parts are stored in
   * different types.
   */
  private GgmlRows rows(String canonical) {
    List<String> names = place(canonical);
    GgmlType type = file.entry(names.getFirst()).type();
    if (names.stream().anyMatch(name -> file.entry(name).type() != type)) {
      return null;
    }
    long[] shape = file.entry(names.getFirst()).axes();
    boolean inOrder = names.size() == 1 && !names.getFirst().contains(FUSED);
    return new GgmlRows(
        type,
        Math.toIntExact(names.size() * shape[0]),
        shape.length == 1 ? 1 : Math.toIntExact(shape[1]),
        names.stream().map(file::data).toList(),
        inOrder ? null : canonicalOrder());
  }

  private List<String> place(String canonical) {
    List<String> names = places.get(canonical);
    if (names == null) {
      throw new IllegalArgumentException("no tensor " + canonical);
    }
    return names;
  }

  @Override
  public Optional<String> tokenizerJson() {
    return GgufTokenizer.json(file.file(), file.metadata());
  }

  @Override
  public void release() {
    file.release();
  }

  /** Unmaps the file. */
  @Override
  public void close() {
    file.close();
  }
}
