package dev.jneox.inspect;

import dev.jneox.format.ModelFiles;
import dev.jneox.format.gguf.GgufFile;
import dev.jneox.format.gguf.GgufModel;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.neox.NeoxCheckpoint;
import dev.jneox.format.packed.PackedFolder;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.format.torch.TorchFile;
import dev.jneox.io.FolderFiles;
import dev.jneox.io.InputException;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.TensorExpression;
import dev.jneox.weights.TensorFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Gives tensors one by one: a model's by their canonical names, or those of a bare file of tensors
 * by the file's.
 */
public final class Contents implements AutoCloseable {
  /**
   * A tensor as it lies on disk.
   *
   * @param dtype in the words of its format
   */
  public record Entry(String name, String dtype, long[] shape, long bytes) {
    /** Returns the number of values. */
    public long elements() {
      return Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    }
  }

  private final Path path;
  private final StoredModel model;
  private final TensorFile file;
  private final List<Entry> entries = new ArrayList<>();
  private final Map<String, TensorExpression> expressions = new HashMap<>(); // of a model

  private Contents(Path path, StoredModel model, TensorFile file) {
    this.path = path;
    this.model = model;
    this.file = file;
    if (model != null) {
      for (TensorExpression tensor : CanonicalNames.of(model.spec())) {
        expressions.put(tensor.name(), tensor);
        add(tensor.name(), model.holder(tensor.first()).type(), tensor.shape());
      }
    } else {
      file.names().forEach(name -> add(name, file.dtype(name).name(), file.shape(name)));
    }
  }

  private void add(String name, String dtype, long[] shape) {
    Entry entry = new Entry(name, dtype, shape, 0);
    entries.add(new Entry(name, dtype, shape, bytes(dtype, entry.elements())));
  }

  /**
   * Bytes of so many elements of a type, whether the word is safetensors' or GGUF's; where both
   * have one, it means the same.
   */
  private static long bytes(String dtype, long elements) {
    Dtype plain = Dtype.of(dtype).orElse(null);
    return plain != null ? elements * plain.bits() / 8 : GgmlType.valueOf(dtype).bytes(elements);
  }

  /**
   * Opens whatever {@link ModelFiles#open} knows, or a bare file of tensors.
   *
   * @throws InputException when it is neither
   */
  public static Contents open(Path path) {
    if (isTensorFile(path)) {
      return new Contents(
          path,
          null,
          path.toString().endsWith(".safetensors") ? Safetensors.open(path) : TorchFile.open(path));
    }
    return new Contents(path, ModelFiles.open(path), null);
  }

  /** Tells by the name whether it is a file of tensors without a configuration. */
  public static boolean isTensorFile(Path path) {
    return Files.isRegularFile(path) && path.toString().matches(".*\\.(safetensors|bin|pt)");
  }

  /** Returns the path that was opened. */
  public Path path() {
    return path;
  }

  /** Returns the model; a bare file has none. */
  public Optional<StoredModel> model() {
    return Optional.ofNullable(model);
  }

  /** Names the format in a few words. */
  public String format() {
    return switch (model) {
      case null -> file instanceof Safetensors ? "safetensors file" : "PyTorch file";
      case HfFolder folder -> "HF folder, " + HfFolder.modelType(folder.spec());
      case NeoxCheckpoint checkpoint ->
          "NeoX checkpoint, "
              + checkpoint.ranks()
              + (checkpoint.ranks() == 1 ? " rank" : " tensor-parallel ranks");
      case GgufModel gguf -> "GGUF file";
      case PackedFolder folder -> "quantised folder";
      default -> model.getClass().getSimpleName();
    };
  }

  /** Lists the tensors. */
  public List<Entry> entries() {
    return Collections.unmodifiableList(entries);
  }

  /** Reads values row by row: in place where they lie so, else made in {@code arena}. */
  public MemorySegment read(String name, Arena arena) {
    return model != null ? model.read(expressions.get(name), arena).data() : file.read(name, arena);
  }

  /** Returns the type of what {@link #read} gives; a quantised one is read in fp32. */
  public Dtype dtype(Entry entry) {
    Dtype plain = Dtype.of(entry.dtype()).orElse(null);
    return plain == null ? Dtype.F32 : plain;
  }

  /** Gives the memory of the tensors read so far back. */
  public void release() {
    if (model != null) {
      model.release();
    } else {
      file.release();
    }
  }

  /** Lists its files: those of the folder ({@link FolderFiles}), or all parts of a split file. */
  public List<Path> files() {
    return Files.isRegularFile(path) ? GgufFile.files(path) : FolderFiles.of(path);
  }

  @Override
  public void close() {
    if (model != null) {
      model.close();
    } else {
      file.close();
    }
  }
}
