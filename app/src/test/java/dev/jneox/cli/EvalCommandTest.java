package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.data.CorpusComponents;
import dev.jneox.data.ElementType;
import dev.jneox.data.Npy;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.Tokenizer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code eval} and the summary of {@code score} over a model of random weights. */
class EvalCommandTest {
  private static final Path FIXTURE =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");
  private static final String TEXT = "int max(int a, int b) { return a > b ? a : b; }";

  @TempDir static Path dir;
  private static String model;
  private static Path texts;

  @BeforeAll
  static void make() throws IOException {
    Path folder = Files.createDirectory(dir.resolve("model"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(FIXTURE.resolve(file), folder.resolve(file));
    }
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of(TEXT).iterator());
    trainer.train(merges -> {}).write(folder.resolve("tokenizer.json"));
    model = folder.toString();
    texts =
        Files.writeString(
            dir.resolve("texts.jsonl"),
            """
            {"text": "%s"}
            {"text": ""}
            {"text": "return ä;\\n"}
            """
                .formatted(TEXT));
  }

  private static JsonNode json(String... args) throws IOException {
    Output output = Output.of(args);
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out().lines()).hasSize(1);
    return new ObjectMapper().readTree(output.out());
  }

  /** The sum of the scores of a document that {@code score} reads after an end-of-text token. */
  private static double sum(String text) throws IOException {
    StringBuilder ids = new StringBuilder();
    JsonNode config = new ObjectMapper().readTree(Path.of(model, "config.json").toFile());
    ids.append(config.get("eos_token_id").intValue());
    try (Tokenizer tokenizer = Tokenizer.load(Path.of(model, "tokenizer.json"))) {
      for (int id : tokenizer.encode(text)) {
        ids.append(' ').append(id);
      }
    }
    JsonNode scores = json("score", "--model", model, "--ids", ids.toString(), "--json");
    double sum = 0;
    for (int i = 1; i < scores.get("logprobs").size(); i++) {
      sum += scores.get("logprobs").get(i).doubleValue();
    }
    assertThat(scores.at("/summary/logprob").doubleValue()).isEqualTo(sum); // to the last bit
    return sum;
  }

  @Test
  void theMeasuresAreThoseOfAllDocumentsAndOfEach() throws IOException {
    JsonNode report = json("eval", "--model", model, "--file", texts.toString(), "--json");
    assertThat(report.get("documents").intValue()).as("without the empty one").isEqualTo(2);
    double first = sum(TEXT);
    double second = sum("return ä;\n");
    assertThat(report.at("/per_document/0/logprob").doubleValue()).isEqualTo(first);
    assertThat(report.at("/per_document/1/logprob").doubleValue()).isEqualTo(second);
    int bytes = TEXT.length() + 11;
    long tokens = report.get("tokens").longValue();
    assertThat(report.get("bytes").intValue()).isEqualTo(bytes);
    assertThat(report.get("words").intValue()).isEqualTo(TEXT.split(" ").length + 3);
    assertThat(report.get("loss").doubleValue())
        .isCloseTo(-(first + second) / tokens, within(1e-4));
    assertThat(report.get("bits_per_byte").doubleValue())
        .isCloseTo(-(first + second) / Math.log(2) / bytes, within(1e-4));
    assertThat(report.get("unigram_loss").doubleValue()).isBetween(1.0, Math.log(512));
  }

  @Test
  void preparedDataGivesTheSameNumbersAsItsTexts() throws IOException {
    String prefix = dir.resolve("data").toString();
    JsonNode config = new ObjectMapper().readTree(Path.of(model, "config.json").toFile());
    assertThat(config.get("eos_token_id").intValue()).isZero(); // <|endoftext|> of the tokenizer
    Output prepared =
        Output.of(
            "prepare", "--tokenizer", model + "/tokenizer.json", "--out", prefix, texts.toString());
    assertThat(prepared.code()).as(prepared.err()).isZero();
    JsonNode data = json("eval", "--model", model, "--data", prefix, "--json");
    JsonNode file = json("eval", "--model", model, "--file", texts.toString(), "--json");
    for (String key : List.of("tokens", "bytes", "words", "logprob", "unigram_loss")) {
      assertThat(data.get(key)).as(key).isEqualTo(file.get(key));
    }
    JsonNode one = json("eval", "--model", model, "--data", prefix, "--limit", "1", "--json");
    assertThat(one.get("per_document")).hasSize(1);
    assertThat(one.at("/per_document/0")).isEqualTo(data.at("/per_document/0"));
  }

  @Test
  void dataOfACorpusIsSummedByComponent() throws IOException {
    String prefix = dir.resolve("mixed").toString();
    assertThat(
            Output.of(
                    "prepare",
                    "--tokenizer",
                    model + "/tokenizer.json",
                    "--out",
                    prefix,
                    texts.toString())
                .code())
        .isZero();
    JsonNode before = json("eval", "--model", model, "--data", prefix, "--json");
    assertThat(before.has("per_component")).isFalse();
    int documents = before.get("documents").intValue();
    assertThat(documents).isGreaterThan(1);
    Path ids = Path.of(prefix + ".documents.npy");
    try (Arena arena = Arena.ofConfined()) {
      Npy array = Npy.allocate(arena, ElementType.I64, documents);
      for (int d = 0; d < documents; d++) {
        array
            .data()
            .setAtIndex(
                ValueLayout.JAVA_LONG,
                d,
                ((d == 1 ? 2L : 0) << CorpusComponents.LINE_BITS) + d + 1);
      }
      array.write(ids);
    }
    Path facts = dir.resolve("corpus.json");
    Files.writeString(
        facts, "{\"sources\":[{\"name\":\"a\"},{\"name\":\"none\"},{\"name\":\"b\"}]}");
    JsonNode report = json("eval", "--model", model, "--data", prefix, "--json");
    assertThat(report.get("per_component").fieldNames()).toIterable().containsExactly("a", "b");
    JsonNode b = report.get("per_component").get("b");
    assertThat(b).isEqualTo(report.get("per_document").get(1));
    assertThat(report.get("per_component").get("a").get("tokens").longValue())
        .isEqualTo(report.get("tokens").longValue() - b.get("tokens").longValue());
    Files.writeString(facts, "{\"sources\":[{\"name\":\"a\"}]}");
    Output refused = Output.of("eval", "--model", model, "--data", prefix);
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err())
        .contains("document 1: expected one of the 1 sources of " + facts + ", found source 2");
    Files.delete(facts);
    Files.delete(ids);
  }

  @Test
  void theSummaryComesFirst() {
    Output output = Output.of("eval", "--model", model, "--file", texts.toString());
    assertThat(output.code()).as(output.err()).isZero();
    List<String> lines = output.out().lines().toList();
    assertThat(lines.get(0)).matches("loss .* nats a token, perplexity .*, .* bits a byte");
    assertThat(lines.get(1)).startsWith("a unigram model: loss ");
    assertThat(lines.subList(lines.size() - 2, lines.size()))
        .satisfiesExactly(
            line -> assertThat(line).contains("int max(int a"),
            line -> assertThat(line).contains("return ä;"));
    Output score = Output.of("score", "--model", model, "--text", TEXT);
    assertThat(score.out()).startsWith("loss ").contains("a unigram model: loss ", "\"int\"");
  }

  @Test
  void theSummaryOfScoreLeavesOutTheFirstToken() throws IOException {
    JsonNode report = json("score", "--model", model, "--text", TEXT, "--json");
    JsonNode summary = report.get("summary");
    assertThat(summary.get("tokens").intValue()).isEqualTo(report.get("ids").size() - 1);
    try (Tokenizer tokenizer = Tokenizer.load(Path.of(model, "tokenizer.json"))) {
      int first = tokenizer.decode(new int[] {report.get("ids").get(0).intValue()}).length();
      assertThat(summary.get("bytes").intValue()).isEqualTo(TEXT.length() - first);
    }
    JsonNode ids = json("score", "--model", FIXTURE.toString(), "--ids", "1 2 3", "--json");
    assertThat(ids.get("summary").has("loss")).isTrue();
    assertThat(ids.get("summary").has("bits_per_byte")).as("no tokenizer").isFalse();
  }

  @Test
  void progressCountsDocumentsToo() {
    Output output = Output.of("eval", "--model", model, "--file", texts.toString());
    assertThat(output.err()).containsPattern("evaluating: [0-9,]+ tokens, .*, [0-9]+ documents");
  }

  @Test
  void nothingToReadIsOneLine() throws IOException {
    Path empty = Files.writeString(dir.resolve("empty.txt"), "");
    Output output = Output.of("eval", "--model", model, "--file", empty.toString());
    assertThat(output.code()).isEqualTo(1);
    assertThat(output.err()).contains("empty.txt: expected documents to evaluate, found none");
    Output limit = Output.of("eval", "--model", model, "--file", texts.toString(), "--limit", "0");
    assertThat(limit.err())
        .isEqualTo("jneox: --limit: expected 1 or more, found 0 (see jneox eval --help)\n");
    assertThat(limit.code()).isEqualTo(2);
  }

  /** 0x9b begins an escape sequence on some terminals, U+202E turns the rest of the line around. */
  @Test
  void theBeginOfADocumentDoesNothingToATerminal() throws IOException {
    Path file = dir.resolve("evil.txt");
    Files.writeString(file, "int \u009b31m\u001b[2J \u202e\r\n\tmax " + "\uD83D\uDE00".repeat(200));
    Output output = Output.of("eval", "--model", model, "--file", file.toString());
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out())
        .contains("int \\u009b31m\\u001b[2J \\u202e max")
        .doesNotContain("\u009b", "\u001b", "\u202e", "?");
  }
}
