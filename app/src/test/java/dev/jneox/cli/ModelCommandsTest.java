package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.weights.Dtype;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * {@code score} and {@code generate} over a model of random weights, with and without a tokenizer.
 */
class ModelCommandsTest {
  /** The fixtures of the core's own parity tests, read where they are. */
  private static final Path IDS_ONLY =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");

  @TempDir static Path model;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeAll
  static void addTokenizer() throws IOException {
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(IDS_ONLY.resolve(file), model.resolve(file));
    }
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(
        List.of("public final class Max { static int max(int a, int b) { return a > b ? a : b; } }")
            .iterator());
    trainer.train(merges -> {}).write(model.resolve("tokenizer.json"));
  }

  private int run(String... args) {
    out.getBuffer().setLength(0);
    err.getBuffer().setLength(0);
    return Main.commandLine()
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err, true))
        .execute(args);
  }

  private JsonNode json(String... args) throws IOException {
    assertThat(run(args)).as(err.toString()).isZero();
    assertThat(out.toString().lines()).hasSize(1);
    return new ObjectMapper().readTree(out.toString());
  }

  /** A row of a fixture. */
  private static float[] expected(String name, int from, int to) {
    try (Safetensors file = Safetensors.open(IDS_ONLY.resolve("expected.safetensors"))) {
      MemorySegment data = file.data(name).orElseThrow();
      float[] row = new float[to - from];
      for (int i = 0; i < row.length; i++) {
        row[i] =
            file.dtype(name) == Dtype.I64
                ? data.get(ValueLayout.JAVA_LONG_UNALIGNED, 8L * (from + i))
                : data.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * (from + i));
      }
      return row;
    }
  }

  private static String ids(float[] ids) {
    StringBuilder list = new StringBuilder();
    for (float id : ids) {
      list.append((int) id).append(' ');
    }
    return list.toString();
  }

  @Test
  void scoresOfIdsAreThoseOfHfTransformers() throws IOException {
    String ids = ids(expected("input_ids", 0, 41));
    JsonNode report = json("score", "--model", IDS_ONLY.toString(), "--ids", ids, "--json");
    assertThat(report.get("ids").toString()).isEqualTo("[" + ids.strip().replace(' ', ',') + "]");
    float[] scores = expected("token_logprobs", 0, 40);
    assertThat(report.get("logprobs").size()).isEqualTo(41);
    assertThat(report.get("logprobs").get(0).isNull()).isTrue();
    for (int i = 0; i < 40; i++) {
      assertThat(report.get("logprobs").get(i + 1).floatValue())
          .isCloseTo(scores[i], within(1e-4f));
    }
  }

  @Test
  void aTextIsScoredAsItsIdsAre() throws IOException {
    JsonNode report = json("score", "--model", model.toString(), "--text", "int max(ä)", "--json");
    try (Tokenizer tokenizer = Tokenizer.load(model.resolve("tokenizer.json"))) {
      int[] ids = tokenizer.encode("int max(ä)");
      assertThat(report.get("ids").toString())
          .isEqualTo(Arrays.stream(ids).boxed().toList().toString().replace(" ", ""));
    }
    assertThat(run("score", "--model", model.toString(), "--text", "int max(ä)")).isZero();
    assertThat(out.toString()).contains("\"int\"").contains("perplexity");
  }

  @Test
  void eachOfSeveralSamplesIsWhatItsSeedWrites() throws IOException {
    String[] line = {
      "generate",
      "--model",
      model.toString(),
      "--prompt",
      "int max",
      "--temperature",
      "0.9",
      "--max-tokens",
      "9",
      "--json",
      "--seed",
      "5",
      "-n",
      "3"
    };
    assertThat(run(line)).as(err.toString()).isZero();
    List<String> samples = out.toString().lines().toList();
    assertThat(samples).hasSize(3);
    for (int i = 0; i < 3; i++) {
      JsonNode sample = new ObjectMapper().readTree(samples.get(i));
      assertThat(sample.get("seed").intValue()).isEqualTo(5 + i);
      line[11] = String.valueOf(5 + i);
      line[13] = "1";
      assertThat(sample.get("ids")).isEqualTo(json(line).get("ids"));
    }
    assertThat(
            run(
                "generate",
                "--model",
                model.toString(),
                "--prompt",
                "int",
                "--top-p",
                "0.9",
                "-n",
                "2",
                "--max-tokens",
                "3"))
        .isZero();
    assertThat(out.toString()).contains("--- sample 1 of 2, seed 1234", "--- sample 2 of 2");
    assertThat(run("generate", "--model", model.toString(), "--prompt", "int", "-n", "2"))
        .isEqualTo(2);
    assertThat(err.toString()).contains("-n: without a temperature all 2 samples are the same");
    assertThat(run("generate", "--model", model.toString(), "--prompt", "int", "-n", "0"))
        .isEqualTo(2);
  }

  @Test
  void aPromptMayBeAFile() throws IOException {
    Path file = Files.writeString(model.resolve("prompt.txt"), "int ä\n");
    try {
      assertThat(
              json(
                      "generate",
                      "--model",
                      model.toString(),
                      "--prompt-file",
                      file.toString(),
                      "--json")
                  .get("prompt_ids"))
          .isEqualTo(
              json("generate", "--model", model.toString(), "--prompt", "int ä\n", "--json")
                  .get("prompt_ids"));
    } finally {
      Files.delete(file);
    }
    assertThat(run("generate", "--model", model.toString(), "--prompt-file", file.toString()))
        .isEqualTo(1);
    assertThat(err.toString()).startsWith("jneox: --prompt-file: expected a file, found none");
  }

  @Test
  void greedyIdsAreThoseOfHfTransformers() throws IOException {
    String prompt = ids(expected("greedy", 0, 9));
    JsonNode report =
        json(
            "generate",
            "--model",
            IDS_ONLY.toString(),
            "--prompt-ids",
            prompt,
            "--max-tokens",
            "32",
            "--json");
    assertThat(report.get("prompt_ids").toString())
        .isEqualTo("[" + prompt.strip().replace(' ', ',') + "]");
    assertThat(report.get("ids").toString())
        .isEqualTo("[" + ids(expected("greedy", 9, 41)).strip().replace(' ', ',') + "]");
    assertThat(report.get("text").isNull()).isTrue();
    assertThat(report.get("seconds").doubleValue()).isPositive();
    assertThat(report.get("tokens_per_second").doubleValue()).isPositive();
    assertThat(
            run(
                "generate",
                "--model",
                IDS_ONLY.toString(),
                "--prompt-ids",
                prompt,
                "--max-tokens",
                "32"))
        .isZero();
    assertThat(out.toString().strip())
        .as("streamed")
        .isEqualTo(ids(expected("greedy", 9, 41)).strip());
  }

  @Test
  void theTextIsStreamedBehindThePrompt() throws IOException {
    String[] args = {
      "generate",
      "--model",
      model.toString(),
      "--prompt",
      "@return ä",
      "--max-tokens",
      "20",
      "--temperature=1"
    };
    JsonNode report = json(with(args, "--json"));
    assertThat(run(args)).isZero();
    assertThat(out.toString())
        .isEqualTo("@return ä" + report.get("text").textValue() + System.lineSeparator());
    assertThat(err.toString())
        .contains("20 tokens in")
        .contains("ended by: as many tokens as asked for");
    assertThat(json(with(with(args, "--json"), "--seed=6")).get("ids"))
        .isNotEqualTo(report.get("ids"));
  }

  private static String[] with(String[] args, String more) {
    String[] all = Arrays.copyOf(args, args.length + 1);
    all[args.length] = more;
    return all;
  }

  /** A copy of the ids-only model, whose {@code generation_config.json} is to be written. */
  private static Path copy(Path to) throws IOException {
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(IDS_ONLY.resolve(file), to.resolve(file));
    }
    return to;
  }

  @Test
  void everyIdThatEndsATextDoes(@TempDir Path dir) throws IOException {
    float[] greedy = expected("greedy", 0, 41);
    int end = (int) greedy[20];
    int first = 9;
    while (greedy[first] != end) {
      first++;
    }
    copy(dir);
    String[] args = {
      "generate",
      "--model",
      dir.toString(),
      "--prompt-ids",
      ids(expected("greedy", 0, 9)),
      "--max-tokens",
      "32",
      "--json"
    };
    Path config = dir.resolve("config.json");
    String json = Files.readString(config);
    for (String place : List.of("config.json", "generation_config.json")) {
      String list = "\"eos_token_id\": [511, " + end + "]";
      Files.writeString(
          dir.resolve(place),
          place.equals("config.json")
              ? json.replaceFirst("\"eos_token_id\": *\\d+", list)
              : "{" + list + "}");
      JsonNode report = json(args);
      assertThat(report.get("stop_reason").textValue()).as(place).isEqualTo("end_of_text");
      assertThat(report.get("ids").size()).as(place).isEqualTo(first - 9 + 1);
      Files.writeString(config, json);
    }
  }

  @Test
  void theModelsSamplingStandsWhereTheUserSaysNothing(@TempDir Path dir) throws IOException {
    copy(dir);
    String[] args = {
      "generate", "--model", dir.toString(), "--prompt-ids", "5 6 7", "--max-tokens", "20", "--json"
    };
    JsonNode greedy = json(args).get("ids");
    JsonNode drawn = json(with(with(args, "--temperature=2"), "--top-k=50")).get("ids");
    assertThat(drawn).isNotEqualTo(greedy);
    Path generation = dir.resolve("generation_config.json");
    Files.writeString(generation, "{\"do_sample\": true, \"temperature\": 2.0, \"top_k\": 50}");
    assertThat(json(args).get("ids")).isEqualTo(drawn);
    assertThat(json(with(args, "--temperature=0")).get("ids")).isEqualTo(greedy);
    assertThat(json(with(args, "--top-k=1")).get("ids")).isEqualTo(greedy);
    assertThat(run(Arrays.copyOf(args, args.length - 1))).isZero();
    assertThat(err.toString())
        .contains("by the model's generation_config.json: temperature 2.0, top-k 50, top-p 1.0");
    Files.writeString(generation, "{\"do_sample\": true, \"top_p\": 7}");
    assertThat(run(args)).isEqualTo(1);
    assertThat(err.toString())
        .contains("generation_config.json: top_p: expected a number from 0 to 1, found 7");
  }

  @Test
  void anEmptyPromptIsTheEndOfTextToken() throws IOException {
    JsonNode report =
        json(
            "generate", "--model", model.toString(), "--prompt", "", "--max-tokens", "3", "--json");
    assertThat(report.get("prompt_ids").toString()).isEqualTo("[0]");
    assertThat(report.get("ids").size()).isEqualTo(3);
  }

  @Test
  void aDashReadsStandardInputInUtf8() throws IOException {
    InputStream before = System.in;
    try {
      System.setIn(new ByteArrayInputStream("return ä\n".getBytes(StandardCharsets.UTF_8)));
      JsonNode report = json("score", "--model", model.toString(), "--text", "-", "--json");
      assertThat(report)
          .isEqualTo(json("score", "--model", model.toString(), "--text", "return ä\n", "--json"));
      System.setIn(new ByteArrayInputStream(new byte[] {'a', (byte) 0xFF}));
      assertThat(run("generate", "--model", model.toString(), "--prompt", "-")).isEqualTo(1);
      assertThat(err.toString()).contains("standard input: expected UTF-8, found other bytes");
    } finally {
      System.setIn(before);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "2 | generate --prompt a --temperature -1            | --temperature: expected a number"
            + " from 0 (greedy), found -1.0",
        "2 | generate --prompt a --top-p 1.5                 | --top-p: expected a probability from"
            + " 0 to 1, found 1.5",
        "2 | generate --prompt a --top-k -3                  | --top-k: expected a number of"
            + " tokens, or 0 for all, found -3",
        "2 | generate --prompt a --repetition-penalty 0      | --repetition-penalty: expected a"
            + " number above 0 (1 is none), found 0.0",
        "2 | generate --prompt a --max-tokens 0              | --max-tokens: expected 1 or more,"
            + " found 0",
        "2 | generate --prompt a --max-tokens many           | --max-tokens: expected a"
            + " whole number, found many",
        "2 | generate --prompt a --max-tokens 99999999999    | --max-tokens: expected a whole"
            + " number up to 2147483647, found 99999999999",
        "2 | generate --prompt a --top-p x                   | --top-p: expected a number, found x",
        "2 | generate --prompt a --dtype f8                  | --dtype: expected one of"
            + " stored, f32, bf16, found f8",
        "2 | generate                                        | Missing required argument (specify"
            + " one of these): (--prompt=TEXT",
        "2 | generate --prompt a --prompt-ids 1              | --prompt=TEXT, --prompt-ids=IDS are"
            + " mutually exclusive",
        "2 | generate --prompt-ids 1,x                       | --prompt-ids: expected token"
            + " ids such as \"1 2 3\", found \"x\"",
        "1 | generate --prompt-ids 512                       | token 1: expected an id from 0 to"
            + " 511, found 512",
        "1 | generate --prompt-ids -1                        | token 1: expected an id from 0 to"
            + " 511, found -1",
        "2 | score                                           | Missing required argument (specify"
            + " one of these): (--text=TEXT",
        "2 | score --text a --ids 1                          | --text=TEXT, --ids=IDS are mutually"
            + " exclusive",
        "1 | score --ids []                                  | --ids: expected a text to score,"
            + " found an empty one",
        "2 | score --ids 99999999999                         | --ids:"
            + " expected token ids such as \"1 2 3\", found \"99999999999\"",
      })
  void badOptionsAreRefusedInOneLine(int code, String command, String message) {
    assertThat(run((command + " --model " + model).split(" +"))).isEqualTo(code);
    assertThat(err.toString().lines()).singleElement().asString().startsWith("jneox: " + message);
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void aPromptLongerThanTheContextIsRefused() {
    assertThat(run("generate", "--model", model.toString(), "--prompt-ids", "1 ".repeat(129)))
        .isEqualTo(1);
    assertThat(err.toString().strip())
        .isEqualTo("jneox: the prompt has 129 tokens, the model's context is 128: shorten it");
    assertThat(run("generate", "--model", model.toString(), "--prompt", "text ".repeat(129)))
        .isEqualTo(1);
    assertThat(err.toString()).contains("the model's context is 128: shorten it");
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void aFolderThatIsNoModelOrHasNoTokenizerIsNamed() {
    assertThat(run("score", "--model", model.resolve("none").toString(), "--ids", "1 2"))
        .isEqualTo(1);
    assertThat(err.toString()).contains("none: expected a model's folder or file");
    assertThat(run("generate", "--model", IDS_ONLY.toString(), "--prompt", "a")).isEqualTo(1);
    assertThat(err.toString().lines())
        .singleElement()
        .asString()
        .contains("neox-parallel: expected a tokenizer.json");
    assertThat(run("generate", "--prompt", "a")).isEqualTo(2);
    assertThat(err.toString())
        .contains("Missing required option: '--model=MODEL' (see jneox generate --help)");
  }

  @Test
  void theHelpShowsExamples() {
    assertThat(run("generate", "--help")).isZero();
    assertThat(out.toString()).contains("jneox generate --model DIR --prompt");
    assertThat(run("score", "--help")).isZero();
    assertThat(out.toString()).contains("jneox score --model DIR --text");
  }

  @Test
  void aPromptThatIsRefusedIsNotPrinted() {
    assertThat(run("generate", "--model", model.toString(), "--prompt", "int max ".repeat(200)))
        .isEqualTo(1);
    assertThat(err.toString()).contains("the model's context is 128: shorten it");
    assertThat(out.toString()).isEmpty();
    assertThat(run("generate", "--model", model.toString(), "--prompt-file", model.toString()))
        .isEqualTo(1);
    assertThat(err.toString())
        .endsWith("--prompt-file: expected a file, found the folder " + model + "\n");
  }

  /** Of a variable of a script that is not set; it would be the working folder. */
  @Test
  void anEmptyPathIsWrongUsage() {
    assertThat(run("quantize", "--from", model.toString(), "--to", "", "--dtype", "q8"))
        .isEqualTo(2);
    assertThat(err.toString()).contains("--to", "expected a path, found an empty one");
    assertThat(run("train", "--text", "")).isEqualTo(2);
  }
}
