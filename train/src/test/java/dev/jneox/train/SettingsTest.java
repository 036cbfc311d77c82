package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SettingsTest {
  @TempDir Path dir;

  private static Settings parse(String text, String... overrides) {
    return Settings.of(Map.of(Path.of("x.yml"), text), List.of(overrides));
  }

  private static void fails(String text, String message) {
    assertThatThrownBy(() -> parse(text)).isInstanceOf(InputException.class).hasMessage(message);
  }

  @Test
  void readsTheDialectThatPublishedRecipesAreWrittenIn() {
    Settings s =
        parse(
            """
            # braces, comments, Python's booleans, trailing commas, dashes
            {
              "num-layers": 6, # a comment
              "no_weight_tying": True,
              "bias-gelu-fusion": false, #true,
              "optimizer": {
                "type": "Adam",
                "params": {
                  "lr": 0.97e-4,
                  "betas": [0.9, 0.95],
                  "eps":  1.0e-8,
                  }
                  },
              "attention-config": [[["flash"], 6]],
              "extra_save_iters": [0,1,2,4],
              "zero_optimization": {
                "stage": 1,
                "overlap_comm": True,
              },
              "hidden-dropout": 0,
              "split": "995,4,1",
              "hostfile": null,
            }
            """);
    assertThat(s.integer("num_layers")).isEqualTo(6);
    assertThat(s.flag("no_weight_tying")).isTrue();
    assertThat(s.flag("bias_gelu_fusion")).isFalse();
    assertThat(s.real("optimizer.params.lr")).isEqualTo(0.97e-4);
    assertThat(s.<Double>list("optimizer.params.betas")).containsExactly(0.9, 0.95);
    assertThat(s.<Integer>list("extra_save_iters")).containsExactly(0, 1, 2, 4);
    assertThat(s.real("hidden_dropout")).isZero();
    assertThat(s.text("split")).isEqualTo("995,4,1");
    assertThat(s.given("hostfile")).isFalse();
  }

  @Test
  void numbersMayBeWrittenAsJsonWritesThem() {
    for (String number :
        List.of(
            "1e-4", "1E-4", "1.0e-4", "0.0001", ".0001", "1.e-4", "100e-6", "+1e-4", "0.000_1")) {
      assertThat(parse("min_lr: " + number).real("min_lr")).as(number).isEqualTo(1e-4);
    }
    assertThat(parse("train_iters: 1_000").integer("train_iters")).isEqualTo(1000);
    assertThat(parse("train_iters: 0x10").integer("train_iters")).isEqualTo(16);
    for (String text : List.of("0b_", "0x_", "1:30", "08", "2001-01-01", "1.5.2")) {
      assertThat(parse("comment: " + text).text("comment")).isEqualTo(text);
    }
    assertThat(parse("{\"min_lr\": 1e-5}").real("min_lr")).isEqualTo(1e-5);
  }

  @Test
  void aQuotedNumberIsText() {
    fails("seed: '7'", "x.yml: line 1: seed: expected a whole number, found the text '7'");
    assertThat(parse("comment: '7'").text("comment")).isEqualTo("7");
  }

  @Test
  void namesFileLineKeyExpectedAndFound() {
    fails(
        "seed: 1\n\nnum_layers: six\n",
        "x.yml: line 3: num_layers: expected a whole number >= 1 and <= 65536, found the text"
            + " 'six'");
    fails(
        "num_layers: 0",
        "x.yml: line 1: num_layers: expected a whole number >= 1 and <= 65536, found 0");
    fails(
        "num_layers: 6.0",
        "x.yml: line 1: num_layers: expected a whole number >= 1 and <= 65536, found 6.0");
    fails(
        "num_layers: 99999999999999999999",
        "x.yml: line 1: num_layers: expected a whole number >= 1 and <= 65536, found"
            + " 99999999999999999999");
    fails(
        "rotary_pct: 1.5", "x.yml: line 1: rotary_pct: expected a number > 0 and <= 1, found 1.5");
    fails("min_lr: .inf", "x.yml: line 1: min_lr: expected a number >= 0, found Infinity");
    fails("gpt_j_residual: 1", "x.yml: line 1: gpt_j_residual: expected true or false, found 1");
    fails("vocab_file: 5", "x.yml: line 1: vocab_file: expected text, found 5");
    fails(
        "checkpoint_scale: loq",
        "x.yml: line 1: checkpoint_scale: expected one of linear, log, found the text 'loq'");
    fails(
        "train_data_weights: [1, a]",
        "x.yml: line 1: train_data_weights: expected a list, each item a number, found the list [1,"
            + " a]");
    fails("fp16: true", "x.yml: line 1: fp16: expected a mapping, found true");
    fails(
        "optimizer:\n  params:\n    lr: fast",
        "x.yml: line 3: optimizer.params.lr: expected a number >= 0, found the text 'fast'");
    fails("zero_optimization: 1", "x.yml: line 1: zero_optimization: expected a mapping, found 1");
  }

  @Test
  void namesEveryUnknownKeyAndTheOneThatWasMeant() {
    fails(
        "num_layer: 6\n"
            + "seed: 1\n"
            + "hiddensize: 3\n"
            + "betas: [0.9, 0.95]\n"
            + "save-interval: 10\n"
            + "xyzzy: 1\n"
            + "fp16: {initial_scale: 3}",
        "x.yml: line 1: unknown key 'num_layer': did you mean 'num_layers'?; x.yml: line 3: unknown"
            + " key 'hiddensize': did you mean 'hidden_size'?; x.yml: line 4: unknown key 'betas':"
            + " did you mean 'optimizer.params.betas'?; x.yml: line 5: unknown key 'save_interval':"
            + " did you mean 'checkpoint_factor'?; x.yml: line 6: unknown key 'xyzzy'; x.yml: line"
            + " 7: unknown key 'fp16.initial_scale': did you mean 'fp16.initial_scale_power'?");
  }

  @Test
  void aDottedNameIsForOverridesOnly() {
    fails(
        "optimizer.type: Adam",
        "x.yml: line 1: unknown key 'optimizer.type': write it inside its mapping");
  }

  @Test
  void wordsOfAChoiceMayBeInAnyCase() {
    assertThat(parse("norm: LayerNorm").text("norm")).isEqualTo("layernorm");
    assertThat(parse("tokenizer_type: hftokenizer").text("tokenizer_type"))
        .isEqualTo("HFTokenizer");
  }

  @Test
  void whatIsNotYamlIsNamedWithItsLine() {
    assertThatThrownBy(() -> parse("{\n  seed: 1,\n  split: \"9,1,0\n}\n"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("x.yml: line ")
        .hasMessageContaining("not YAML: ")
        .hasMessageNotContaining("\n");
    fails("", "x.yml: line 1: expected keys and values, found nothing");
    fails("- seed", "x.yml: line 1: expected keys and values, found the list [seed]");
    fails("? [a, b]\n: 1", "x.yml: line 1: expected a key, found a list or mapping");
    fails("seed: !!set {a}", "x.yml: line 1: the type tag tag:yaml.org,2002:set is not supported");
    fails(
        "seed: !!binary a*",
        "x.yml: line 1: the type tag tag:yaml.org,2002:binary is not supported");
    fails("comet_others: &a {x: *a}", "x.yml: line 1: the alias contains itself");
  }

  @Test
  void aPathWithANulIsNamedWithItsLine() {
    Settings settings = parse("seed: 1\nsave: \"x\\0y\"");
    assertThatThrownBy(() -> settings.path("save"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("x.yml: line 2: save: expected a path, found the text 'x");
  }

  @Test
  void aKeyTwiceInAFileMustNotContradictItself() {
    assertThat(parse("seed: 3\nseed: 3").integer("seed")).isEqualTo(3);
    fails(
        "seq_length: 3\nseed: 1\nseq-length: 4",
        "x.yml: line 3: seq_length: already set to another value in line 1");
  }

  @Test
  void filesAreMergedAndAKeyMayBeInOneOnly() throws IOException {
    Files.writeString(dir.resolve("model.yml"), "num_layers: 6\nhidden-size: 64\n");
    assertThatThrownBy(
            () -> Settings.load(List.of(dir.resolve("model"), dir.resolve("model.yml")), List.of()))
        .hasMessage(dir.resolve("model.yml") + ": is given twice");
    Files.writeString(dir.resolve("data.json"), "{\"data_path\": \"d\", \"seed\": 7}");
    Settings s = Settings.load(List.of(dir.resolve("model"), dir.resolve("data.json")), List.of());
    assertThat(s.integer("hidden_size")).isEqualTo(64);
    assertThat(s.integer("seed")).isEqualTo(7);
    assertThat(s.texts().keySet()).containsExactly("model.yml", "data.json");
    assertThat(s.texts().get("model.yml")).isEqualTo("num_layers: 6\nhidden-size: 64\n");

    Map<Path, String> twice = new LinkedHashMap<>();
    twice.put(Path.of("a.yml"), "seed: 1\nseq-length: 8");
    twice.put(Path.of("b.yml"), "seq_length: 8");
    assertThatThrownBy(() -> Settings.of(twice, List.of()))
        .hasMessage(
            "b.yml: line 1: seq_length is already set in a.yml: line 2: keep it in one of the"
                + " files");
  }

  @Test
  void twoFilesOfOneNameAreRefused() {
    Map<Path, String> files = new LinkedHashMap<>();
    files.put(Path.of("a/x.yml"), "seed: 1");
    files.put(Path.of("b/x.yml"), "seq_length: 8");
    assertThatThrownBy(() -> Settings.of(files, List.of()))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("a file named x.yml is already");
  }

  @Test
  void filesThatCannotBeReadAreNamed() throws IOException {
    assertThatThrownBy(() -> Settings.load(List.of(dir.resolve("none")), List.of()))
        .isInstanceOf(StorageException.class)
        .hasMessageStartingWith(
            dir.resolve("none.yml") + ": cannot be read: no such file or folder");
    Path latin =
        Files.write(dir.resolve("latin.yml"), "comment: é".getBytes(StandardCharsets.ISO_8859_1));
    assertThatThrownBy(() -> Settings.load(List.of(latin), List.of()))
        .hasMessage(latin + ": not UTF-8 text");
  }

  @Test
  void overridesComeLastAndReachIntoMappings() {
    Settings s =
        parse(
            "seed: 1\nsave: there\noptimizer: {type: Adam, params: {lr: 0.1}}",
            "seed=2",
            "optimizer.params.lr=1e-3",
            "optimizer.params.betas=[0.8, 0.9]",
            "fp16.enabled=true",
            "num-layers=4",
            "save=null");
    assertThat(s.integer("seed")).isEqualTo(2);
    assertThat(s.real("optimizer.params.lr")).isEqualTo(1e-3);
    assertThat(s.<Double>list("optimizer.params.betas")).containsExactly(0.8, 0.9);
    assertThat(s.text("optimizer.type")).isEqualTo("Adam");
    assertThat(s.flag("fp16.enabled")).isTrue();
    assertThat(s.integer("num_layers")).isEqualTo(4);
    assertThat(s.given("save")).isFalse();
  }

  @Test
  void wrongOverridesAreNamed() {
    assertThatThrownBy(() -> parse("seed: 1", "num_layers=six"))
        .hasMessage(
            "--set num_layers=six: num_layers: expected a whole number >= 1 and <= 65536, found the"
                + " text 'six'");
    assertThatThrownBy(() -> parse("seed: 1", "num_layer=6"))
        .hasMessageEndingWith("unknown key 'num_layer': did you mean 'num_layers'?");
    assertThatThrownBy(() -> parse("seed: 1", "seed"))
        .hasMessage("--set seed: expected key=value, found no value");
    assertThatThrownBy(() -> parse("seed: 1", "seed.x=1"))
        .hasMessage("--set seed.x=1: seed is not a mapping");
    assertThatThrownBy(() -> parse("seed: 1", "seed=[1"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("not YAML");
  }

  @Test
  void whatGptNeoxDerivesMustAgreeWithItsOrigin() {
    assertThat(parse("gradient_clipping: 1\nclip_grad: 1.0").real("gradient_clipping"))
        .isEqualTo(1);
    fails(
        "optimizer: {type: Adam, params: {lr: 0.1}}\nlr: 0.2",
        "x.yml: line 2: lr: is 0.2 but optimizer.params.lr is 0.1: set only optimizer.params.lr");
    fails(
        "gas: 4",
        "x.yml: line 1: gas: is 4 but gradient_accumulation_steps is nothing: set only"
            + " gradient_accumulation_steps");
  }

  @Test
  void whatAnAutotunerFillsInIsNotGiven() {
    Settings s = parse("autotuning: {enabled: true}\ntrain_batch_size: auto");
    assertThat(s.given("train_batch_size")).isFalse();
    assertThat(s.unsupported()).anyMatch(line -> line.startsWith("x.yml: line 1: autotuning: "));
  }

  @Test
  void everyRowOfTheTableIsWellFormed() {
    int keys = 0;
    for (NeoxKeys.Key key : NeoxKeys.all()) {
      keys++;
      if (key.rule() instanceof NeoxKeys.Rule.Same(String other)) {
        assertThat(NeoxKeys.find(other)).as(other).isPresent();
      }
      assertThat(NeoxKeys.nearest(key.name())).contains(key.name());
    }
    assertThat(keys).isGreaterThan(330);
  }
}
