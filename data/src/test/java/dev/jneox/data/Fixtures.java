package dev.jneox.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

/** Data sets that GPT-NeoX itself wrote, and small ones made up on the way. */
final class Fixtures {
  /** Sequence length of the parity fixtures, their seeds and the samples asked for. */
  static final int SEQ_LENGTH = 64;

  static final long[] SEEDS = {1234, 1235, 1236};
  static final long[] SAMPLES = {150, 300, 450};
  static final double[] WEIGHTS = {0.5, 0.2, 0.3};

  private Fixtures() {}

  /** A file of the parity fixtures. */
  static Path megatron(String name) {
    try {
      return Path.of(Fixtures.class.getResource("/megatron-data").toURI()).resolve(name);
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  /** The data set {@code part} of the parity fixtures. */
  static IndexedDataset part(int part) {
    return IndexedDataset.open(megatron("part" + part));
  }

  /** Writes documents of the given sizes with random ids below {@code vocab}. */
  static IndexedDataset write(Path prefix, int vocab, int... sizes) {
    Random random = new Random(1);
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(prefix, vocab)) {
      for (int size : sizes) {
        writer.add(random.ints(size, 0, vocab).toArray(), 0, size);
      }
      writer.commit();
    }
    return IndexedDataset.open(prefix);
  }

  static byte[] bytes(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A folder that a property can use again in every try. */
  static Path scratch() {
    try {
      return Files.createTempDirectory(Path.of("target"), "scratch").toAbsolutePath();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
