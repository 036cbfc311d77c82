package dev.jneox.format.gguf;

import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import dev.jneox.weights.GgmlType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Readers of GGUF files, for fuzzing. */
public final class GgufReaders {
  private GgufReaders() {}

  /** The header alone, in memory. */
  public static Reader headers() {
    return Reader.ofFile(
        "gguf-header",
        "sample.gguf",
        path -> GgufHeader.read(path, MemorySegment.ofArray(Files.readAllBytes(path))),
        () -> {
          try {
            Path file = Files.createTempFile("sample", ".gguf");
            Files.delete(file);
            GgufFileTest.write(
                file,
                GgufFileTest.everyType(),
                GgufFileTest.tensor("token_embd.weight", GgmlType.Q4_0, 3, 64),
                GgufFileTest.tensor("blk.0.attn_norm.weight", GgmlType.F32, 64),
                GgufFileTest.tensor("x", GgmlType.Q6_K, 1, 256));
            byte[] bytes = Files.readAllBytes(file);
            Files.delete(file);
            return List.of(Input.of("sample.gguf", bytes));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  /** Writes a model in two parts. */
  public static void writeSplit(Path folder) {
    for (int part = 0; part < 2; part++) {
      Map<String, GgufValue> metadata = new LinkedHashMap<>();
      if (part == 0) {
        metadata.putAll(GgufFileTest.everyType());
      }
      metadata.put("split.no", GgufValue.u32(part));
      metadata.put("split.count", GgufValue.u32(2));
      metadata.put("split.tensors.count", GgufValue.u32(3));
      Path file = folder.resolve("model-%05d-of-00002.gguf".formatted(part + 1));
      if (part == 0) {
        GgufFileTest.write(file, metadata, GgufFileTest.tensor("a", GgmlType.Q4_0, 3, 64));
      } else {
        GgufFileTest.write(
            file,
            metadata,
            GgufFileTest.tensor("b", GgmlType.F32, 64),
            GgufFileTest.tensor("c", GgmlType.Q6_K, 1, 256));
      }
    }
  }
}
