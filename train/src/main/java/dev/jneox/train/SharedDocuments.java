package dev.jneox.train;

import dev.jneox.data.Npy;
import dev.jneox.data.Splits;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/**
 * Finds documents that a split of a corpus has on both sides. A source of more than one epoch has
 * copies of its documents, which the corpus lists by their ids in {@code PREFIX.documents.npy}.
 */
final class SharedDocuments {
  private SharedDocuments() {}

  /**
   * Returns a warning where documents for validation or test are copies of documents for training.
   *
   * @param prefix of the dataset
   */
  static Optional<String> warning(Path prefix, Splits parts) {
    Path file = prefix.resolveSibling(prefix.getFileName() + ".documents.npy");
    if (parts.valid() == parts.end() || !Files.isRegularFile(file)) {
      return Optional.empty();
    }
    try (Arena arena = Arena.ofConfined()) {
      Npy ids = Npy.map(file, arena);
      if (ids.size() != parts.end()) {
        return Optional.empty(); // of another dataset
      }
      long[] held = new long[parts.end() - parts.valid()];
      Arrays.setAll(held, i -> ids.get(parts.valid() + (long) i));
      Arrays.sort(held);
      boolean[] shared = new boolean[held.length];
      for (int d = 0; d < parts.valid(); d++) {
        int at = Arrays.binarySearch(held, ids.get(d));
        if (at >= 0) {
          shared[at] = true;
        }
      }
      int n = 0;
      for (boolean each : shared) {
        n += each ? 1 : 0;
      }
      return n == 0
          ? Optional.empty()
          : Optional.of(
              "split: "
                  + n
                  + " documents for validation or test are trained on too, as copies (see "
                  + file
                  + "): build the corpus with held_out, and set train_data_paths,"
                  + " valid_data_paths and test_data_paths instead of data_path");
    }
  }
}
