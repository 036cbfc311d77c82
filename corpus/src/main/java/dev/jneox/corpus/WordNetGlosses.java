package dev.jneox.corpus;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Reads a data file of WordNet ({@code data.noun}, ...; format: wndb(5WN)): of each synset its
 * words, part of speech, gloss, and the words of the synsets that it is a kind or a part of.
 */
final class WordNetGlosses {
  private static final Map<String, String> SPEECH =
      Map.of("n", "noun", "v", "verb", "a", "adjective", "s", "adjective", "r", "adverb");

  private record Synset(String words, String speech, List<String> kinds, String gloss) {}

  private WordNetGlosses() {}

  static void read(String text, Consumer<String> documents) {
    Map<String, String> words = new HashMap<>();
    List<Synset> synsets = new ArrayList<>();
    for (String line : text.lines().toList()) {
      if (line.startsWith(" ")) {
        continue; // the licence
      }
      int bar = line.indexOf(" | ");
      String[] fields = (bar < 0 ? line : line.substring(0, bar)).split(" ");
      if (bar < 0 || fields.length < 6 || !fields[3].matches("[0-9a-f]{2}")) {
        continue;
      }
      int count = Integer.parseInt(fields[3], 16);
      int at = 4 + 2 * count;
      if (fields.length <= at || !fields[at].matches("\\d{3}")) {
        continue;
      }
      List<String> names = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        names.add(fields[4 + 2 * i].replace('_', ' ').replaceFirst("\\((a|p|ip)\\)$", ""));
      }
      List<String> kinds = new ArrayList<>();
      int pointers = Integer.parseInt(fields[at]);
      for (int i = 0; i < pointers && at + 4 * i + 2 < fields.length; i++) {
        String symbol = fields[at + 1 + 4 * i];
        if (symbol.equals("@") || symbol.equals("@i") || symbol.equals("#p")) {
          kinds.add(symbol + " " + fields[at + 2 + 4 * i]);
        }
      }
      String joined = String.join(", ", names);
      words.put(fields[0], joined);
      synsets.add(
          new Synset(
              joined,
              SPEECH.getOrDefault(fields[2], fields[2]),
              kinds,
              line.substring(bar + 3).strip()));
    }
    Entries entries = new Entries("\n", documents);
    for (Synset synset : synsets) {
      StringBuilder entry = new StringBuilder();
      entry.append(synset.words()).append(" (").append(synset.speech()).append("): ");
      entry.append(synset.gloss()).append('\n');
      for (String kind : synset.kinds()) {
        String of = words.get(kind.substring(kind.indexOf(' ') + 1));
        if (of != null) {
          String relation =
              kind.startsWith("@i")
                  ? "An instance of: "
                  : kind.startsWith("@") ? "A kind of: " : "Part of: ";
          entry.append(relation).append(of).append('\n');
        }
      }
      entries.add(entry.toString());
    }
    entries.end();
  }
}
