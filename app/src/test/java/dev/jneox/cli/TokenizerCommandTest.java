package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.tokenizer.Tokenizer;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String TEXT =
      "the cat and the dog, the cat's hat, and the café of the 猫 \uD83D\uDE42\uD83D\uDE42\n";

  @TempDir private Path folder;
  private Path corpus;
  private Path tokenizer;

  /** What a run of the command line left behind. */
  private record Run(int code, String out, String err) {}

  @BeforeEach
  void writeCorpus() throws IOException {
    corpus = Files.writeString(folder.resolve("corpus.txt"), TEXT.repeat(20));
    tokenizer = folder.resolve("tokenizer.json");
  }

  private static Run run(byte[] input, String... args) {
    InputStream in = System.in;
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream outBytes = new ByteArrayOutputStream();
    ByteArrayOutputStream errBytes = new ByteArrayOutputStream();
    try {
      System.setIn(new ByteArrayInputStream(input));
      // As under LANG=C: what is written must not go through the stream's own charset.
      System.setOut(new PrintStream(outBytes, true, StandardCharsets.US_ASCII));
      System.setErr(new PrintStream(errBytes, true, StandardCharsets.UTF_8));
      int code = Main.run(args);
      return new Run(
          code,
          outBytes.toString(StandardCharsets.UTF_8),
          errBytes.toString(StandardCharsets.UTF_8));
    } finally {
      System.setIn(in);
      System.setOut(out);
      System.setErr(err);
    }
  }

  private static Run run(String input, String... args) {
    return run(input.getBytes(StandardCharsets.UTF_8), args);
  }

  private Run train(String vocabSize) {
    return train(vocabSize, "--json", "--force");
  }

  private Run train(String vocabSize, String... options) {
    String[] words = {
      "tokenizer",
      "train",
      "--vocab-size",
      vocabSize,
      "--out",
      tokenizer.toString(),
      corpus.toString()
    };
    return run("", Stream.concat(Stream.of(words), Stream.of(options)).toArray(String[]::new));
  }

  @Test
  void trainSaysInWordsWhatItDidAndReplacesOnRequestOnly() {
    Run first = train("280", new String[0]);
    assertThat(first.code).as(first.err).isZero();
    assertThat(first.out.lines())
        .satisfiesExactly(
            line -> assertThat(line).startsWith(tokenizer + ": 280 tokens, learned from 1 "),
            line -> assertThat(line).contains(" bytes a token on these texts"),
            line -> assertThat(line).startsWith("next: jneox prepare --tokenizer " + tokenizer));
    Run second = train("280", new String[0]);
    assertThat(second.code).isEqualTo(1);
    assertThat(second.err)
        .isEqualTo(
            "jneox: "
                + tokenizer
                + ": exists already: choose another name, or replace it with --force\n");
  }

  @Test
  void trainWritesATokenizerAndSaysHowWellItFits() throws IOException {
    Run run = train("280");
    assertThat(run.code).isZero();
    JsonNode report = JSON.readTree(run.out);
    assertThat(report.get("vocab_size").intValue()).isEqualTo(280);
    assertThat(report.get("documents").intValue()).isEqualTo(1);
    assertThat(report.get("bytes").longValue()).isEqualTo(Files.size(corpus));
    try (Tokenizer loaded = Tokenizer.load(tokenizer)) {
      int tokens = loaded.encode(Files.readString(corpus)).length;
      assertThat(report.get("tokens").intValue()).isEqualTo(tokens);
      assertThat(report.get("bytes_per_token").doubleValue())
          .isEqualTo((double) Files.size(corpus) / tokens);
    }
    assertThat(run.err).contains("counting words").contains("learning");
  }

  @Test
  void trainSaysWhenTheTextsAreTooFewForTheVocabulary() throws IOException {
    Run run = train("5000");
    assertThat(run.code).isZero();
    assertThat(run.err).contains("no further pair occurs twice");
    assertThat(JSON.readTree(run.out).get("vocab_size").intValue()).isLessThan(5000);
  }

  @Test
  void trainRefusesAVocabularyWithoutRoomForTheBytes() {
    Run run = train("257");
    assertThat(run.code).isEqualTo(2);
    assertThat(run.err).contains("at least 258").contains("found 257");
    assertThat(tokenizer).doesNotExist();
  }

  @Test
  void trainLeavesNothingBehindWhenTheInputIsBad() throws IOException {
    Files.writeString(folder.resolve("bad.jsonl"), "{\"text\": \"good\"}\n{\"text\": \n");
    corpus = folder.resolve("bad.jsonl");
    Run run = train("300");
    assertThat(run.code).isEqualTo(1);
    assertThat(run.err).contains("bad.jsonl").contains("line 2");
    assertThat(folder.toFile().list()).containsExactlyInAnyOrder("corpus.txt", "bad.jsonl");
  }

  @Test
  void trainOfNothingIsOneLineAndTheTokenizerStays() throws IOException {
    train("280");
    byte[] before = Files.readAllBytes(tokenizer);
    corpus = Files.createDirectory(folder.resolve("empty"));
    nothing("jneox: " + corpus + ": folder: expected files that end in .jsonl");
    Files.createFile(corpus.resolve("a.txt"));
    Files.writeString(corpus.resolve("b.jsonl"), "{\"text\": \"\"}\n{\"text\": \"\"}\n");
    nothing(
        "jneox: "
            + corpus
            + ": expected text, found none: 2 files, 3 documents, 0 skipped as bad, 3 empty");
    Files.writeString(corpus.resolve("a.txt"), "abc");
    nothing(
        "jneox: the texts: expected pairs of letters that occur twice, found none: 3 documents of 3"
            + " bytes; give more text");
    assertThat(tokenizer).hasBinaryContent(before);
    assertThat(train("258").code()).as("no merges are asked for").isZero();
  }

  private void nothing(String message) {
    Run run = train("300");
    assertThat(run.code).isEqualTo(1);
    assertThat(run.out).isEmpty();
    assertThat(run.err.lines().filter(line -> line.startsWith("jneox: ")))
        .singleElement()
        .asString()
        .startsWith(message);
  }

  /** A filter makes nothing of nothing. */
  @Test
  void noLinesAreAnsweredByNone() {
    train("300");
    for (String command : new String[] {"encode", "decode"}) {
      assertThat(run("\n", "tokenizer", command, "--tokenizer", tokenizer.toString()))
          .isEqualTo(new Run(0, "", ""));
    }
  }

  @Test
  @Tag("slow")
  void encodeReadsTextsOfAnyLength() {
    assertThat(train("300").code).isZero();
    // A parser's default limit is twenty million characters.
    String line = "{\"text\": \"" + "int ".repeat(5_000_001) + "\", \"ppl\": NaN}";
    Run encoded = run(line, "tokenizer", "encode", "--tokenizer", tokenizer.toString());
    assertThat(encoded.err).isEmpty();
    assertThat(encoded.code).isZero();
    assertThat(encoded.out.contains("int ".repeat(5_000_001))).isTrue();
  }

  @Test
  void encodeAndDecodeUndoEachOther() throws IOException {
    train("300");
    String lines =
        "{\"text\": \"the café 猫\\n\\ud83d\\ude42\"}\n\n{\"meta\": 1, \"text\": \"\"}\r\n"
            + "{\"text\": \"a<|endoftext|>\\ud83d\"}";
    String[] texts = {"the café 猫\n🙂", "", "a<|endoftext|>\uFFFD"};
    Run encoded = run(lines, "tokenizer", "encode", "--tokenizer", tokenizer.toString());
    assertThat(encoded.code).isZero();
    assertThat(encoded.out.lines().map(line -> field(line, "decoded"))).containsExactly(texts);
    Run one =
        run("", "tokenizer", "encode", "--tokenizer", tokenizer.toString(), "--text", texts[0]);
    assertThat(one.code).isZero();
    assertThat(one.out.lines()).hasSize(1);
    assertThat(field(one.out.strip(), "decoded")).isEqualTo(texts[0]);
    String first = encoded.out.lines().findFirst().orElseThrow();
    assertThat(one.out).startsWith(first.substring(0, first.indexOf(']') + 1));
    Run decoded = run(encoded.out, "tokenizer", "decode", "--tokenizer", tokenizer.toString());
    assertThat(decoded.code).isZero();
    assertThat(decoded.out.lines().map(line -> field(line, "text"))).containsExactly(texts);
    Run reference =
        run(lines, "tokenizer", "encode", "--reference", "--tokenizer", tokenizer.toString());
    assertThat(reference).isEqualTo(encoded);
  }

  private static String field(String line, String key) {
    try {
      return JSON.readTree(line).get(key).textValue();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aBadLineIsNamedAfterTheGoodOnesAreAnswered() {
    train("300");
    refused("encode", "{\"text\": \"x\"}\n{\"text\": \"x\"", "line 2: expected a JSON object");
    refused(
        "encode",
        "{\"text\": \"x\"}\n\n{\"text\": 3}\n",
        "line 3: key text: expected a string, found 3");
    refused(
        "encode", "{\"text\": \"x\"}\n[]\n", "line 2: key text: expected a string, found nothing");
    refused("encode", "{\"text\": \"x\"}\n{\"text\": \"y\"} {}\n", "line 2");
    refused(
        "decode",
        "{\"ids\": []}\n{\"ids\": [3, 300]}\n",
        "line 2: key ids, entry 1: expected an id of the vocabulary, 0");
    refused("decode", "{\"ids\": [1]}\n{\"ids\": [-1]}\n", "found -1");
    refused("decode", "{\"ids\": [1]}\n{\"ids\": [1.0]}\n", "found 1.0");
    refused("decode", "{\"ids\": [1]}\n{\"ids\": [4294967296]}\n", "found 4294967296");
    refused(
        "decode",
        "{\"ids\": [1]}\n{\"text\": \"x\"}\n",
        "line 2: key ids: expected an array, found nothing");
  }

  private void refused(String command, String input, String message) {
    Run run = run(input, "tokenizer", command, "--tokenizer", tokenizer.toString());
    assertThat(run.code).isEqualTo(1);
    assertThat(run.out.lines()).hasSize(1);
    assertThat(run.err).startsWith("jneox: standard input: ").contains(message);
    assertThat(run.err.lines()).hasSize(1);
  }

  @Test
  void bytesThatAreNoUtf8AreRefused() {
    train("300");
    byte[] latin1 = "{\"text\": \"é\"}".getBytes(StandardCharsets.ISO_8859_1);
    Run run = run(latin1, "tokenizer", "encode", "--tokenizer", tokenizer.toString());
    assertThat(run.code).isEqualTo(1);
    assertThat(run.err).contains("line 1: expected UTF-8");
  }

  @Test
  void aTokenizerThatIsNoneIsNamed() {
    Run run = run("", "tokenizer", "encode", "--tokenizer", corpus.toString());
    assertThat(run.code).isEqualTo(1);
    assertThat(run.err).contains(corpus.toString()).contains("line 1");
    assertThat(run("", "tokenizer", "decode").code).isEqualTo(2);
  }

  @Test
  void theHelpShowsExamples() {
    for (String command : new String[] {"train", "encode", "decode"}) {
      Run run = run("", "tokenizer", command, "--help");
      assertThat(run.code).isZero();
      assertThat(run.out).contains("Example:").contains("jneox tokenizer " + command);
    }
  }
}
