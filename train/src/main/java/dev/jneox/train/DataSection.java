package dev.jneox.train;

import dev.jneox.data.Splits;
import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/**
 * States the data that the model reads, and its tokenizer.
 *
 * @param source empty where the configuration names no data
 * @param weightByDocuments whether weights are computed from the numbers of documents, instead of
 *     taken from the configuration
 * @param weightAlpha exponent of the numbers of documents: 1 keeps their proportions, 0 makes all
 *     weights equal
 * @param maskEndOfDocument whether positions whose input is the end-of-document token have no loss
 * @param tokenizerType GPT-NeoX's name of the tokenizer's type
 * @param vocabFile {@code tokenizer.json}, or {@code vocab.json} of a GPT-2 tokenizer
 * @param mergeFile {@code merges.txt} of a GPT-2 tokenizer
 */
public record DataSection(
    Optional<Source> source,
    boolean weightByDocuments,
    double weightAlpha,
    boolean maskEndOfDocument,
    String tokenizerType,
    Optional<Path> vocabFile,
    Optional<Path> mergeFile) {

  /**
   * Names the datasets of training, validation and test. Paths are prefixes: {@code .bin} and
   * {@code .idx} are appended.
   */
  public sealed interface Source {
    /**
     * Divides the documents of one dataset.
     *
     * @param path of the dataset
     * @param parts of training, validation and test, such as {@code 969,30,1}; see {@link
     *     dev.jneox.data.Splits}
     */
    record Split(Path path, String parts) implements Source {}

    /** Has a mix of datasets each for training, validation and test. */
    record Separate(Mix train, Mix valid, Mix test) implements Source {}
  }

  /**
   * Mixes datasets by weight.
   *
   * @param paths of the datasets
   * @param weights one per path, none negative, not normalised
   */
  public record Mix(List<Path> paths, List<Double> weights) {
    static Mix of(Settings s, String name) {
      List<String> paths = s.list(name + "_data_paths");
      String key = name + "_data_weights";
      List<Double> weights = s.given(key) ? s.list(key) : Collections.nCopies(paths.size(), 1.0);
      if (weights.size() != paths.size()) {
        throw s.wrong(
            key,
            weights.size() + " weights for " + paths.size() + " paths in " + name + "_data_paths");
      }
      if (paths.isEmpty()
          || weights.stream().anyMatch(w -> w < 0)
          || weights.stream().noneMatch(w -> w > 0)) {
        throw s.wrong(key, "expected weights >= 0 of which one is > 0, found " + weights);
      }
      return new Mix(
          paths.stream().map(path -> s.path(name + "_data_paths", path)).toList(),
          List.copyOf(weights));
    }
  }

  static DataSection of(Settings s) {
    return new DataSection(
        source(s),
        s.flag("weight_by_num_documents"),
        s.real("weighted_sampler_alpha"),
        s.flag("eod_mask_loss"),
        s.text("tokenizer_type"),
        s.path("vocab_file"),
        s.path("merge_file"));
  }

  private static Optional<Source> source(Settings s) {
    List<String> given = new ArrayList<>();
    List<String> missing = new ArrayList<>();
    for (String name : List.of("train", "valid", "test")) {
      String key = name + "_data_paths";
      (s.given(key) ? given : missing).add(key);
    }
    if (given.isEmpty()) {
      return s.path("data_path").map(path -> split(s, path));
    }
    if (s.given("data_path")) {
      throw s.wrong(
          "data_path",
          "is set beside "
              + given.getFirst()
              + ": keep one dataset to split, or the separate ones");
    }
    if (!missing.isEmpty()) {
      throw s.wrong(
          given.getFirst(),
          "is set without " + String.join(" and ", missing) + ": all three are needed");
    }
    return Optional.of(
        new Source.Separate(Mix.of(s, "train"), Mix.of(s, "valid"), Mix.of(s, "test")));
  }

  private static Source split(Settings s, Path path) {
    String text = s.text("split");
    try {
      Splits.of(text, 1);
      if (text.split("[,/]").length > 3) {
        throw new InputException(text);
      }
    } catch (InputException e) {
      throw s.wrong(
          "split", "expected up to three numbers >= 0 such as 969,30,1, found '" + text + "'");
    }
    return new Source.Split(path, text);
  }
}
