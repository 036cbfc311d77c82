package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.Npy;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs whole pipelines on Spark, all in one session but where a test is about sessions. */
@Tag("slow")
class CorpusBuildTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String END = "<|endoftext|>";

  @TempDir private Path folder;

  private static CorpusBuild.Result build(Path pipeline, Path out, String master, int partitions) {
    return CorpusBuild.run(
        Spark.session(master),
        Pipeline.read(pipeline),
        new CorpusBuild.Options(out, partitions, false, true),
        (task, total) -> Progress.silent());
  }

  private Path pipeline(String... lines) throws IOException {
    return Files.writeString(folder.resolve("p.yml"), String.join("\n", lines) + "\n");
  }

  /** JSON lines of documents of random words. */
  static String lines(int n, long seed) throws IOException {
    StringBuilder out = new StringBuilder();
    for (String text : documents(n, seed)) {
      out.append(JSON.writeValueAsString(Map.of("text", text))).append('\n');
    }
    return out.toString();
  }

  private Path lines(String name, List<String> texts) throws IOException {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < texts.size(); i++) {
      out.append(
          JSON.writeValueAsString(
              Map.of("text", texts.get(i), "meta", Map.of("url", name + "/" + i))));
      out.append('\n');
    }
    return Files.writeString(folder.resolve(name), out);
  }

  /** Documents of random words; some repeat earlier ones, whole or with a few words changed. */
  static List<String> documents(int n, long seed) {
    Random random = new Random(seed);
    List<String> documents = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      String[] words;
      if (i > 10 && random.nextInt(4) == 0) {
        words = documents.get(random.nextInt(i)).split(" ");
        int changes = random.nextInt(8);
        for (int k = 0; k < changes; k++) {
          words[random.nextInt(words.length)] = "changed" + random.nextInt(1000);
        }
      } else {
        words = new String[60 + random.nextInt(60)];
        Arrays.setAll(words, k -> "w" + Integer.toString(random.nextInt(5000), 26));
      }
      documents.add(String.join(" ", words));
    }
    return documents;
  }

  private static List<JsonNode> output(Path out, String beginning) throws IOException {
    List<JsonNode> records = new ArrayList<>();
    try (Stream<Path> list = Files.list(out)) {
      for (Path file :
          list.filter(path -> path.getFileName().toString().startsWith(beginning))
              .sorted()
              .toList()) {
        for (String line : Files.readAllLines(file)) {
          records.add(JSON.readTree(line));
        }
      }
    }
    return records;
  }

  private static Set<Long> ids(List<JsonNode> records) {
    Set<Long> ids = new TreeSet<>();
    records.forEach(record -> ids.add(record.path("meta").path("document").asLong()));
    return ids;
  }

  static Map<String, String> content(Path out) throws IOException {
    Map<String, String> content = new TreeMap<>();
    try (Stream<Path> list = Files.list(out)) {
      for (Path file : list.toList()) {
        content.put(
            file.getFileName().toString(),
            new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
      }
    }
    return content;
  }

  @Test
  void textsOfAnotherKeyAndDocumentsWithoutText() throws IOException {
    Files.writeString(
        folder.resolve("a.jsonl"),
        "{\"content\": \"a\", \"text\": \"no\"}\n{\"content\": \"\"}\n{\"content\": 5}\n");
    Path pipeline = pipeline("sources:", "  - {name: alpha, path: a.jsonl, text_field: content}");
    Path out = folder.resolve("out");
    Facts facts = build(pipeline, out, "local[2]", 0).facts();
    assertThat(output(out, "train-"))
        .singleElement()
        .extracting(record -> record.path("text").asText())
        .isEqualTo("a");
    assertThat(facts.malformed().getFirst().problem())
        .isEqualTo("expected the key \"content\" with a string, found a number");
    assertThat(facts.removals().getFirst().step()).isEqualTo("read");
    assertThat(facts.removals().getFirst().rule()).isEqualTo("no text");
    String sheet = Files.readString(out.resolve(Datasheet.MARKDOWN));
    assertThat(sheet)
        .contains("| alpha | 1 | 1 bytes | not stated |  |", "| documents written | held out |");
  }

  @Test
  void aBuildOfNoDocumentIsRefusedWithWhatBecameOfAll() throws IOException {
    lines("a.jsonl", List.of("first of a"));
    Files.writeString(folder.resolve("b.jsonl"), "{\"content\": \"a\"}\n");
    Files.writeString(folder.resolve("c.jsonl"), "");
    Path out = folder.resolve("out");
    Path few = pipeline("sources:", "  - {name: alpha, path: a.jsonl, weight: 1.0e-300}");
    assertThat(catchThrowable(() -> build(few, out, "local[2]", 0)))
        .hasMessageContaining(
            "expected documents to write for training, found none: of 1 document");
    Path malformed = pipeline("sources:", "  - {name: beta, path: b.jsonl}");
    assertThat(catchThrowable(() -> build(malformed, out, "local[2]", 0)))
        .hasMessageEndingWith(
            "found none: of 1 record 1 are malformed ("
                + folder.resolve("b.jsonl")
                + ": record 1: expected the key \"text\" with a string, found none)");
    Path empty = pipeline("sources:", "  - {name: gamma, path: c.jsonl}");
    assertThat(catchThrowable(() -> build(empty, out, "local[2]", 0)))
        .hasMessageEndingWith("found none: the sources have no records");
    assertThat(out).doesNotExist();
  }

  @Test
  void twoSourcesOfLinesAreThePlainCase() throws IOException {
    lines("a.jsonl", List.of("first of a", "second of a"));
    lines("b.jsonl", List.of("first of b"));
    Path pipeline =
        pipeline(
            "sources:",
            "  - {name: alpha, path: a.jsonl, weight: 2}",
            "  - {name: beta, path: b.jsonl}",
            "output: {format: jsonl}");
    CorpusBuild.Result result = build(pipeline, folder.resolve("out"), "local[2]", 0);
    List<JsonNode> records = output(folder.resolve("out"), "train");
    assertThat(records)
        .extracting(record -> record.path("text").asText())
        .containsExactlyInAnyOrder(
            "first of a", "first of a", "second of a", "second of a", "first of b");
    for (JsonNode record : records) {
      boolean alpha = record.path("text").asText().endsWith("a");
      assertThat(record.path("meta").path("pile_set_name").asText())
          .isEqualTo(alpha ? "alpha" : "beta");
      assertThat(record.path("meta").path("url").asText())
          .startsWith(alpha ? "a.jsonl/" : "b.json");
    }
    assertThat(ids(records)).containsExactly(1L, 2L, (1L << 40) + 1);
    assertThat(result.facts().sources())
        .extracting(Facts.Component::documents)
        .containsExactly(4L, 1L);
    assertThat(content(folder.resolve("out")).keySet())
        .containsExactly(
            "corpus.json", "datasheet.html", "datasheet.md", "train-00000-of-00001.jsonl");
  }

  @Test
  void theSameBytesWhateverTheCoresAndPartitions() throws IOException {
    lines("a.jsonl", documents(400, 1));
    lines("b.jsonl", documents(200, 2));
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(documents(20, 3).iterator());
    trainer.train(merges -> {}).write(folder.resolve("tokenizer.json"));
    Path pipeline =
        pipeline(
            "sources:",
            "  - {name: alpha, path: a.jsonl, weight: 1.5}",
            "  - {name: beta, path: b.jsonl}",
            "steps:",
            "  - unicode",
            "  - exact_dedup",
            "  - gopher_quality: {min_stop_words: 0}",
            "  - minhash_dedup",
            "output: {format: megatron, tokenizer: tokenizer.json, held_out: 0.1}");
    build(pipeline, folder.resolve("two"), "local[2]", 0);
    build(pipeline, folder.resolve("seven"), "local[2]", 7);
    build(pipeline, folder.resolve("one"), "local[1]", 3);
    Map<String, String> expected = content(folder.resolve("two"));
    assertThat(expected)
        .containsKeys("train.bin", "train.idx", "train.documents.npy", "held_out.bin")
        .containsKeys("exact_dedup.index", "minhash_dedup.index");
    assertThat(content(folder.resolve("seven"))).isEqualTo(expected);
    assertThat(content(folder.resolve("one"))).isEqualTo(expected);
    assertTokens(folder.resolve("two"));
  }

  /** Each document is the tokens of its text, as often as its source has epochs. */
  private void assertTokens(Path out) throws IOException {
    List<List<String>> sources = List.of(documents(400, 1), documents(200, 2));
    Map<Long, Integer> copies = new HashMap<>();
    try (Tokenizer tokenizer = Tokenizer.load(folder.resolve("tokenizer.json"));
        Arena arena = Arena.ofConfined()) {
      IndexedDataset data = IndexedDataset.open(out.resolve("train"));
      Npy ids = Npy.map(out.resolve("train.documents.npy"), arena);
      assertThat(ids.size()).isEqualTo(data.sequences());
      for (int d = 0; d < data.sequences(); d++) {
        long id = ids.get(d);
        String text = sources.get((int) (id >> 40)).get((int) (id & 0xFFFFFFFFFFL) - 1);
        assertThat(tokenizer.decode(data.get(d))).isEqualTo(text + END);
        copies.merge(id, 1, Integer::sum);
      }
      Npy heldOut = Npy.map(out.resolve("held_out.documents.npy"), arena);
      assertThat(heldOut.size()).isBetween(20L, 80L);
      for (long d = 0; d < heldOut.size(); d++) {
        assertThat(copies).doesNotContainKey(heldOut.get(d));
      }
    }
    long twice =
        copies.entrySet().stream()
            .filter(copy -> copy.getKey() < 1L << 40)
            .filter(copy -> copy.getValue() == 2)
            .count();
    long once =
        copies.entrySet().stream()
            .filter(copy -> copy.getKey() < 1L << 40)
            .filter(copy -> copy.getValue() == 1)
            .count();
    assertThat((double) twice / (once + twice)).isBetween(0.35, 0.65);
    assertThat(copies.values()).allMatch(n -> n <= 2);
    assertThat(copies.entrySet())
        .allMatch(copy -> copy.getKey() < 1L << 40 || copy.getValue() == 1);
  }

  /** The components of all pairs that share a band, by comparing each with each. */
  private static Set<Long> bruteForce(List<String> texts) {
    MinHash minHash = new MinHash(14 * 8, 1);
    Shingles shingles = new Shingles(5);
    int n = texts.size();
    long[][][] keys = new long[n][14][];
    for (int i = 0; i < n; i++) {
      long[] signature = minHash.signature(shingles.hashes(), shingles.read(texts.get(i)));
      signature = minHash.signature(shingles.hashes(), shingles.read(texts.get(i)));
      for (int band = 0; band < 14; band++) {
        keys[i][band] = Arrays.copyOfRange(signature, band * 8, band * 8 + 8);
      }
    }
    int[] component = new int[n];
    Arrays.setAll(component, i -> i);
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < i; j++) {
        for (int band = 0; band < 14 && component[i] != component[j]; band++) {
          if (Arrays.equals(keys[i][band], keys[j][band])) {
            int from = Math.max(component[i], component[j]);
            int to = Math.min(component[i], component[j]);
            for (int k = 0; k < n; k++) {
              component[k] = component[k] == from ? to : component[k];
            }
          }
        }
      }
    }
    Set<Long> kept = new TreeSet<>();
    for (int i = 0; i < n; i++) {
      kept.add(component[i] + 1L);
    }
    return kept;
  }

  @Test
  void nearDuplicatesAreTheComponentsOfBruteForce() throws IOException {
    List<String> texts = documents(2000, 7);
    lines("a.jsonl", texts);
    Set<Long> expected = bruteForce(texts);
    assertThat(expected.size()).isBetween(1000, 1900);
    for (String options : List.of("group_cap: 0", "driver_edges: 0")) { // union-find, and stars
      Path pipeline =
          pipeline(
              "sources: [{name: alpha, path: a.jsonl}]",
              "steps: [{minhash_dedup: {" + options + "}}]",
              "output: {format: jsonl}");
      CorpusBuild.Result result = build(pipeline, folder.resolve("out"), "local[2]", 5);
      assertThat(ids(output(folder.resolve("out"), "train"))).isEqualTo(expected);
      assertThat(result.facts().duplicates().getFirst().removed())
          .isEqualTo(texts.size() - expected.size());
    }
  }

  @Test
  void aGroupOverTheCapIsReported() throws IOException {
    String text = documents(1, 9).getFirst();
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      texts.add(text);
    }
    lines("a.jsonl", texts);
    Path pipeline =
        pipeline(
            "sources: [{name: alpha, path: a.jsonl}]",
            "steps: [{minhash_dedup: {group_cap: 4}}]",
            "output: {format: jsonl}");
    Facts facts = build(pipeline, folder.resolve("out"), "local[2]", 0).facts();
    assertThat(facts.duplicates().getFirst())
        .isEqualTo(new Facts.Duplicates("minhash_dedup", 1, 3, 4, "alpha, line 1", 14, 14 * 6, 0));
    assertThat(ids(output(folder.resolve("out"), "train")))
        .containsExactly(1L, 5L, 6L, 7L, 8L, 9L, 10L);
  }

  @Test
  void everyRemovedDocumentHasOneReason() throws IOException {
    String prose =
        "The first sentence of the page is here. ".repeat(1) + documents(1, 4).getFirst() + ".";
    lines(
        "a.jsonl",
        List.of(
            prose, // 1 stays
            prose, // 2 repeats it
            "too short", // 3
            "a page of an exam: what is the sum of the first hundred odd numbers that there are,"
                + " and why"));
    lines(
        "exam.jsonl",
        List.of("What is the sum of the first hundred odd numbers that there are, and why?"));
    Files.writeString(
        folder.resolve("b.jsonl"),
        "{\"text\": 5}\n\n{\"text\": \"half \\ud800\"}\nno json\n"
            + JSON.writeValueAsString(Map.of("text", prose.replace("first", "second")))
            + "\n");
    Files.write(folder.resolve("c.jsonl"), new byte[] {'{', '"', (byte) 0xFF, '"', '}', '\n'});
    Path pipeline =
        pipeline(
            "sources:",
            "  - {name: alpha, path: a.jsonl}",
            "  - {name: beta, path: [b.jsonl, c.jsonl]}",
            "steps:",
            "  - decontaminate: {against: exam.jsonl}",
            "  - gopher_quality: {min_stop_words: 0}",
            "  - exact_dedup",
            "output: {format: jsonl}");
    Facts facts = build(pipeline, folder.resolve("out"), "local[2]", 0).facts();
    assertThat(ids(output(folder.resolve("out"), "train"))).containsExactly(1L, (1L << 40) + 5);
    assertThat(facts.removals())
        .extracting(
            removal ->
                removal.source()
                    + " "
                    + removal.line()
                    + " "
                    + removal.step()
                    + ": "
                    + removal.rule()
                    + " "
                    + removal.kept())
        .containsExactly(
            "alpha 4 decontaminate: has an n-gram of an evaluation ",
            "alpha 3 gopher_quality: too few words ",
            "alpha 2 exact_dedup: duplicate alpha, line 1");
    assertThat(facts.malformed())
        .extracting(bad -> Path.of(bad.file()).getFileName() + " " + bad.record())
        .containsExactly("b.jsonl 1", "b.jsonl 3", "b.jsonl 4", "c.jsonl 1");
    long records = facts.sources().stream().mapToLong(Facts.Component::records).sum();
    assertThat(records).isEqualTo(10); // the blank line is one
    String markdown = Files.readString(folder.resolve("out/datasheet.md"));
    assertThat(markdown).contains("gopher\\_quality: too few words").contains("too short");
  }

  @Test
  void stepsLookAtTheSourcesThatTheyName() throws IOException {
    String near = documents(1, 5).getFirst();
    lines("a.jsonl", List.of("too short", near, near));
    lines("b.jsonl", List.of("too short", near + " end", near, near));
    lines("c.jsonl", List.of("too short", near));
    Path pipeline =
        pipeline(
            "sources:",
            "  - {name: alpha, path: a.jsonl}",
            "  - {name: beta, path: b.jsonl}",
            "  - {name: gamma, path: c.jsonl}",
            "steps:",
            "  - gopher_quality: {min_stop_words: 0, except: gamma}",
            "  - exact_dedup: {only: beta}",
            "  - gopher_quality: {min_words: 5000, only: [gamma]}",
            "  - minhash_dedup: {except: [alpha]}",
            "output: {format: jsonl}");
    Facts facts = build(pipeline, folder.resolve("out"), "local[2]", 0).facts();
    assertThat(facts.removals())
        .extracting(removal -> removal.source() + " " + removal.step() + " " + removal.documents())
        .containsExactly(
            "alpha gopher_quality 1",
            "beta gopher_quality 1",
            "beta exact_dedup 1",
            "gamma gopher_quality 2",
            "beta minhash_dedup 1");
    assertThat(ids(output(folder.resolve("out"), "train"))).containsExactly(2L, 3L, (1L << 40) + 2);
    assertThat(facts.steps())
        .extracting(Facts.StepText::does)
        .satisfiesExactly(
            does -> assertThat(does).endsWith("; not in gamma"),
            does -> assertThat(does).endsWith("; only in beta"),
            does -> assertThat(does).endsWith("; only in gamma"),
            does -> assertThat(does).endsWith("; not in alpha"));
  }

  @Test
  void aBuildGoesOnFromTheStagesOfOneThatDied() throws IOException {
    lines("a.jsonl", documents(100, 1));
    Path pipeline =
        pipeline(
            "sources: [{name: alpha, path: a.jsonl}]",
            "steps: [exact_dedup, minhash_dedup]",
            "output: {format: jsonl}");
    build(pipeline, folder.resolve("whole"), "local[2]", 0);
    Path out = folder.resolve("out");
    Path stages = folder.resolve(".out.stages");
    diesAt("mix and write", pipeline, out);
    assertThat(out).doesNotExist();
    assertThat(stages.resolve("00-read/_SUCCESS")).exists();
    Files.delete(stages.resolve("02-pairs/_SUCCESS")); // as if it had died here
    CorpusBuild.Result result = build(pipeline, out, "local[2]", 0);
    assertThat(result.times().get("read").cpuSeconds()).isZero();
    assertThat(result.times().get("minhash_dedup: signatures and bands").cpuSeconds()).isPositive();
    assertThat(content(out)).isEqualTo(content(folder.resolve("whole")));
    assertThat(stages).doesNotExist();

    diesAt("minhash_dedup: groups", pipeline, out);
    lines("a.jsonl", documents(101, 1)); // another corpus: nothing of the old stages is of use
    assertThat(build(pipeline, out, "local[2]", 0).facts().sources().getFirst().records())
        .isEqualTo(101);
    assertThat(stages).doesNotExist();
  }

  private static void diesAt(String stage, Path pipeline, Path out) {
    assertThat(
            catchThrowable(
                () ->
                    CorpusBuild.run(
                        Spark.session(),
                        Pipeline.read(pipeline),
                        new CorpusBuild.Options(out, 0, false, true),
                        (task, total) -> {
                          if (task.equals(stage)) {
                            throw new StorageException("died", null, "", "", null);
                          }
                          return Progress.silent();
                        })))
        .hasMessage(
            "died; the same command goes on from the stages that are finished, kept in "
                + out.resolveSibling("." + out.getFileName() + ".stages"));
  }

  @Test
  void repeatedSpansAreCut() throws IOException {
    String notice = "This notice is the same everywhere, in 2019 and later.\n";
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      texts.addAll(documents(10, 12 + i)); // of which none is like another
    }
    for (int i = 10; i < 30; i++) {
      texts.set(i, notice + texts.get(i));
    }
    String run = texts.getFirst().substring(0, 250);
    texts.set(30, notice.replace("2019", "2020") + "\n\n");
    texts.set(31, "Here begins " + run + " and here it ends.");
    lines("a.jsonl", texts.subList(0, 20));
    lines("b.jsonl", texts.subList(20, 40));
    Path pipeline =
        pipeline(
            "sources: [{name: alpha, path: a.jsonl}, {name: beta, path: b.jsonl}]",
            "steps: [line_dedup: {except: alpha}, substring_dedup: {tokens: 30}]",
            "output: {format: jsonl}");
    Facts facts = build(pipeline, folder.resolve("out"), "local[2]", 0).facts();
    build(pipeline, folder.resolve("seven"), "local[2]", 7);
    assertThat(content(folder.resolve("seven"))).isEqualTo(content(folder.resolve("out")));
    Map<Long, String> expected = new HashMap<>();
    for (int i = 0; i < 40; i++) {
      String text = i > 20 && i < 30 ? texts.get(i).substring(notice.length()) : texts.get(i);
      expected.put(i < 20 ? i + 1 : (1L << 40) + i - 19, text);
    }
    expected.remove((1L << 40) + 11);
    Map<Long, String> written = new HashMap<>();
    output(folder.resolve("out"), "train")
        .forEach(
            record ->
                written.put(
                    record.path("meta").path("document").asLong(), record.path("text").asText()));
    assertThat(written.get((1L << 40) + 12)).startsWith("Here begins ").hasSizeLessThan(50);
    expected.put((1L << 40) + 12, written.get((1L << 40) + 12));
    assertThat(written).isEqualTo(expected);
    assertThat(facts.removals())
        .extracting(removal -> removal.step() + ": " + removal.rule() + " " + removal.documents())
        .containsExactly("line_dedup: nothing else is left 1");
    assertThat(facts.spans().getFirst())
        .isEqualTo(
            new Facts.Spans(
                "line_dedup",
                1,
                10,
                9,
                9L * notice.length(),
                List.of(new Facts.Span(notice.strip(), 11, "beta, line 1"))));
    Facts.Spans runs = facts.spans().get(1);
    assertThat(runs.documents()).isEqualTo(1);
    assertThat(runs.bytes())
        .isEqualTo(texts.get(31).length() - written.get((1L << 40) + 12).length());
    assertThat(runs.most()).hasSize(1);
    assertThat(runs.most().getFirst().text()).startsWith(run.substring(0, 200));
    assertThat(Files.readString(folder.resolve("out/datasheet.md")))
        .contains("| line\\_dedup | 11 | beta, line 1 | This notice is the same");
  }

  /** A new dump against the index of an old one keeps what a build of both keeps of it. */
  @Test
  void aNewDumpAgainstTheIndexOfAnOldOne() throws IOException {
    List<String> texts = documents(900, 21);
    lines("old.jsonl", texts.subList(0, 300));
    lines("middle.jsonl", texts.subList(300, 600));
    List<String> fresh = new ArrayList<>(texts.subList(600, 900));
    fresh.addAll(texts.subList(10, 20));
    lines("new.jsonl", fresh);
    String steps = "steps: [exact_dedup: {INDEX}, minhash_dedup: {INDEX}]";
    String output = "output: {format: jsonl}";
    build(
        pipeline(
            "sources:",
            "  - {name: old, path: old.jsonl}",
            "  - {name: middle, path: middle.jsonl}",
            "  - {name: new, path: new.jsonl}",
            steps.replace("INDEX", "write_index: false"),
            output),
        folder.resolve("both"),
        "local[2]",
        0);
    Set<Long> expected = new TreeSet<>();
    ids(output(folder.resolve("both"), "train")).stream()
        .filter(id -> id >= 2L << 40)
        .forEach(id -> expected.add(id - (2L << 40)));
    build(
        pipeline("sources: [{name: old, path: old.jsonl}]", steps.replace("INDEX", ""), output),
        folder.resolve("dump1"),
        "local[2]",
        3);
    build(
        pipeline(
            "sources: [{name: middle, path: middle.jsonl}]",
            steps.replace("INDEX", "index: dump1"),
            output),
        folder.resolve("dump2"),
        "local[2]",
        0);
    Path pipeline =
        pipeline(
            "sources: [{name: new, path: new.jsonl}]",
            steps.replace("INDEX", "index: [dump1, dump2]"),
            output);
    Facts facts = build(pipeline, folder.resolve("dump3"), "local[2]", 0).facts();
    assertThat(ids(output(folder.resolve("dump3"), "train"))).isEqualTo(expected);
    assertThat(expected.size()).isBetween(150, 290);
    assertThat(facts.removals())
        .filteredOn(removal -> removal.rule().equals("duplicate of an earlier build"))
        .extracting(Facts.Removal::step)
        .containsExactly("exact_dedup", "minhash_dedup");
    assertThat(facts.duplicates().get(0).earlier()).isGreaterThanOrEqualTo(10);
    assertThat(folder.resolve("both/exact_dedup.index")).doesNotExist();

    Path index = folder.resolve("dump1/minhash_dedup.index");
    byte[] whole = Files.readAllBytes(index);
    Files.write(index, Arrays.copyOf(whole, whole.length - 3));
    assertThat(failure(pipeline, false))
        .isInstanceOf(InputException.class)
        .hasMessage(
            pipeline
                + ": minhash_dedup: "
                + index
                + ": expected keys of minhash_dedup: ngram 5, bands 14, rows 8, seed 1, found keys"
                + " of minhash_dedup: ngram 5, bands 14, rows 8, seed 1, or a file that is cut"
                + " off");
    Files.delete(index);
    assertThat(failure(pipeline, false))
        .hasMessage(
            pipeline
                + ": minhash_dedup: "
                + index
                + ": no such file: index names the folder of an earlier corpus build with"
                + " minhash_dedup");
  }

  @Test
  void aClassifierIsTrainedOnASource() throws IOException {
    List<String> good = new ArrayList<>();
    List<String> bad = new ArrayList<>();
    List<String> mixed = new ArrayList<>();
    Random random = new Random(4);
    for (int i = 0; i < 120; i++) {
      good.add(letters(random, 'a', 'm'));
      bad.add(letters(random, 'm', 'z'));
      mixed.add(i % 2 == 0 ? letters(random, 'a', 'm') : letters(random, 'm', 'z'));
    }
    lines("good.jsonl", good);
    lines("bad.jsonl", bad);
    lines("mixed.jsonl", mixed);
    String[] sources = {
      "sources:",
      "  - {name: good, path: good.jsonl}",
      "  - {name: bad, path: bad.jsonl}",
      "  - {name: mixed, path: mixed.jsonl}",
      "steps: [quality_classifier: {positive: good, sample: 150}]",
      "output: {format: jsonl}"
    };
    Facts facts = build(pipeline(sources), folder.resolve("out"), "local[2]", 0).facts();
    assertThat(facts.classifiers().getFirst().accuracy()).isGreaterThan(0.7);
    Set<Long> kept = ids(output(folder.resolve("out"), "train"));
    assertThat(kept.stream().filter(id -> id < 1L << 40)).hasSize(120); // passed by
    long keptGood = kept.stream().filter(id -> id > 2L << 40 && id % 2 == 1).count();
    long keptBad = kept.stream().filter(id -> id > 2L << 40 && id % 2 == 0).count();
    assertThat(keptGood).isGreaterThan(2 * keptBad);
    assertThat(keptBad).isLessThan(20);
    assertThat(facts.removals())
        .extracting(removal -> removal.source() + " " + removal.step() + ": " + removal.rule())
        .containsExactly(
            "bad quality_classifier: low quality", "mixed quality_classifier: low quality");
    assertThat(
            catchThrowable(
                () ->
                    Pipeline.read(pipeline(replaced(sources, "positive: good", "positive: god")))))
        .hasMessage(
            folder.resolve("p.yml")
                + ": steps[0] (quality_classifier).positive: expected the name of a source, found"
                + " \"god (did you mean good?)\"");
    lines("good.jsonl", good.subList(0, 3));
    assertThat(failure(pipeline(sources), false))
        .hasMessage(
            folder.resolve("p.yml")
                + ": quality_classifier: expected 10 documents and more of good and of the others,"
                + " found 3 and 150");
  }

  private static String[] replaced(String[] lines, String old, String by) {
    return Arrays.stream(lines).map(line -> line.replace(old, by)).toArray(String[]::new);
  }

  /** Words of three letters of a range. */
  private static String letters(Random random, int from, int to) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 200; i++) {
      text.append(random.nextInt(4) > 0 ? ' ' : (char) random.nextInt(from, to));
      text.append((char) random.nextInt(from, to)).append((char) random.nextInt('a', 'z'));
    }
    return text.toString();
  }

  @Test
  void licencesOfDocumentsAreCounted() throws IOException {
    Files.writeString(
        folder.resolve("a.jsonl"),
        """
        {"text": "of the first", "meta": {"package": "debian:first", "licence": "MIT"}}
        {"text": "of the second", "meta": {"licence": "Apache-2.0"}}
        {"text": "of the second too", "meta": {"licence": "Apache-2.0"}}
        {"text": "of neither", "meta": {"licence": "GPL-2.0-only"}}
        """);
    Files.writeString(
        folder.resolve("b.jsonl"),
        """
        {"text": "says nothing"}
        {"text": "says something else", "meta": {"licence": ["x"]}}
        """);
    lines("c.jsonl", List.of("a source without a licence"));
    Files.writeString(folder.resolve("p.lock"), "debian:first 1:2.0-3 10 " + "0".repeat(64) + "\n");
    Path pipeline =
        pipeline(
            "sources:",
            "  - name: alpha",
            "    path: a.jsonl",
            "    packages:",
            "      - {package: debian:first, licence: MIT}",
            "      - {package: 'npm:second@1.0', licence: Apache-2.0}",
            "  - {name: beta, path: b.jsonl, licence: BSD-3-Clause}",
            "  - {name: gamma, path: c.jsonl}",
            "output: {format: jsonl}");
    Facts facts = build(pipeline, folder.resolve("out"), "local[2]", 0).facts();
    assertThat(facts.sources().get(0).licences())
        .containsExactly(
            new Facts.Licence("", List.of(), 1, 10),
            new Facts.Licence("Apache-2.0", List.of("npm:second@1.0"), 2, 30),
            new Facts.Licence("MIT", List.of("debian:first 1:2.0-3"), 1, 12));
    assertThat(facts.sources().get(1).licences())
        .containsExactly(new Facts.Licence("BSD-3-Clause", List.of(), 2, 31));
    assertThat(facts.sources().get(2).licences()).isEmpty();
    assertThat(Files.readString(folder.resolve("out/datasheet.html")))
        .contains(
            "<td>alpha</td><td class=\"number\">1</td><td class=\"number\">12 bytes</td>"
                + "<td>MIT</td><td>debian:first 1:2.0-3</td>",
            "<td>not stated</td>");
  }

  @Test
  void aLineIsCountedAcrossPiecesAndFiles() throws IOException {
    List<String> texts = documents(50, 6);
    Path file = lines("a.jsonl", texts);
    long size = Files.size(file);
    for (long piece : new long[] {1, 100, 997, size - 1, size, size + 1}) {
      List<String> read = new ArrayList<>();
      long line = 0;
      for (long from = 0; from < size; from += piece) {
        try (RecordReader records =
            new JsonLinesRecords(file, from, Math.min(size, from + piece), Source.TEXT)) {
          for (RecordReader.Raw raw = records.next(); raw != null; raw = records.next()) {
            read.add(raw.text());
            assertThat(line + raw.line()).isEqualTo(read.size());
          }
          line += records.lines();
        }
      }
      assertThat(read).as("pieces of %s bytes", piece).isEqualTo(texts);
    }
  }

  @Test
  void badSourcesAreOneLineAndLeaveNothing() throws IOException {
    Path zst = folder.resolve("a.jsonl.zst");
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (com.github.luben.zstd.ZstdOutputStream out =
        new com.github.luben.zstd.ZstdOutputStream(bytes)) {
      for (String text : documents(300, 8)) {
        out.write(
            (JSON.writeValueAsString(Map.of("text", text)) + "\n")
                .getBytes(StandardCharsets.UTF_8));
      }
    }
    Files.write(zst, Arrays.copyOf(bytes.toByteArray(), bytes.size() / 2));
    Path pipeline =
        pipeline("sources: [{name: alpha, path: a.jsonl.zst}]", "output: {format: jsonl}");
    assertThat(failure(pipeline, false))
        .isInstanceOf(StorageException.class)
        .hasMessageStartingWith(pipeline + ": source alpha: " + zst + ": cannot be read: ");
    Files.delete(zst);
    assertThat(failure(pipeline, false))
        .isInstanceOf(InputException.class)
        .hasMessage(pipeline + ": source alpha: " + zst + ": no such file or folder");
    Files.writeString(folder.resolve("b.jsonl"), "{\"text\": \"a\"}\n{\"text\": 5}\n");
    Path strict = pipeline("sources: [{name: beta, path: b.jsonl}]", "output: {format: jsonl}");
    assertThat(failure(strict, true))
        .hasMessage(
            strict
                + ": source beta: "
                + folder.resolve("b.jsonl")
                + ": record 2: expected the key \"text\" with a string, found a number");
    Files.writeString(folder.resolve("b.jsonl"), "{\"text\": 5}\n");
    assertThat(failure(strict, false)).hasMessageContaining("expected documents, found none");
    Path full = pipeline("sources: [{name: beta, path: b.jsonl}]", "output: {format: jsonl}");
    assertThat(
            catchThrowable(
                () ->
                    CorpusBuild.run(
                        Spark.session(),
                        Pipeline.read(full),
                        new CorpusBuild.Options(folder.resolve("out"), 0, false, true),
                        (task, total) -> {
                          throw new IllegalStateException( // as Spark reports a task's failure
                              "task failed", new IOException("No space left on device"));
                        })))
        .isInstanceOf(StorageException.class)
        .hasMessage(folder.resolve("out") + ": cannot be written: No space left on device");
    Path untrained =
        pipeline(
            "sources: [{name: beta, path: b.jsonl}]",
            "output: {format: megatron, tokenizer: tokenizer.json}");
    assertThat(failure(untrained, false))
        .hasMessage(
            untrained
                + ": output.tokenizer: "
                + folder.resolve("tokenizer.json")
                + ": no such file (make it with: jneox tokenizer train --vocab-size 16384 --out "
                + folder.resolve("tokenizer.json")
                + " and the paths of the sources)");
    try (Stream<Path> list = Files.list(folder)) {
      assertThat(list.map(path -> path.getFileName().toString()))
          .containsExactlyInAnyOrder("p.yml", "b.jsonl");
    }
  }

  private Throwable failure(Path pipeline, boolean strict) {
    return catchThrowable(
        () ->
            CorpusBuild.run(
                Spark.session(),
                Pipeline.read(pipeline),
                new CorpusBuild.Options(folder.resolve("out"), 0, strict, true),
                (task, total) -> Progress.silent()));
  }

  @Test
  void componentsAreThoseOfASearch() {
    Random random = new Random(3);
    int n = 300;
    long[] from = new long[200];
    long[] to = new long[200];
    List<org.apache.spark.sql.Row> rows = new ArrayList<>();
    for (int i = 0; i < from.length; i++) {
      from[i] = random.nextInt(n);
      to[i] = i % 3 == 0 && from[i] + 1 < n ? from[i] + 1 : random.nextInt(n);
      rows.add(org.apache.spark.sql.RowFactory.create(from[i], to[i]));
    }
    long[] smallest = new long[n];
    Arrays.setAll(smallest, i -> i);
    for (boolean changed = true; changed; ) {
      changed = false;
      for (int i = 0; i < from.length; i++) {
        long least = Math.min(smallest[(int) from[i]], smallest[(int) to[i]]);
        changed |= smallest[(int) from[i]] != least || smallest[(int) to[i]] != least;
        smallest[(int) from[i]] = least;
        smallest[(int) to[i]] = least;
      }
    }
    Set<String> expected = new HashSet<>();
    for (int i = 0; i < n; i++) {
      if (smallest[i] != i) {
        expected.add(i + " " + smallest[i]);
      }
    }
    Components components = new Components(from, to);
    Set<String> joined = new HashSet<>();
    for (int i = 0; i < components.ids().length; i++) {
      if (components.ids()[i] != components.smallest(i)) {
        joined.add(components.ids()[i] + " " + components.smallest(i));
      }
    }
    assertThat(joined).isEqualTo(expected);
    Set<String> stars = new HashSet<>();
    Components.byStars(
            Spark.session().createDataFrame(rows, Rows.PAIRS), kept -> kept.localCheckpoint(true))
        .collectAsList()
        .forEach(row -> stars.add(row.getLong(0) + " " + row.getLong(1)));
    assertThat(stars).isEqualTo(expected);
  }
}
