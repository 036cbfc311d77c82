package dev.jneox.data;

import java.nio.file.Path;
import java.util.Optional;

/**
 * Splits a file pair by documents: every so many, one is held out of training.
 *
 * @param training prefix of the pair to train on
 * @param validation prefix of the pair that is held out
 */
public record HoldOut(Path training, Path validation) {
  /**
   * Copies the documents of {@code prefix} into {@code prefix_train} and {@code prefix_valid}.
   *
   * @param every one document in so many is held out, the last of them
   * @param vocabSize ids there are, which decides about the type of the files
   * @return empty where there are fewer documents than {@code every}
   * @throws dev.jneox.io.InputException when the pair cannot be read
   */
  public static Optional<HoldOut> of(Path prefix, int every, int vocabSize) {
    IndexedDataset data = IndexedDataset.open(prefix);
    if (data.sequences() < every) {
      return Optional.empty();
    }
    HoldOut split =
        new HoldOut(
            prefix.resolveSibling(prefix.getFileName() + "_train"),
            prefix.resolveSibling(prefix.getFileName() + "_valid"));
    try (IndexedDatasetWriter train = new IndexedDatasetWriter(split.training, vocabSize);
        IndexedDatasetWriter valid = new IndexedDatasetWriter(split.validation, vocabSize)) {
      for (int d = 0; d < data.sequences(); d++) {
        int[] ids = data.get(d);
        (d % every == every - 1 ? valid : train).add(ids, 0, ids.length);
      }
      train.commit();
      valid.commit();
    }
    return Optional.of(split);
  }
}
