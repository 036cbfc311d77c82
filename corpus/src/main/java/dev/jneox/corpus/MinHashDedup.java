package dev.jneox.corpus;

import java.util.Locale;

/**
 * Removes documents that are much like an earlier one: MinHash with bands. Two documents whose sets
 * of shingles have the Jaccard similarity {@code s} share a band with the probability {@code 1 - (1
 * - s^rows)^bands}. Documents that share one are joined, and of each connected group the one with
 * the smallest id stays.
 *
 * @param ngram words in a shingle; shorter documents have none and stay
 * @param bands numbers of a signature are divided into so many
 * @param rows numbers of a band
 * @param seed of NumPy's {@code RandomState}, which gives the coefficients as datatrove draws them
 * @param groupCap documents of one band that are joined at most, those with the smallest ids; 0 for
 *     all
 * @param driverEdges pairs up to which the driver joins them in its memory
 * @param skipHeaders whether the comment with a licence that code begins with is left out
 * @param index of this build and of earlier ones
 */
record MinHashDedup(
    int ngram,
    int bands,
    int rows,
    long seed,
    int groupCap,
    long driverEdges,
    boolean skipHeaders,
    KeyIndex index)
    implements Step {
  static Step of(Settings options) {
    int ngram = options.integer("ngram", 5, 1, 100);
    int bands = options.integer("bands", 14, 1, 10_000);
    int rows = options.integer("rows", 8, 1, 1000);
    int seed = options.integer("seed", 1, 0, Integer.MAX_VALUE);
    boolean skipHeaders = options.flag("skip_licence_headers", false);
    return new MinHashDedup(
        ngram,
        bands,
        rows,
        seed,
        options.integer("group_cap", 1_000_000, 0, Integer.MAX_VALUE),
        options.integer("driver_edges", 50_000_000, 0, 500_000_000),
        skipHeaders,
        KeyIndex.of(
            "minhash_dedup",
            "ngram %d, bands %d, rows %d, seed %d%s"
                .formatted(
                    ngram, bands, rows, seed, skipHeaders ? ", without licence headers" : ""),
            options));
  }

  @Override
  public String name() {
    return "minhash_dedup";
  }

  @Override
  public String describe() {
    return String.format(
            Locale.ROOT,
            "removes near duplicates, by %d-grams of words%s in %d bands of %d: finds %.0f %% of"
                + " the pairs whose similarity is 0.5, %.0f %% at 0.7, %.0f %% at 0.8",
            ngram,
            skipHeaders ? " behind the licence header of code" : "",
            bands,
            rows,
            100 * probability(0.5),
            100 * probability(0.7),
            100 * probability(0.8))
        + index.describe();
  }

  /** Returns the probability that two documents of this similarity share a band. */
  double probability(double similarity) {
    return 1 - Math.pow(1 - Math.pow(similarity, rows), bands);
  }

  @Override
  public Step numbered(int number) {
    return new MinHashDedup(
        ngram, bands, rows, seed, groupCap, driverEdges, skipHeaders, index.numbered(number));
  }
}
