package dev.jneox.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.hf.FamilyFolder;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The card, and what it takes from the files of a run. */
class ModelCardTest {
  private static final ModelSpec SPEC = ModelSpec.neox(50432, 512, 6, 8, 2048);

  @TempDir private Path run;

  private void write(String file, String text) throws IOException {
    Files.createDirectories(run.resolve(file).getParent());
    Files.writeString(run.resolve(file), text);
  }

  private void aRun() throws IOException {
    write("latest", "global_step20\n");
    write("global_step20/training.json", "{\"iteration\": 20, \"updates\": 19, \"tokens\": 81920}");
    write(
        "global_step20/configs/recipe.yml",
        """
        # A recipe
        "optimizer": {
          "type": "Adam",
          "params": {
            "lr": 2.0e-3,
            "betas": [0.9, 0.95],
          }
        }
        train_data_paths: ['/home/me/secret/guava', '/home/me/secret/lucene-core']   # parts
        save: '/home/me/secret/run'
        seq-length: 256
        precision: bfloat16  # compute
        lr_decay_style: $(rm -rf /)
        """);
    write("metrics.csv", "step,loss,lr,valid_loss\n10,5.5,0.1,5.25\n20,4.5,0.1,\n30,4.0,0.1,4.1\n");
  }

  @Test
  void theCardSaysWhatTheConfigurationAndTheRunSay() throws IOException {
    aRun();
    ModelCard.Facts facts =
        ModelCard.Facts.of("me/java")
            .withLicense("apache-2.0")
            .withLanguages(List.of("code", "en"))
            .withBaseModel("org/base")
            .withData("Java sources.")
            .withTraining(TrainingFacts.read(run).orElseThrow());
    String card = ModelCard.text(SPEC, facts);
    assertThat(card)
        .startsWith(
            """
            ---
            license: apache-2.0
            language:
            - code
            - en
            base_model: org/base
            library_name: transformers
            pipeline_tag: text-generation
            tags:
            - causal-lm
            - jneox
            ---

            # me/java
            """);
    assertThat(card)
        .contains("causal language model of 70,557,696 parameters")
        .contains("from_pretrained(\"me/java\")", "\njneox generate --model me/java")
        .contains(
            "| context | 2,048 tokens |",
            "| positions | rotary, 16 of 64 values of a head |",
            "| heads | 8 of 64 |")
        .contains("Java sources.", "Parts of the corpus: `guava`, `lucene-core`.")
        .contains(
            "| steps | 20 |",
            "| tokens | 81,920 |",
            "4.500 nats",
            "| validation loss | 5.250 nats a token (perplexity 190.57) |")
        .contains(
            "| `optimizer` | Adam |",
            "| `lr` | 2.0e-3 |",
            "| `betas` | 0.9, 0.95 |",
            "| `seq_length` | 256 |",
            "| `precision` | bfloat16 |")
        .doesNotContain("secret", "4.100", "rm -rf");
  }

  @Test
  void unknownFactsAreStatedAsNotStated() {
    String card = ModelCard.text(SPEC, ModelCard.Facts.of("me/java"));
    assertThat(card).doesNotContain("license:", "language:", "base_model:");
    assertThat(card)
        .contains(
            "## Training data\n\nNot stated.",
            "## Training\n\nNot stated.",
            "## Licence\n\nNot stated");
  }

  @Test
  void aModelInOneFileIsLoadedFromThatFile() {
    String card = ModelCard.text(SPEC, ModelCard.Facts.of("me/java").inFile("java-q8_0.gguf"));
    assertThat(card)
        .contains(
            "library_name: gguf\n", "from_pretrained(\"me/java\", gguf_file=\"java-q8_0.gguf\")");
  }

  @Test
  void aCheckpointIsReadWithoutItsRun() throws IOException {
    aRun();
    Files.delete(run.resolve("metrics.csv"));
    TrainingFacts facts = TrainingFacts.read(run.resolve("global_step20")).orElseThrow();
    assertThat(facts.iterations()).hasValue(20);
    assertThat(facts.tokens()).hasValue(81920);
    assertThat(facts.loss()).isEmpty();
    assertThat(facts.validationLoss()).isEmpty();
  }

  @Test
  @Timeout(20)
  void aLineOfSpacesTakesNoTime() throws IOException {
    aRun();
    String spaces = " ".repeat(200_000);
    write(
        "global_step20/configs/recipe.yml",
        "seed: " + spaces + "x" + spaces + "y\nlr: 3e-4" + spaces + ",  # why" + spaces + ",\n");
    assertThat(TrainingFacts.read(run).orElseThrow().settings())
        .containsEntry("lr", "3e-4")
        .containsKey("seed");
  }

  @Test
  void aFolderWithoutTrainingHasNoFacts() {
    assertThat(TrainingFacts.read(run)).isEmpty();
    assertThat(TrainingFacts.read(run.resolve("none"))).isEmpty();
  }

  @Test
  void aPointerOutOfTheRunIsRefused() throws IOException {
    write("latest", "../../etc");
    assertThatThrownBy(() -> TrainingFacts.read(run))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("latest: content: expected the name of a checkpoint");
  }

  @ParameterizedTest
  @ValueSource(strings = {"Apache 2.0", "mit\nx: y", "", "-"})
  void aLicenceThatIsNoIdentifierIsRefused(String license) {
    assertThatThrownBy(() -> ModelCard.Facts.of("a/b").withLicense(license))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("license: expected an identifier such as apache-2.0");
  }

  @Test
  void aLanguageThatIsNoCodeIsRefused() {
    assertThatThrownBy(() -> ModelCard.Facts.of("a/b").withLanguages(List.of("en", "English")))
        .hasMessageContaining(
            "language: expected a code of ISO 639 such as en, or code, found \"English\"");
    assertThat(ModelCard.text(SPEC, ModelCard.Facts.of("a/b").withLanguages(List.of("no"))))
        .contains("- \"no\"\n");
  }

  @Test
  void llamasShapeIsTold() {
    assertThat(ModelCard.text(FamilyFolder.tiny("llama"), ModelCard.Facts.of("me/llama")))
        .contains(
            "| heads | 4 of 6 |",
            "| key and value heads | 2 |",
            "| MLP | 24, gated silu |",
            "| positions | rotary, 6 of 6 values of a head |",
            "| attention and MLP | one after the other |");
  }
}
