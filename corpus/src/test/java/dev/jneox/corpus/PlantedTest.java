package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.io.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Plants what the steps look for in generated documents, and counts what whole builds find. */
class PlantedTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir private Path folder;

  private static final class Words {
    private final Random random;

    Words(long seed) {
      random = new Random(seed);
    }

    /** Returns words of nine letters, hardly ever the same twice. */
    List<String> next(int n) {
      List<String> words = new ArrayList<>();
      for (int i = 0; i < n; i++) {
        words.add(
            random
                .ints(9, 'a', 'z' + 1)
                .mapToObj(Character::toString)
                .collect(Collectors.joining()));
      }
      return words;
    }

    String text(int n) {
      return String.join(" ", next(n));
    }
  }

  private Path lines(String name, List<String> texts) throws IOException {
    StringBuilder out = new StringBuilder();
    for (String text : texts) {
      out.append(JSON.writeValueAsString(Map.of("text", text))).append('\n');
    }
    return Files.writeString(folder.resolve(name), out);
  }

  private Facts build(String... pipeline) throws IOException {
    Path file = Files.writeString(folder.resolve("p.yml"), String.join("\n", pipeline) + "\n");
    return CorpusBuild.run(
            Spark.session(),
            Pipeline.read(file),
            new CorpusBuild.Options(folder.resolve("out"), 0, false, true),
            (task, total) -> Progress.silent())
        .facts();
  }

  private Map<Long, String> written() throws IOException {
    try (Stream<Path> list = Files.list(folder.resolve("out"))) {
      List<JsonNode> records = new ArrayList<>();
      for (Path path :
          list.filter(path -> path.getFileName().toString().startsWith("train")).toList()) {
        for (String line : Files.readAllLines(path)) {
          records.add(JSON.readTree(line));
        }
      }
      return records.stream()
          .collect(
              Collectors.toMap(
                  record -> record.path("meta").path("document").asLong(),
                  record -> record.path("text").asText()));
    }
  }

  private static final int PAIRS = 250;

  /** Two texts whose sets of 5-grams share {@code common}, and have {@code own} each. */
  private static List<String> pair(Words words, int common, int own) {
    String begin = words.text(common + 4);
    return List.of(begin + " " + words.text(own), begin + " " + words.text(own));
  }

  @Tag("slow")
  @Test
  void whatIsPlantedIsFoundAndNothingElse() throws IOException {
    Words words = new Words(1);
    int[][] shapes = {{200, 100}, {210, 45}, {200, 25}}; // Jaccard 0.5, 0.7, 0.8
    List<String> originals = new ArrayList<>();
    List<String> copies = new ArrayList<>();
    for (int[] shape : shapes) {
      for (int i = 0; i < PAIRS; i++) {
        List<String> pair = pair(words, shape[0], shape[1]);
        originals.add(pair.get(0));
        copies.add(pair.get(1));
      }
    }
    lines("originals.jsonl", originals);
    lines("copies.jsonl", copies);

    List<String> exam = new ArrayList<>();
    List<String> web = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      List<String> question = words.next(20);
      exam.add(String.join(" ", question) + "?");
      int from = i % 8;
      int n = i < 50 ? 13 : 12; // the first fifty are contaminated
      web.add(
          words.text(30)
              + " \""
              + String.join(", ", question.subList(from, from + n))
                  .toUpperCase(java.util.Locale.ROOT)
              + "\" "
              + words.text(30));
    }
    lines("exam.jsonl", exam);
    lines("web.jsonl", web);

    List<String> mails = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      String b = words.next(1).getFirst();
      mails.add(
          words.text(20)
              + (" to " + b + "." + i + "@" + b + ".example.org, from 93.184.216." + (i + 20))
              + (" or 192.168.0." + i + ", version 1." + i + ".3.4.5, " + b + "@localhost, ")
              + ("call +49 30 " + (1_234_567 + 9 * i) + ", not " + (555_000 + i) + ", pay ")
              + (card(i) + " or " + card(i).substring(0, 15) + (card(i).charAt(15) - '0' + 1) % 10)
              + (" with AKIA" + "%016d".formatted(i) + " or AKIA" + i + "."));
    }
    lines("mails.jsonl", mails);

    Facts facts =
        build(
            "sources:",
            "  - {name: originals, path: originals.jsonl}",
            "  - {name: copies, path: copies.jsonl}",
            "  - {name: web, path: web.jsonl}",
            "  - {name: mails, path: mails.jsonl}",
            "steps:",
            "  - decontaminate: {against: exam.jsonl}",
            "  - pii",
            "  - exact_dedup",
            "  - minhash_dedup",
            "output: {format: jsonl}");
    Map<Long, String> written = written();
    for (int i = 0; i < originals.size(); i++) {
      assertThat(written).containsEntry(i + 1L, originals.get(i)); // originals stay
    }
    MinHashDedup step = (MinHashDedup) MinHashDedup.of(new Settings(Path.of("p.yml"), "", null));
    double[] similarity = {0.5, 0.7, 0.8};
    for (int s = 0; s < 3; s++) {
      long first = (1L << 40) + 1 + (long) s * PAIRS;
      long found = IntStream.range(0, PAIRS).filter(i -> !written.containsKey(first + i)).count();
      double expected = step.probability(similarity[s]);
      assertThat((double) found / PAIRS)
          .as("recall at Jaccard %s", similarity[s])
          .isCloseTo(expected, within(3.5 * Math.sqrt(expected * (1 - expected) / PAIRS)));
    }
    for (int i = 0; i < 100; i++) { // recall and precision are 1
      assertThat(written.containsKey((2L << 40) + 1 + i)).as("page %s", i).isEqualTo(i >= 50);
    }
    assertThat(facts.findings())
        .containsExactly(
            new Facts.Finding("mails", "card", 100, 100),
            new Facts.Finding("mails", "email", 100, 100),
            new Facts.Finding("mails", "ip", 100, 100),
            new Facts.Finding("mails", "key", 100, 100),
            new Facts.Finding("mails", "phone", 100, 100));
    for (int i = 0; i < 100; i++) {
      assertThat(written.get((3L << 40) + 1 + i))
          .contains("to <EMAIL>, from <IP> or 192.168.0." + i + ", version 1." + i + ".3.4.5, ")
          .contains("@localhost, call <PHONE>, not " + (555_000 + i) + ", pay <CARD> or ")
          .endsWith(" with <KEY> or AKIA" + i + ".");
    }
  }

  /** A card number of 16 digits with the right last one. */
  private static String card(int i) {
    String number = "4%014d".formatted(i * 7919L);
    for (char last = '0'; last <= '9'; last++) {
      if (PiiRemoval.isCard(number + last)) {
        return number + last;
      }
    }
    throw new AssertionError(number);
  }

  /** Compares all pairs of 20,000 documents by the keys of their bands. */
  @Tag("soak")
  @Test
  void componentsAreThoseOfAllPairs() throws IOException {
    int n = 20_000;
    List<String> texts = new ArrayList<>();
    Words words = new Words(2);
    Random random = new Random(3);
    for (int i = 0; i < n; i++) {
      String[] of =
          i > 10 && random.nextInt(3) == 0
              ? texts.get(random.nextInt(i)).split(" ")
              : words.next(60 + random.nextInt(60)).toArray(String[]::new);
      for (int changes = random.nextInt(6); changes > 0; changes--) {
        of[random.nextInt(of.length)] = words.next(1).getFirst();
      }
      texts.add(String.join(" ", of));
    }
    lines("a.jsonl", texts);
    Facts facts =
        build(
            "sources: [{name: alpha, path: a.jsonl}]",
            "steps: [minhash_dedup: {group_cap: 0, driver_edges: 0}]",
            "output: {format: jsonl}");
    MinHash minHash = new MinHash(112, 1);
    Shingles shingles = new Shingles(5);
    long[][] keys = new long[n][];
    for (int i = 0; i < n; i++) {
      int grams = shingles.read(texts.get(i));
      long[] signature = minHash.signature(shingles.hashes(), grams);
      keys[i] =
          IntStream.range(0, 14)
              .mapToLong(
                  band ->
                      Arrays.hashCode(Arrays.copyOfRange(signature, band * 8, band * 8 + 8))
                          + signature[band * 8] * 31)
              .toArray();
    }
    int[] parents = IntStream.range(0, n).toArray();
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < i; j++) {
        for (int band = 0; band < 14; band++) {
          if (keys[i][band] == keys[j][band]) {
            int a = root(parents, i);
            int b = root(parents, j);
            parents[Math.max(a, b)] = Math.min(a, b);
            break;
          }
        }
      }
    }
    Set<Long> expected = new TreeSet<>();
    for (int i = 0; i < n; i++) {
      expected.add(root(parents, i) + 1L);
    }
    assertThat(new TreeSet<>(written().keySet())).isEqualTo(expected);
    assertThat(facts.duplicates().getFirst().removed()).isEqualTo(n - expected.size());
    assertThat(expected.size()).isBetween(n / 2, n - 2000);
  }

  private static int root(int[] parents, int of) {
    int i = of;
    while (parents[i] != i) {
      i = parents[i];
    }
    return i;
  }
}
