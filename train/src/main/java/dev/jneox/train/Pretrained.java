package dev.jneox.train;

import dev.jneox.format.ModelFiles;
import dev.jneox.io.JsonObject;
import dev.jneox.model.Param;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.StoredModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * Loads the weights of a model in any format, whose vocabulary may have another size, to begin a
 * run.
 *
 * <p>A row of embedding and head that the model lacks becomes the mean of its rows, plus noise of a
 * hundredth of their standard deviation. Without the noise, the logit of a new id is the mean of
 * the old logits. By Jensen's inequality {@code k} new ids then have at most {@code k / (V + k)} of
 * the probability, with {@code V} old ids, and the loss on a text of old ids rises by at most
 * {@code ln(1 + k / V)}. Another method takes for a new token the mean of the rows of the old
 * tokens that spell it. It has no such bound, because the new token's logit may be as large as the
 * largest old one.
 */
final class Pretrained {
  /** Standard deviation of the noise, in those of the rows that the model has. */
  private static final double NOISE = 0.01;

  private Pretrained() {}

  /**
   * Sets the weights to those of a model.
   *
   * @param path that {@link ModelFiles} can open
   * @param tokenizer of the run; null for none
   * @param seed of the noise
   * @return warnings for the user, a line each
   * @throws dev.jneox.io.InputException when it is not a model, or differs from the run's in more
   *     than the vocabulary
   */
  static List<String> load(
      Path path, Parameters parameters, @Nullable TokenizerFile tokenizer, long seed) {
    List<String> notes = new ArrayList<>();
    try (StoredModel stored = ModelFiles.open(path)) {
      Checkpoint.requireSameBlocks(path, parameters.spec(), stored.spec());
      int old = stored.spec().vocabulary().used();
      int used = parameters.spec().vocabulary().used();
      int known =
          used > old
              ? old
              : Math.min(stored.spec().vocabulary().rows(), parameters.spec().vocabulary().rows());
      parameters.load(stored, known, (param, table) -> fill(param, table, known, seed));
      if (used > old) {
        notes.add(
            String.format(
                Locale.ROOT,
                "the vocabulary grows from %,d to %,d ids: the rows of new ones are the mean of the"
                    + " others, and a little noise",
                old,
                used));
      }
      if (tokenizer != null) {
        otherToken(stored, tokenizer, Math.min(old, used)).ifPresent(notes::add);
      }
    }
    return notes;
  }

  /** Sets the rows from {@code known} on to the mean of the others, plus noise. */
  private static void fill(Param param, MappedTensor table, int known, long seed) {
    int columns = param.columns();
    double[] mean = new double[columns];
    double[] square = new double[columns];
    float[] row = new float[columns];
    for (int r = 0; r < known; r++) {
      table.read((long) r * columns, row, 0, columns);
      for (int c = 0; c < columns; c++) {
        mean[c] += row[c];
        square[c] += (double) row[c] * row[c];
      }
    }
    double variance = 0;
    for (int c = 0; c < columns; c++) {
      mean[c] /= known;
      variance += Math.max(0, square[c] / known - mean[c] * mean[c]) / columns;
    }
    double noise = NOISE * Math.sqrt(variance);
    SplittableRandom random = new SplittableRandom(seed ^ param.id().toString().hashCode());
    for (int r = known; r < param.rows(); r++) {
      for (int c = 0; c < columns; c++) {
        row[c] = (float) (mean[c] + noise * random.nextGaussian());
      }
      table.write((long) r * columns, row, 0, columns);
    }
  }

  /** Returns a warning about the first id whose token differs between the model and the run. */
  private static Optional<String> otherToken(StoredModel stored, TokenizerFile file, int ids) {
    String json = stored.tokenizerJson().orElse(null);
    if (json == null) {
      return Optional.of(
          stored.path()
              + ": has no tokenizer: whether "
              + file.path()
              + " is its own is not known");
    }
    try (Tokenizer theirs = Tokenizer.parse(json, stored.path());
        Tokenizer ours = Tokenizer.parse(file.json(), file.path())) {
      for (int id = 0; id < ids; id++) {
        String before = theirs.decode(new int[] {id});
        String now = ours.decode(new int[] {id});
        if (!before.equals(now)) {
          return Optional.of(
              "%s: id %d is %s, in the model that is loaded %s: what it learned of such ids is lost"
                  .formatted(file.path(), id, JsonObject.quoted(now), JsonObject.quoted(before)));
        }
      }
    }
    return Optional.empty();
  }
}
