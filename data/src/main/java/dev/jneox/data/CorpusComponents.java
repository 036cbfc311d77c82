package dev.jneox.data;

import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Names the component of a corpus that each document of tokenised data is of, as {@code jneox
 * corpus build} writes it: {@code PREFIX.documents.npy} has an id of 64 bits for each document, the
 * number of its source above {@value #LINE_BITS} bits and the line in it below; {@code corpus.json}
 * in the same folder names the sources.
 *
 * @param names of the components
 * @param ofDocument the index in {@code names} of each document
 */
public record CorpusComponents(List<String> names, int[] ofDocument) {
  /** The low bits of a document's id, which count the lines of its source. */
  public static final int LINE_BITS = 40;

  private static final int LARGEST = 100_000_000;

  /**
   * Reads the components of the documents of {@code PREFIX.bin}; empty where the data is not of
   * {@code corpus build}.
   *
   * @throws InputException naming the file if the ids and the names do not go together
   */
  public static Optional<CorpusComponents> of(Path prefix) {
    Path ids = prefix.resolveSibling(prefix.getFileName() + ".documents.npy");
    Path facts = prefix.resolveSibling("corpus.json");
    if (!Files.exists(ids) || !Files.exists(facts)) {
      return Optional.empty();
    }
    List<String> names = new ArrayList<>();
    JsonObject.read(facts, LARGEST)
        .node("sources")
        .ifPresent(sources -> sources.forEach(source -> names.add(source.path("name").asText())));
    try (Arena arena = Arena.ofConfined()) {
      Npy array = Npy.map(ids, arena);
      int[] of = new int[Math.toIntExact(array.size())];
      for (int d = 0; d < of.length; d++) {
        long source = array.get(d) >>> LINE_BITS;
        if (source >= names.size()) {
          throw InputException.in(
              ids,
              "document " + d,
              "one of the " + names.size() + " sources of " + facts,
              "source " + source);
        }
        of[d] = (int) source;
      }
      return Optional.of(new CorpusComponents(List.copyOf(names), of));
    }
  }
}
