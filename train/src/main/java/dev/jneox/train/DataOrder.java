package dev.jneox.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Holds the settings that determine which samples a run reads, and in which order.
 *
 * @param batch samples of a step
 * @param seqLength tokens of a sample
 * @param seed of the order
 * @param data paths with their weights, or with the split
 */
record DataOrder(int batch, int seqLength, int seed, String data) {
  static DataOrder of(NeoxConfig config) {
    String data =
        switch (config.data().source().orElse(null)) {
          case null -> "none";
          case DataSection.Source.Split split -> split.path() + " split " + split.parts();
          case DataSection.Source.Separate mixes ->
              mixes.train().paths() + " weights " + mixes.train().weights();
        };
    return new DataOrder(
        config.batch().total(), config.model().seqLength(), config.run().seed(), data);
  }

  /**
   * Returns a line for each setting that differs in {@code now}, with its effect on a resumed run.
   *
   * @param now settings of the resumed run
   * @param samples read so far
   */
  List<String> changes(DataOrder now, long samples) {
    List<String> lines = new ArrayList<>();
    String place = String.format(Locale.ROOT, "sample %,d", samples);
    if (batch != now.batch) {
      lines.add(
          "train_batch_size was "
              + batch
              + ", is "
              + now.batch
              + ": reading goes on at "
              + place
              + " of the data; steps and learning rate go on by their number");
    }
    if (seqLength != now.seqLength) {
      lines.add(
          "seq_length was "
              + seqLength
              + ", is "
              + now.seqLength
              + ": the data are cut anew, and reading begins after as many tokens, at "
              + place);
    }
    if (seed != now.seed) {
      lines.add(
          "seed was " + seed + ", is " + now.seed + ": " + anotherOrder("the data have", place));
    }
    if (!data.equals(now.data)) {
      lines.add(
          "the data were " + data + ", are " + now.data + ": " + anotherOrder("they have", place));
    }
    return lines;
  }

  private static String anotherOrder(String have, String place) {
    return have
        + " another order, and reading begins at "
        + place
        + " of it: texts that were read may come again, others not at all";
  }
}
