package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.format.Manifest;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.tokenizer.BpeTrainer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code inspect} and {@code verify} over a small GPT-NeoX of random weights: 3 layers x 64,
 * vocabulary 512.
 */
class InspectVerifyTest {
  private static final Path FIXTURE =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");
  private static final long PARAMETERS = 2 * 512 * 64 + 3 * (12 * 64 * 64 + 13 * 64) + 2 * 64;

  @TempDir Path dir;
  private Path model;
  private Path weights;

  @BeforeEach
  void copy() throws IOException {
    model = Files.createDirectory(dir.resolve("model"));
    weights = model.resolve("model.safetensors");
    Files.copy(FIXTURE.resolve("config.json"), model.resolve("config.json"));
    Files.copy(FIXTURE.resolve("model.safetensors"), weights);
  }

  @Test
  void aNameWithTerminalEscapesIsShownAndNotObeyed() throws IOException {
    String header =
        "{\"a\\u001b[2J\\u202eb\\n\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    ByteBuffer file = ByteBuffer.allocate(8 + header.length() + 4).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(header.length()).put(header.getBytes(StandardCharsets.US_ASCII));
    Path evil = Files.write(dir.resolve("evil.safetensors"), file.array());
    Output shown = Output.of("inspect", "--tensors", evil.toString());
    assertThat(shown.code()).isZero();
    assertThat(shown.out())
        .contains("\na\\u001b[2J\\u202eb\\u000a ")
        .doesNotContain("\u001b", "\u202e");
    Output json = Output.of("inspect", "--tensors", "--json", evil.toString());
    assertThat(json.out()).doesNotContain("\u001b", "\u202e");
    assertThat(json(json, 0).path("tensors").path(0).path("name").textValue())
        .isEqualTo("a\u001b[2J\u202eb\n");
  }

  private static JsonNode json(Output output, int code) throws IOException {
    assertThat(output.code()).as(output.err()).isEqualTo(code);
    assertThat(output.out().lines()).hasSize(1);
    return new ObjectMapper().readTree(output.out());
  }

  private void addTokenizer(Path file) {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(
        List.of("final class Max { static int max(int a, int b) { return a > b ? a : b; } }")
            .iterator());
    trainer.train(merges -> {}).write(file);
  }

  private static String hash(String algorithm, byte[]... parts) {
    try {
      MessageDigest digest = MessageDigest.getInstance(algorithm);
      for (byte[] part : parts) {
        digest.update(part);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  /** Puts fp32 bits over one value of a tensor in the file. */
  private void put(String tensor, long index, float value) throws IOException {
    long begin;
    try (Safetensors file = Safetensors.open(weights)) {
      begin =
          Files.size(weights)
              - file.entries().stream().mapToLong(Safetensors.Entry::bytes).sum()
              + file.entry(tensor).begin();
    }
    ByteBuffer bits = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(value).flip();
    try (FileChannel channel = FileChannel.open(weights, StandardOpenOption.WRITE)) {
      channel.write(bits, begin + 4 * index);
    }
  }

  @Test
  void inspectTellsShapePartsTypesFilesAndTokenizer() throws IOException {
    addTokenizer(model.resolve("tokenizer.json"));
    JsonNode report = json(Output.of("inspect", model.toString(), "--json"), 0);
    assertThat(report.get("format").textValue()).isEqualTo("HF folder, gpt_neox");
    assertThat(report.get("parameters").longValue()).isEqualTo(PARAMETERS);
    assertThat(report.get("parts").toString())
        .isEqualTo(
            "{\"embedding\":32768,\"norms\":896,\"attention\":49920,\"mlp\":99264,\"head\":32768}");
    assertThat(report.at("/dtypes/F32").toString())
        .isEqualTo(
            "{\"tensors\":40,\"parameters\":%d,\"bytes\":%d}"
                .formatted(PARAMETERS, 4 * PARAMETERS));
    assertThat(report.at("/config/hidden_size").intValue()).isEqualTo(64);
    assertThat(report.at("/config/position/dims").intValue()).isEqualTo(4);
    int tokens = report.at("/tokenizer/tokens").intValue();
    assertThat(tokens).isBetween(259, 300);
    assertThat(report.at("/tokenizer/padding").intValue()).isEqualTo(512 - tokens);
    assertThat(report.get("files").findValuesAsText("name"))
        .containsExactly("config.json", "model.safetensors", "tokenizer.json");
    assertThat(report.at("/files/1/bytes").longValue()).isEqualTo(Files.size(weights));
    assertThat(report.has("tensors")).isFalse();
  }

  @Test
  void checksumsAreThoseOfTheFilesAndOfTheTensors() throws IOException {
    JsonNode report =
        json(Output.of("inspect", model.toString(), "--json", "--tensors", "--checksums"), 0);
    assertThat(report.at("/files/1/sha256").textValue())
        .isEqualTo(hash("SHA-256", Files.readAllBytes(weights)));
    try (Safetensors file = Safetensors.open(weights)) {
      byte[] bytes =
          file.data("gpt_neox.layers.1.mlp.dense_h_to_4h.weight")
              .orElseThrow()
              .toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
      for (JsonNode tensor : report.get("tensors")) {
        assertThat(tensor.get("sha256").textValue()).hasSize(64);
        if (tensor.get("name").textValue().equals("layers.1.mlp.dense_h_to_4h.weight")) {
          assertThat(tensor.get("sha256").textValue()).isEqualTo(hash("SHA-256", bytes));
          assertThat(tensor.get("shape").toString()).isEqualTo("[256,64]");
          assertThat(tensor.get("bytes").longValue()).isEqualTo(bytes.length);
        }
      }
    }
  }

  @Test
  void theTableFitsAHundredColumnsAndReadsAsProse() {
    Output output = Output.of("inspect", model.toString(), "--tensors", "--checksums");
    assertThat(output.code()).isZero();
    assertThat(output.out().lines().skip(1))
        .allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(100));
    assertThat(output.out())
        .contains("3 of width 64, 4 heads of 16, MLP 256")
        .contains("rotary, 4 of 16 dimensions in halves, base 10,000")
        .contains("parallel: attention and MLP side by side, each with its norm")
        .contains("layers.0.attention.query_key_value.weight")
        .contains("192 x 64");
  }

  @Test
  void aBareFileIsListedByItsOwnNames() throws IOException {
    JsonNode report = json(Output.of("inspect", weights.toString(), "--json", "--tensors"), 0);
    assertThat(report.get("format").textValue()).isEqualTo("safetensors file");
    assertThat(report.get("parameters").longValue()).isEqualTo(PARAMETERS);
    assertThat(report.get("tensors").findValuesAsText("name"))
        .contains("gpt_neox.embed_in.weight")
        .hasSize(40);
    assertThat(report.has("config")).isFalse();
    assertThat(Output.of("inspect", weights.toString(), "--tensors").out())
        .contains("gpt_neox.embed_in.weight");
  }

  @Test
  void checkpointsAreComparedWithTheirManifests() throws IOException {
    Path run = Files.createDirectory(dir.resolve("run"));
    Path checkpoint = Files.move(model, run.resolve("global_step5"));
    Files.writeString(run.resolve("latest"), "global_step5");
    Manifest.write(checkpoint, 3);
    for (Path path : List.of(checkpoint, run)) {
      JsonNode report = json(Output.of("verify", path.toString(), "--json"), 0);
      assertThat(report.get("findings").findValuesAsText("check"))
          .containsExactly("hashes", "manifest", "model", "tokenizer", "values");
      assertThat(report.at("/findings/1/message").textValue())
          .endsWith("save 3, 2 files, each as it was written");
    }
    weights = checkpoint.resolve("model.safetensors");
    put("gpt_neox.embed_in.weight", 7, 0.25f);
    for (Path path : List.of(checkpoint, run)) {
      JsonNode report = json(Output.of("verify", path.toString(), "--json"), 1);
      assertThat(report.at("/findings/1/message").textValue())
          .startsWith(weights + ": damaged: expected CRC-32C ");
      assertThat(report.at("/findings/4/ok").booleanValue()).isTrue();
    }
  }

  /** Of a run the manifest of every checkpoint counts, not only the newest one's. */
  @Test
  void aDamagedOlderCheckpointOfARunIsFound() throws IOException {
    Path run = Files.createDirectory(dir.resolve("run"));
    Path old = Files.createDirectory(run.resolve("global_step5"));
    for (String name : List.of("config.json", "model.safetensors")) {
      Files.copy(model.resolve(name), old.resolve(name));
    }
    Manifest.write(old, 1);
    Manifest.write(Files.move(model, run.resolve("global_step9")), 2);
    Files.writeString(run.resolve("latest"), "global_step9");
    assertThat(Output.of("verify", run.toString()).code()).isZero();
    weights = old.resolve("model.safetensors");
    put("gpt_neox.embed_in.weight", 7, 0.25f);
    Output output = Output.of("verify", run.toString());
    assertThat(output.code()).isEqualTo(1);
    assertThat(output.out()).contains(weights + ": damaged: ").contains("global_step9: save 2");
    Files.delete(run.resolve("latest"));
    assertThat(Output.of("verify", run.toString()).out())
        .contains("latest: expected a file that names a checkpoint");
  }

  @Test
  void aSoundModelIsFoundSound() throws IOException {
    JsonNode report = json(Output.of("verify", model.toString(), "--json"), 0);
    assertThat(report.get("ok").booleanValue()).isTrue();
    assertThat(report.get("findings").findValuesAsText("check"))
        .containsExactly("hashes", "model", "tokenizer", "values");
    assertThat(report.at("/findings/3/message").textValue())
        .isEqualTo("%,d values in 40 tensors, all finite".formatted(PARAMETERS));
    addTokenizer(model.resolve("tokenizer.json"));
    Output text = Output.of("verify", model.toString());
    assertThat(text.code()).isZero();
    assertThat(text.out())
        .contains("ok     tokenizer")
        .contains("for 512 rows")
        .endsWith("model: nothing wrong" + System.lineSeparator());
  }

  @Test
  void valuesThatAreNoNumbersAreCountedAndTheFirstIsNamed() throws IOException {
    put("gpt_neox.layers.2.mlp.dense_4h_to_h.weight", 40 * 256 + 17, Float.NaN);
    put("gpt_neox.layers.2.mlp.dense_4h_to_h.weight", 41 * 256, Float.NEGATIVE_INFINITY);
    put("gpt_neox.final_layer_norm.bias", 63, Float.POSITIVE_INFINITY);
    JsonNode report = json(Output.of("verify", model.toString(), "--json"), 1);
    assertThat(report.get("ok").booleanValue()).isFalse();
    JsonNode wrong = report.at("/findings/3");
    assertThat(wrong.get("tensor").textValue()).isEqualTo("layers.2.mlp.dense_4h_to_h.weight");
    assertThat(wrong.get("first").toString()).isEqualTo("[40,17]");
    assertThat(wrong.get("nans").intValue()).isEqualTo(1);
    assertThat(wrong.get("infinities").intValue()).isEqualTo(1);
    assertThat(report.at("/findings/4/first").toString()).isEqualTo("[63]");
    assertThat(report.get("findings")).hasSize(5);
    Output bare = Output.of("verify", weights.toString());
    assertThat(bare.code()).isEqualTo(1);
    assertThat(bare.out())
        .contains(
            "WRONG  values     tensor \"gpt_neox.layers.2.mlp.dense_4h_to_h.weight\": 1 NaN and 1"
                + " infinite of 16,384 values")
        .contains("the first at [40, 17]");
  }

  @Test
  void filesAreComparedWithAManifest() throws IOException {
    String manifest =
        hash("SHA-256", Files.readAllBytes(weights))
            + "  model.safetensors\n"
            + hash("SHA-256", Files.readAllBytes(model.resolve("config.json")))
            + " *config.json\n";
    Files.writeString(model.resolve("SHA256SUMS"), manifest);
    assertThat(Output.of("verify", model.toString()).out())
        .contains("ok     hashes     2 of 3 files have one, and it is right");
    put("gpt_neox.embed_in.weight", 5, 1);
    Output changed = Output.of("verify", model.toString());
    assertThat(changed.code()).isEqualTo(1);
    assertThat(changed.out())
        .containsPattern(
            "WRONG  hashes +\\S*model.safetensors: expected \\w{64} by SHA256SUMS, found \\w{64}");
    assertThat(changed.out()).contains("ok     values");
    assertThat(Output.of("verify", weights.toString()).code())
        .as("one file against the manifest beside it")
        .isEqualTo(1);
    Files.writeString(model.resolve("SHA256SUMS"), "0".repeat(64) + "  gone.bin\n");
    assertThat(Output.of("verify", model.toString()).out())
        .contains("gone.bin: expected 0000")
        .contains("found no such file");
  }

  @Test
  void aManifestThatIsNoneOrLeavesTheFolderIsAFinding() throws IOException {
    for (String line :
        List.of("nonsense", "0".repeat(64) + "  ../other", "0".repeat(64) + "  /etc/passwd")) {
      Files.writeString(model.resolve("SHA256SUMS"), line + "\n");
      Output output = Output.of("verify", model.toString());
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.out())
          .contains(
              "SHA256SUMS: line 1: expected 64 hexadecimal digits and a file of this folder, found"
                  + " \""
                  + line
                  + "\"");
    }
  }

  @Test
  void filesAreComparedWithTheRecordsOfADownload() throws IOException {
    Path records = Files.createDirectories(model.resolve(".cache/huggingface/download"));
    byte[] config = Files.readAllBytes(model.resolve("config.json"));
    String git =
        hash(
            "SHA-1",
            ("blob " + config.length + "\0").getBytes(java.nio.charset.StandardCharsets.US_ASCII),
            config);
    Files.writeString(
        records.resolve("config.json.metadata"), "0".repeat(40) + "\n" + git + "\n1700000000.0\n");
    String large = hash("SHA-256", Files.readAllBytes(weights));
    Files.writeString(
        records.resolve("model.safetensors.metadata"),
        "0".repeat(40) + "\n" + large + "\n1700000000.0\n");
    assertThat(Output.of("verify", model.toString()).out())
        .contains("ok     hashes     2 of 2 files have one, and it is right");
    Files.writeString(model.resolve("config.json"), new String(config) + " ");
    assertThat(Output.of("verify", model.toString()).out())
        .contains("config.json: expected " + git + " by the record of its download");
  }

  @Test
  void filesOfAHubCacheAreComparedWithTheNamesOfTheirBlobs() throws IOException {
    Path blobs = Files.createDirectories(dir.resolve("blobs"));
    Path blob = blobs.resolve(hash("SHA-256", Files.readAllBytes(weights)));
    Files.move(weights, blob);
    Files.createSymbolicLink(weights, blob);
    assertThat(Output.of("verify", model.toString()).out())
        .contains("ok     hashes     1 of 2 files have one, and it is right");
    Path other = Files.move(blob, blobs.resolve("f".repeat(64)));
    Files.delete(weights);
    Files.createSymbolicLink(weights, other);
    assertThat(Output.of("verify", model.toString()).out()).contains("found " + blob.getFileName());
  }

  @Test
  void aModelThatDoesNotFitItsConfigurationIsAFindingAndItsValuesAreStillRead() throws IOException {
    String config = Files.readString(model.resolve("config.json"));
    Files.writeString(
        model.resolve("config.json"),
        config.replace("\"intermediate_size\": 256", "\"intermediate_size\": 128"));
    put("gpt_neox.embed_in.weight", 64, Float.NaN);
    Output output = Output.of("verify", model.toString());
    assertThat(output.code()).isEqualTo(1);
    assertThat(output.out())
        .contains("WRONG  model")
        .contains("dense_h_to_4h")
        .contains("by config.json");
    assertThat(output.out().lines().filter(line -> line.startsWith("WRONG  model")))
        .as("three layers: two matrices, one bias")
        .hasSize(9);
    assertThat(output.out()).contains("1 NaN and 0 infinite of 32,768 values, the first at [1, 0]");
  }

  @Test
  void aTokenizerWithMoreTokensThanRowsIsAFinding() throws IOException {
    addTokenizer(model.resolve("tokenizer.json"));
    String json = Files.readString(model.resolve("tokenizer.json"));
    Files.writeString(
        model.resolve("tokenizer.json"),
        json.replaceFirst("(\"<\\|padding\\|>\")\\s*:\\s*1,", "$1:512,"));
    Output output = Output.of("verify", model.toString());
    assertThat(output.code()).isEqualTo(1);
    assertThat(output.out())
        .contains("513 tokens for 512 rows of the embedding: ids from 512 on cannot be used");
  }

  @Test
  void whatIsNoModelIsRefusedInOneLine() throws IOException {
    for (String command : List.of("inspect", "verify")) {
      Output none = Output.of(command, dir.resolve("none").toString());
      assertThat(none.code()).isEqualTo(1);
      assertThat(none.err().lines())
          .singleElement()
          .asString()
          .contains("none: expected a model's folder or file");
      assertThat(Output.of(command).code()).isEqualTo(2);
      assertThat(Output.of(command, "--help").out()).contains("jneox " + command + " DIR");
    }
    Files.write(weights, new byte[100]);
    Output broken = Output.of("inspect", weights.toString());
    assertThat(broken.code()).isEqualTo(1);
    assertThat(broken.err().lines()).singleElement().asString().contains("byte 0, header length");
    assertThat(Output.of("verify", weights.toString()).code()).isEqualTo(1);
  }
}
