package dev.jneox.infer;

import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.weights.RandomWeights;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;

/** The reader of saved sessions, for fuzzing. */
public final class SessionReaders {
  private static final String FILE = "session";
  private static final ModelSpec SPEC = ModelSpec.neox(30, 8, 1, 1, 256);
  private static final PackedModel MODEL =
      PackedModel.of(new RandomWeights(SPEC, 1), Precision.STORED);

  private SessionReaders() {}

  private static Engine engine() {
    return new Engine(MODEL, Engine.Settings.of(MODEL, 1).withThreads(1).withKvBytes(1 << 20));
  }

  /** Takes up a session, and goes on from it. */
  public static Reader sessions() {
    return Reader.ofFile(
            "session",
            FILE,
            file -> {
              try (Engine engine = engine()) {
                int[] ids = engine.openSession(file).ids();
                if (ids.length <= SPEC.maxPositions()) {
                  try {
                    engine.submit(GenerationRequest.builder(ids).maxTokens(1).build()).result();
                  } catch (InputException e) {
                    // The error of a request names no file: values of 1e38 are finite, sums not.
                    throw e.withMessage(file + ": " + e.getMessage());
                  }
                }
              }
            },
            () -> List.of(seed()))
        .repairedBy(SessionReaders::withChecksum);
  }

  private static Input seed() {
    int[] ids = IntStream.range(0, 100).map(i -> 1 + i % 29).toArray();
    try (Engine engine = engine()) {
      engine.submit(GenerationRequest.builder(ids).maxTokens(1).build()).result();
      Path folder = Files.createTempDirectory("session");
      try {
        engine.saveSession(folder.resolve(FILE), ids, "a note");
        return Input.of(FILE, Files.readAllBytes(folder.resolve(FILE)));
      } finally {
        Files.deleteIfExists(folder.resolve(FILE));
        Files.delete(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Input withChecksum(Input input) {
    byte[] bytes = input.files().get(FILE);
    if (bytes == null || bytes.length < Long.BYTES) {
      return input;
    }
    byte[] repaired = bytes.clone();
    CRC32C sum = new CRC32C();
    sum.update(repaired, 0, repaired.length - Long.BYTES);
    ByteBuffer.wrap(repaired)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(repaired.length - Long.BYTES, sum.getValue());
    return input.with(FILE, repaired);
  }
}
