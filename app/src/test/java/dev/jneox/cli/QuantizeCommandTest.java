package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.gguf.GgufExport;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * {@code quantize}, and what it wrote in the hands of the other commands: 3 layers x 64, vocabulary
 * 512.
 */
class QuantizeCommandTest {
  private static final Path FIXTURE =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");
  private static final String IDS = "5 6 7 8 9 10 200 201 300 17 18 19";

  @TempDir Path dir;
  private String model;
  private String quantised;

  @BeforeEach
  void copy() throws IOException {
    Path folder = Files.createDirectory(dir.resolve("model"));
    Files.copy(FIXTURE.resolve("config.json"), folder.resolve("config.json"));
    Files.copy(FIXTURE.resolve("model.safetensors"), folder.resolve("model.safetensors"));
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(
        List.of("final class Max { static int max(int a, int b) { return a > b ? a : b; } }")
            .iterator());
    trainer.train(merges -> {}).write(folder.resolve("tokenizer.json"));
    model = folder.toString();
    quantised = dir.resolve("quantised").toString();
  }

  private static JsonNode json(Output output) throws IOException {
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out().lines()).hasSize(1);
    return new ObjectMapper().readTree(output.out());
  }

  private static JsonNode generated(String model, String... options) throws IOException {
    List<String> line =
        new ArrayList<>(List.of("generate", "--model", model, "--max-tokens", "12", "--json"));
    line.addAll(List.of(options));
    return json(Output.of(line.toArray(String[]::new))).get("ids");
  }

  @Test
  void reportsEveryTensorAndTheChangeOnAText() throws IOException {
    JsonNode report =
        json(
            Output.of(
                "quantize",
                "--from",
                model,
                "--to",
                quantised,
                "--dtype",
                "q4",
                "--ids",
                IDS,
                "--json"));
    assertThat(report.get("tensors")).hasSize(2 + 3 * 12 + 2);
    double worst = 0;
    for (JsonNode tensor : report.get("tensors")) {
      boolean vector = tensor.get("type").textValue().equals("F32");
      double error = tensor.get("relative_error").doubleValue();
      assertThat(error).as(tensor.toString()).isBetween(vector ? 0 : 0.001, vector ? 0 : 0.15);
      worst = Math.max(worst, error);
    }
    assertThat(report.get("kinds").findValuesAsText("kind"))
        .contains(
            "attention.query_key_value",
            "attention.dense",
            "mlp.dense_h_to_4h",
            "mlp.dense_4h_to_h")
        .contains("head", "embedding", "vectors");
    assertThat(report.at("/text/tokens").intValue()).isEqualTo(11);
    double before = report.at("/text/mean_logprob_before").doubleValue();
    double after = report.at("/text/mean_logprob_after").doubleValue();
    assertThat(before).isCloseTo(score(model), within(1e-6));
    assertThat(after)
        .isCloseTo(score(quantised), within(1e-6))
        .isNotEqualTo(before)
        .isCloseTo(before, within(0.5));
    assertThat(report.at("/text/perplexity_after").doubleValue())
        .isCloseTo(Math.exp(-after), within(1e-9));
    assertThat(report.at("/text/kl_mean").doubleValue()).isBetween(1e-6, 0.5);
    assertThat(report.at("/text/kl_99").doubleValue())
        .isGreaterThanOrEqualTo(report.at("/text/kl_mean").doubleValue());
    assertThat(report.at("/text/top1_agreement").doubleValue()).isBetween(0.0, 1.0);
  }

  @Tag("slow")
  @Test
  void anImportanceMatrixRoundsByWhatATextShows() throws IOException {
    Path text = Files.writeString(dir.resolve("typical.txt"), "int max(int a, int b) ".repeat(20));
    List<String> line =
        List.of(
            "quantize",
            "--from",
            model,
            "--to",
            quantised,
            "--dtype",
            "q4",
            "--file",
            text.toString(),
            "--json");
    JsonNode plain = json(Output.of(line.toArray(String[]::new)));
    List<String> weighted = new ArrayList<>(line);
    weighted.addAll(List.of("--imatrix-file", text.toString(), "--force"));
    JsonNode report = json(Output.of(weighted.toArray(String[]::new)));
    assertThat(report.get("bytes")).isEqualTo(plain.get("bytes"));
    // That the error which counts gets smaller is WeightedRoundingTest's.
    for (int i = 0; i < plain.get("tensors").size(); i++) {
      JsonNode before = plain.get("tensors").get(i);
      JsonNode after = report.get("tensors").get(i);
      boolean same = before.get("relative_error").equals(after.get("relative_error"));
      assertThat(same).as(after.toString()).isEqualTo(!after.get("type").asText().equals("Q4_0"));
    }
    assertThat(report.at("/text/kl_mean").doubleValue())
        .isLessThan(2 * plain.at("/text/kl_mean").doubleValue());
    assertThat(generated(quantised, "--prompt", "int")).hasSize(12);

    Output again =
        Output.of(
            "quantize",
            "--from",
            quantised,
            "--to",
            quantised + "2",
            "--dtype",
            "q4",
            "--imatrix-file",
            text.toString());
    assertThat(again.code()).isEqualTo(1);
    assertThat(again.err()).contains("in Q4_0 already");
    Output q8 =
        Output.of(
            "quantize",
            "--from",
            model,
            "--to",
            quantised + "8",
            "--dtype",
            "q8",
            "--imatrix-file",
            text.toString());
    assertThat(q8.code()).isEqualTo(2);
    assertThat(q8.err()).contains("--imatrix-file is for --dtype q4");
    Output none =
        Output.of(
            "quantize",
            "--from",
            model,
            "--to",
            quantised + "8",
            "--dtype",
            "q4",
            "--imatrix-file",
            dir.resolve("none").toString());
    assertThat(none.err()).contains("--imatrix-file: expected a file, found none");
  }

  @Test
  void formerNamesOfOptionsWorkWithALineThatNamesThePresentOnes() throws IOException {
    String text = Files.writeString(dir.resolve("text.txt"), "int max(int a)").toString();
    Output output =
        Output.of(
            "quantize",
            "--from",
            model,
            "--to",
            quantised,
            "--dtype",
            "q4",
            "--text=" + text,
            "--imatrix-text",
            text);
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.err())
        .contains("jneox: --text is called --file now\n")
        .contains("jneox: --imatrix-text is called --imatrix-file now\n");
  }

  @Test
  void eightBitsOfAModelInFourAreRefused() {
    String four = quantised + "4";
    assertThat(Output.of("quantize", "--from", model, "--to", four, "--dtype", "q4").code())
        .isZero();
    Output output = Output.of("quantize", "--from", four, "--to", quantised, "--dtype", "q8");
    assertThat(output.code()).isEqualTo(1);
    assertThat(output.err())
        .isEqualTo(
            "jneox: "
                + four
                + ": has its matrices in Q4_0, which 8 bits would not make better: expected a"
                + " model of more bits, such as the one that it was made of\n");
    assertThat(Path.of(quantised)).doesNotExist();
  }

  private static double score(String model) throws IOException {
    JsonNode scores =
        json(Output.of("score", "--model", model, "--ids", IDS, "--json")).get("logprobs");
    double sum = 0;
    for (int i = 1; i < scores.size(); i++) {
      sum += scores.get(i).doubleValue();
    }
    return sum / (scores.size() - 1);
  }

  @Test
  void whatItWroteIsInspectedVerifiedAndGeneratedFrom() throws IOException {
    Path text = Files.writeString(dir.resolve("text.txt"), "int max(int a, int b) { return a; }");
    Output output =
        Output.of(
            "quantize",
            "--from",
            model,
            "--to",
            quantised,
            "--dtype",
            "q4",
            "--file",
            text.toString());
    assertThat(output.code()).as(output.err()).isZero();
    assertThat(output.out())
        .contains("layers.2.mlp.dense_4h_to_h.weight", "worst: ", "nats a token", "perplexity")
        .contains(quantised + ": 215,616 parameters");
    JsonNode inspection = json(Output.of("inspect", quantised, "--json"));
    assertThat(inspection.get("parameters").longValue()).isEqualTo(215_616);
    assertThat(inspection.get("dtypes").has("Q4_0")).isTrue();
    assertThat(inspection.at("/tokenizer/rows").intValue()).isEqualTo(512);
    Output verified = Output.of("verify", quantised);
    assertThat(verified.code()).as(verified.out()).isZero();
    assertThat(generated(quantised, "--prompt", "int")).hasSize(12);
    assertThat(generated(quantised, "--prompt", "int", "--dtype", "f32"))
        .as("dequantised")
        .hasSize(12);
  }

  @Test
  void aGgufFileIsTakenOverAndKeptAsItIsReadWhereOneAgrees() throws IOException {
    String gguf = dir.resolve("model.gguf").toString();
    try (StoredModel source = ModelFiles.open(Path.of(model))) {
      new GgufExport(Path.of(gguf), source.spec(), GgmlType.Q8_0, null, Map.of())
          .write(source, bytes -> {});
    }
    JsonNode report =
        json(Output.of("quantize", "--from", gguf, "--to", quantised, "--dtype", "q8", "--json"));
    report
        .get("tensors")
        .forEach(tensor -> assertThat(tensor.get("relative_error").doubleValue()).isZero());
    JsonNode ids = generated(gguf, "--prompt-ids", IDS);
    assertThat(dir.resolve("model.gguf.jneox")).doesNotExist();
    assertThat(generated(quantised, "--prompt-ids", IDS)).isEqualTo(ids);
    assertThat(generated(gguf, "--cache", "--prompt-ids", IDS)).isEqualTo(ids);
    assertThat(dir.resolve("model.gguf.jneox/model.safetensors")).exists();
    assertThat(generated(gguf, "--prompt-ids", IDS)).isEqualTo(ids);
    assertThat(Output.of("score", "--cache", "--model", quantised, "--ids", IDS).code())
        .as("no GGUF file")
        .isEqualTo(2);
  }

  @ParameterizedTest
  @CsvSource({
    "gpt_neox.layers.1.input_layernorm.weight, layers.1.input_layernorm.weight",
    "gpt_neox.layers.1.mlp.dense_4h_to_h.weight, layers.1.mlp.dense_4h_to_h.weight",
    "gpt_neox.embed_in.weight, embed_in.weight",
  })
  void aModelWithNanLeavesNothing(String tensor, String named) throws IOException {
    Path file = Path.of(model, "model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int header = Math.toIntExact(buffer.getLong(0));
    int at =
        new ObjectMapper()
            .readTree(bytes, 8, header)
            .at("/" + tensor + "/data_offsets/0")
            .intValue();
    buffer.putFloat(8 + header + at, Float.NaN);
    Files.write(file, bytes);
    for (List<String> more :
        List.of(List.of("--dtype", "q8"), List.of("--dtype", "q4", "--ids", IDS))) {
      List<String> line = new ArrayList<>(List.of("quantize", "--from", model, "--to", quantised));
      line.addAll(more);
      Output output = Output.of(line.toArray(String[]::new));
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.err().lines())
          .last()
          .asString()
          .contains(model + ": tensor \"" + named + "\": expected finite numbers, found ");
      assertThat(Path.of(quantised)).doesNotExist();
    }
    assertThat(dir).isDirectoryNotContaining("glob:**quantised**");
  }

  @Test
  void nothingIsReplacedUnasked() throws IOException {
    assertThat(Output.of("quantize", "--from", model, "--to", model, "--dtype", "q4").err())
        .contains("is the model itself");
    json(Output.of("quantize", "--from", model, "--to", quantised, "--dtype", "q4", "--json"));
    Output again =
        Output.of("quantize", "--from", model, "--to", quantised, "--dtype", "q4", "--json");
    assertThat(again.code()).isEqualTo(1);
    assertThat(again.err().lines()).hasSize(1);
    assertThat(again.err()).contains("exists already", "--force");
    json(
        Output.of(
            "quantize", "--from", model, "--to", quantised, "--dtype", "q4", "--json", "--force"));
    Output usage = Output.of("quantize", "--from", model, "--to", quantised, "--dtype", "q3");
    assertThat(usage.code()).isEqualTo(2);
  }
}
