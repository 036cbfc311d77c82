package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code synth} and {@code convert}, and that what they wrote is what they were given. */
@Tag("slow")
class ConvertSynthTest {
  private static final Path PARITY = Path.of("..", "core", "src", "test", "resources", "parity");

  /** A GPT-NeoX of two layers; rows of 64, so that they are whole blocks. */
  private static final String RECIPE =
      """
      num_layers: 2
      hidden_size: 64
      num_attention_heads: 4
      max_position_embeddings: 32
      pos_emb: rotary
      rotary_pct: 0.25
      gpt_j_residual: true
      no_weight_tying: true
      make_vocab_size_divisible_by: 64
      init_method: small_init
      output_layer_init_method: wang_init
      optimizer: {type: Adam, params: {lr: 0.001}}
      train_iters: 10
      lr_decay_iters: 10
      train_batch_size: 1
      train_micro_batch_size_per_gpu: 1
      """;

  @TempDir Path dir;

  private Path recipe() throws IOException {
    return Files.writeString(dir.resolve("recipe.yml"), RECIPE);
  }

  private Path tokenizer() {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(
        List.of("final class Max { static int max(int a, int b) { return a > b ? a : b; } }")
            .iterator());
    trainer.train(merges -> {}).write(dir.resolve("tokenizer.json"));
    return dir.resolve("tokenizer.json");
  }

  /** A model of 300 tokens and 320 rows, with its tokenizer. */
  private Path synth(String name, String dtype) throws IOException {
    Path out = dir.resolve(name);
    ok(
        "synth",
        "--config",
        recipe().toString(),
        "--tokenizer",
        tokenizer().toString(),
        "--format",
        "hf",
        "--dtype",
        dtype,
        "--out",
        out.toString());
    return out;
  }

  private static Output ok(String... args) {
    Output output = Output.of(args);
    assertThat(output.code()).as(output.err()).isZero();
    return output;
  }

  private static void refused(int code, String message, String... args) {
    Output output = Output.of(args);
    assertThat(output.err().lines().toList())
        .singleElement()
        .asString()
        .startsWith("jneox: ")
        .contains(message);
    assertThat(output.code()).isEqualTo(code);
    assertThat(output.out()).isEmpty();
  }

  /** SHA-256 of every tensor in canonical layout. */
  private static Map<String, String> checksums(Path model) throws IOException {
    Output output = ok("inspect", model.toString(), "--tensors", "--checksums", "--json");
    Map<String, String> hashes = new LinkedHashMap<>();
    for (JsonNode tensor : new ObjectMapper().readTree(output.out()).get("tensors")) {
      hashes.put(tensor.get("name").textValue(), tensor.get("sha256").textValue());
    }
    return hashes;
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void synthWritesTheShapeOfARecipeWithItsTokenizer() throws IOException {
    Path out = dir.resolve("model");
    Output output =
        ok(
            "synth",
            "--config",
            recipe().toString(),
            "--tokenizer",
            tokenizer().toString(),
            "--format=hf",
            "--out",
            out.toString());
    assertThat(output.out()).contains("parameters in bf16").contains("next: jneox verify " + out);
    ModelSpec spec = HfFolder.spec(out);
    assertThat(spec.width()).isEqualTo(64);
    assertThat(spec.vocabulary().used()).isLessThanOrEqualTo(300);
    assertThat(spec.vocabulary().rows()).isEqualTo(320);
    assertThat(out.resolve("tokenizer.json")).hasSameBinaryContentAs(dir.resolve("tokenizer.json"));
    assertThat(ok("verify", out.toString()).out()).contains("all finite");
    ok("score", "--model", out.toString(), "--text", "int max");
  }

  @Test
  void theSameSeedWritesTheSameBytes() throws IOException {
    for (String[] run : new String[][] {{"a", "7"}, {"b", "7"}, {"c", "8"}}) {
      ok(
          "synth",
          "--config",
          recipe().toString(),
          "--format",
          "hf",
          "--out",
          dir.resolve(run[0]).toString(),
          "--seed",
          run[1]);
    }
    Path weights = dir.resolve("a").resolve("model.safetensors");
    assertThat(dir.resolve("b").resolve("model.safetensors")).hasSameBinaryContentAs(weights);
    assertThat(Files.mismatch(dir.resolve("c").resolve("model.safetensors"), weights))
        .isNotEqualTo(-1);
    assertThat(HfFolder.spec(dir.resolve("a")).vocabulary().rows())
        .as("20B's vocabulary, padded to 64")
        .isEqualTo(50_304);
  }

  @ParameterizedTest
  @ValueSource(strings = {"neox-parallel", "gpt2", "gptj", "gpt-neo"})
  void synthTakesTheShapeOfAnyFamily(String family) throws IOException {
    Path config = PARITY.resolve(family).resolve("config.json");
    ok(
        "synth",
        "--config",
        config.toString(),
        "--dtype",
        "f32",
        "--format",
        "hf",
        "--out",
        dir.resolve("model").toString());
    assertThat(HfFolder.spec(dir.resolve("model")))
        .isEqualTo(HfFolder.spec(PARITY.resolve(family)));
    ok("verify", dir.resolve("model").toString());
  }

  @ParameterizedTest
  @CsvSource({"f32,1", "bf16,1", "f16,1", "f32,2", "bf16,2", "f16,4"})
  void throughNeoxAndBackNothingIsLost(String dtype, int ranks) throws IOException {
    Path hf = synth("hf", dtype);
    Path neox = dir.resolve("neox");
    Path back = dir.resolve("back");
    Output output =
        ok(
            "convert",
            "--from",
            hf.toString(),
            "--to",
            neox.toString(),
            "--format",
            "neox",
            "--tp",
            String.valueOf(ranks));
    assertThat(output.out()).contains("parameters in " + dtype);
    ok("convert", "--from", neox.toString(), "--to", back.toString(), "--format", "hf");
    assertThat(checksums(neox)).isEqualTo(checksums(hf)).hasSize(28);
    for (String file :
        List.of("model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json")) {
      assertThat(back.resolve(file)).hasSameBinaryContentAs(hf.resolve(file));
    }
    ok("verify", neox.toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"f32", "bf16", "f16"})
  void throughGgufAndBackNothingIsLost(String dtype) throws IOException {
    Path hf = synth("hf", dtype);
    Path gguf = dir.resolve("model.gguf");
    Path neox = dir.resolve("neox");
    Path back = dir.resolve("back");
    ok("convert", "--from", hf.toString(), "--to", gguf.toString(), "--format", "gguf");
    ok("verify", gguf.toString());
    ok(
        "convert",
        "--from",
        gguf.toString(),
        "--to",
        neox.toString(),
        "--format",
        "neox",
        "--dtype",
        dtype);
    ok("convert", "--from", neox.toString(), "--to", back.toString(), "--format", "hf");
    assertThat(back.resolve("model.safetensors"))
        .hasSameBinaryContentAs(hf.resolve("model.safetensors"));
    assertThat(ok("score", "--model", back.toString(), "--text", "int max(int a)", "--json").out())
        .isEqualTo(
            ok("score", "--model", hf.toString(), "--text", "int max(int a)", "--json").out());
  }

  @ParameterizedTest
  @ValueSource(strings = {"q8_0", "q4_0"})
  void quantisingTwiceIsQuantisingOnce(String dtype) throws IOException {
    Path once = dir.resolve("once.gguf");
    Path twice = dir.resolve("twice.gguf");
    ok(
        "synth",
        "--config",
        recipe().toString(),
        "--tokenizer",
        tokenizer().toString(),
        "--format",
        "gguf",
        "--dtype",
        dtype,
        "--out",
        once.toString());
    ok("convert", "--from", once.toString(), "--to", twice.toString(), "--format", "gguf");
    assertThat(checksums(twice)).isEqualTo(checksums(once));
    JsonNode types =
        new ObjectMapper().readTree(ok("inspect", once.toString(), "--json").out()).get("dtypes");
    assertThat(types.at("/" + dtype.toUpperCase(java.util.Locale.ROOT) + "/tensors").intValue())
        .isGreaterThanOrEqualTo(8);
    assertThat(ok("inspect", once.toString()).out())
        .contains("GGUF file")
        .contains("4 heads of 16");
    ok("generate", "--model", once.toString(), "--prompt", "int max", "--max-tokens", "4");
    ok(
        "convert",
        "--from",
        once.toString(),
        "--to",
        dir.resolve("packed").toString(),
        "--format",
        "hf");
    assertThat(checksums(dir.resolve("packed"))).isEqualTo(checksums(once));
    refused(
        1,
        "found " + dtype + ", which gguf and hf have",
        "convert",
        "--from",
        once.toString(),
        "--to",
        dir.resolve("x").toString(),
        "--format",
        "neox");
    ok(
        "convert",
        "--from",
        once.toString(),
        "--to",
        dir.resolve("x").toString(),
        "--format",
        "hf",
        "--dtype",
        "f32");
    ok(
        "convert",
        "--from",
        dir.resolve("x").toString(),
        "--to",
        once.toString(),
        "--format",
        "gguf",
        "--dtype",
        dtype,
        "--force");
    assertThat(checksums(once)).isEqualTo(checksums(twice));
  }

  @ParameterizedTest
  @ValueSource(strings = {"neox-20b-like", "neox-serial-tied", "gpt2", "gptj", "gpt-neo"})
  void aFolderOfAnyFamilyIsConvertedToItself(String family) throws IOException {
    Path out = dir.resolve("copy");
    ok(
        "convert",
        "--from",
        PARITY.resolve(family).toString(),
        "--to",
        out.toString(),
        "--format",
        "hf");
    assertThat(HfFolder.spec(out)).isEqualTo(HfFolder.spec(PARITY.resolve(family)));
    assertThat(checksums(out)).isEqualTo(checksums(PARITY.resolve(family)));
    assertThat(names(out)).contains("model.safetensors");
  }

  @Test
  void aShardSizeSplitsTheWeights() throws IOException {
    Path out = dir.resolve("shards");
    Files.createDirectory(out); // an empty folder is free
    ok(
        "synth",
        "--config",
        "pythia/14M",
        "--format",
        "hf",
        "--tokenizer",
        tokenizer().toString(),
        "--shard-size",
        "1MB",
        "--out",
        out.toString());
    assertThat(names(out))
        .contains("model.safetensors.index.json")
        .anyMatch(name -> name.matches("model-00002-of-0000\\d\\.safetensors"));
  }

  @Test
  void theCardThatAModelCameWithStaysAndElseOneIsWritten() throws IOException {
    Path made = synth("made", "f32");
    assertThat(made.resolve("README.md"))
        .content()
        .contains("# made")
        .contains("the weights are random numbers");
    Files.writeString(made.resolve("README.md"), "its own card");
    ok(
        "convert",
        "--from",
        made.toString(),
        "--to",
        dir.resolve("copy").toString(),
        "--format",
        "hf");
    assertThat(dir.resolve("copy").resolve("README.md")).hasContent("its own card");
    Files.delete(made.resolve("README.md"));
    ok(
        "convert",
        "--from",
        made.toString(),
        "--to",
        dir.resolve("copy").toString(),
        "--format",
        "hf",
        "--force");
    assertThat(dir.resolve("copy").resolve("README.md"))
        .content()
        .contains("# copy")
        .contains("Not stated.");
  }

  @Test
  void anotherTypeIsTheValuesRounded() throws IOException {
    Path f32 = synth("f32", "f32");
    ok(
        "convert",
        "--from",
        f32.toString(),
        "--to",
        dir.resolve("bf16").toString(),
        "--format",
        "hf",
        "--dtype",
        "bf16");
    ok(
        "synth",
        "--config",
        recipe().toString(),
        "--tokenizer",
        dir.resolve("tokenizer.json").toString(),
        "--dtype",
        "bf16",
        "--format",
        "hf",
        "--out",
        dir.resolve("rounded").toString());
    assertThat(dir.resolve("bf16").resolve("model.safetensors"))
        .hasSameBinaryContentAs(dir.resolve("rounded").resolve("model.safetensors"));
  }

  @Test
  void whatIsThereIsReplacedOnlyWhenForced() throws IOException {
    Path a = synth("a", "f32");
    Path b = synth("b", "bf16");
    byte[] before = Files.readAllBytes(b.resolve("model.safetensors"));
    refused(
        1,
        "b: exists already: choose another name, or replace it with --force",
        "convert",
        "--from",
        a.toString(),
        "--to",
        b.toString(),
        "--format",
        "hf");
    assertThat(b.resolve("model.safetensors")).hasBinaryContent(before);
    ok("convert", "--from", a.toString(), "--to", b.toString(), "--format", "neox", "--force");
    assertThat(names(b)).containsExactly("global_step1", "latest", "tokenizer.json");
    ok("convert", "--from", a.toString(), "--to", b.toString(), "--format", "hf", "--force");
    assertThat(checksums(b)).isEqualTo(checksums(a));
    assertThat(names(dir)).containsExactly("a", "b", "recipe.yml", "tokenizer.json");
  }

  @Test
  void aFolderWithAnythingElseInItIsNeverReplaced() throws IOException {
    Path a = synth("a", "f32");
    Path home = Files.createDirectory(dir.resolve("home"));
    Files.writeString(home.resolve("thesis.tex"), "years of work");
    refused(
        1,
        "home: holds thesis.tex, which is no part of a model",
        "convert",
        "--from",
        a.toString(),
        "--to",
        home.toString(),
        "--format",
        "hf",
        "--force");
    assertThat(home.resolve("thesis.tex")).hasContent("years of work");
    refused(
        1,
        "is a file",
        "convert",
        "--from",
        a.toString(),
        "--to",
        recipe().toString(),
        "--format",
        "hf",
        "--force");
    refused(
        1,
        "is the model itself",
        "convert",
        "--from",
        a.toString(),
        "--to",
        a.toString(),
        "--format",
        "hf",
        "--force");
  }

  @Test
  void whatTheFormatCannotHoldIsRefusedBeforeTheStart() throws IOException {
    Path a = synth("a", "f32");
    Path gpt2 = PARITY.resolve("gpt-neo");
    refused(
        1,
        "b: cannot be written: GPT-NeoX has no such model",
        "convert",
        "--from",
        gpt2.toString(),
        "--to",
        dir.resolve("b").toString(),
        "--format",
        "neox");
    refused(
        1,
        "expected tensor-parallel ranks that divide 4 heads",
        "convert",
        "--from",
        a.toString(),
        "--to",
        dir.resolve("b").toString(),
        "--format",
        "neox",
        "--tp",
        "3");
    assertThat(names(dir)).containsExactly("a", "recipe.yml", "tokenizer.json");
  }

  @Test
  void tooLittleRoomIsSaidBeforeTheStart() throws IOException {
    String huge =
        RECIPE
            .replace("num_layers: 2", "num_layers: 16000")
            .replace("hidden_size: 64", "hidden_size: 1000000");
    Path file = Files.writeString(dir.resolve("huge.yml"), huge);
    refused(
        1,
        " GB are free on its disk: free some, or write elsewhere",
        "synth",
        "--config",
        file.toString(),
        "--format",
        "hf",
        "--out",
        dir.resolve("x").toString());
    assertThat(names(dir)).containsExactly("huge.yml");
  }

  @Test
  void wrongOptionsAreNamed() throws IOException {
    String recipe = recipe().toString();
    String out = dir.resolve("x").toString();
    refused(
        2,
        "--tp is for --format neox",
        "synth",
        "--config",
        recipe,
        "--format",
        "hf",
        "--tp",
        "2",
        "--out",
        out);
    refused(
        2,
        "--shard-size is for --format hf",
        "synth",
        "--config",
        recipe,
        "--format",
        "neox",
        "--shard-size",
        "1GB",
        "--out",
        out);
    refused(
        2,
        "--shard-size: expected 1MB or more with its unit, such as 5GB",
        "synth",
        "--config",
        recipe,
        "--format",
        "hf",
        "--shard-size",
        "big",
        "--out",
        out);
    refused(
        1,
        "expected f32, bf16 or f16 in a model of format neox, found q4_0",
        "synth",
        "--config",
        recipe,
        "--format",
        "neox",
        "--dtype",
        "q4_0",
        "--out",
        out);
    refused(
        1,
        "expected a name that ends in .gguf",
        "synth",
        "--config",
        recipe,
        "--format",
        "gguf",
        "--out",
        out);
    refused(
        1,
        "--config: expected a file, a model folder or one of 20B, pythia/14M",
        "synth",
        "--config",
        "21B",
        "--format",
        "hf",
        "--out",
        out);
    refused(2, "Missing required option: '--from", "convert", "--to", out, "--format", "hf");
    refused(
        1,
        "none: expected a model's folder or file",
        "convert",
        "--from",
        dir.resolve("none").toString(),
        "--to",
        out,
        "--format",
        "hf");
    Path alibi =
        Files.writeString(
            dir.resolve("alibi.yml"), RECIPE.replace("pos_emb: rotary", "pos_emb: alibi"));
    refused(
        1,
        "alibi.yml: line 5: pos_emb",
        "synth",
        "--config",
        alibi.toString(),
        "--format",
        "hf",
        "--out",
        out);
    assertThat(Path.of(out)).doesNotExist();
    assertThat(ok("convert", "--help").out()).contains("jneox convert --from");
    assertThat(ok("synth", "--help").out()).contains("jneox synth --config pythia/410M");
  }

  @Test
  void whatWasWrittenGeneratesTheSameTokens() throws IOException {
    Path hf = synth("hf", "f32");
    ok(
        "convert",
        "--from",
        hf.toString(),
        "--to",
        dir.resolve("neox").toString(),
        "--format",
        "neox",
        "--tp",
        "2");
    List<String> texts = new ArrayList<>();
    for (Path model : List.of(hf, dir.resolve("neox"))) {
      texts.add(
          ok(
                  "generate",
                  "--model",
                  model.toString(),
                  "--prompt",
                  "int max",
                  "--max-tokens",
                  "8",
                  "--temperature",
                  "0")
              .out());
    }
    assertThat(texts.get(1)).isEqualTo(texts.get(0));
    try (StoredModel neox = ModelFiles.open(dir.resolve("neox"))) {
      assertThat(neox.tokenizerJson()).contains(Files.readString(dir.resolve("tokenizer.json")));
    }
  }
}
