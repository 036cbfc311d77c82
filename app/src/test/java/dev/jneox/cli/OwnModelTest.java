package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Commands without {@code --model}, and examples before a prompt. */
class OwnModelTest {
  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeEach
  void nameTheFolder() {
    System.setProperty("jneox.models", folder.resolve("models").toString());
  }

  @AfterEach
  void forget() {
    System.clearProperty("jneox.models");
  }

  private int run(String... args) {
    out.getBuffer().setLength(0);
    err.getBuffer().setLength(0);
    return Main.commandLine()
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err, true))
        .execute(args);
  }

  /** A model of random weights under the name of the project's own. */
  private void makeModel() throws IOException {
    Path source = folder.resolve("source");
    Files.createDirectories(source);
    Path parity = Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(parity.resolve(file), source.resolve(file));
    }
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("Question: What is a kernel?\nAnswer: a part\n\n").iterator());
    trainer.train(merges -> {}).write(source.resolve("tokenizer.json"));
    Files.createDirectories(folder.resolve("models"));
    String file = folder.resolve("models/jneox-1m.gguf").toString();
    assertThat(run("convert", "--from", source.toString(), "--to", file, "--format", "gguf"))
        .as(err.toString())
        .isZero();
  }

  @Test
  void withoutAModelCommandsUseTheProjectsOwn() throws IOException {
    makeModel();
    assertThat(run("generate", "--prompt", "Question", "--max-tokens", "2")).isZero();
    assertThat(out.toString()).startsWith("Question");
    assertThat(run("score", "--text", "Answer")).as(err.toString()).isZero();
    Path text = Files.writeString(folder.resolve("a.txt"), "a part of a kernel");
    assertThat(OwnModel.present()).hasValue(folder.resolve("models/jneox-1m.gguf"));
    assertThat(run("eval", "--file", text.toString())).as(err.toString()).isZero();
    Path larger = folder.resolve("models/jneox-5m.gguf");
    Files.copy(folder.resolve("models/jneox-1m.gguf"), larger);
    assertThat(OwnModel.present()).hasValue(larger);
  }

  @Test
  void aFileThatIsMissingOrAPointerIsNamedWithWhatToDo() throws IOException {
    Path file = folder.resolve("models/jneox-1m.gguf");
    for (List<String> command : List.of(List.of("generate", "--prompt", "a"), List.of("chat"))) {
      assertThat(run(command.toArray(String[]::new))).isEqualTo(1);
      assertThat(err.toString().lines())
          .singleElement()
          .asString()
          .contains(file + ": expected the model of this project, found none")
          .contains("--model");
    }
    assertThat(run("serve")).isEqualTo(2);
    assertThat(err.toString()).contains("--model: expected a model, found none in this folder");
    Files.createDirectories(file.getParent());
    Files.writeString(file, "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n");
    assertThat(run("generate", "--prompt", "a")).isEqualTo(1);
    assertThat(err.toString()).contains("found its Git LFS pointer: run git lfs pull");
    assertThat(run("serve")).isEqualTo(1);
    assertThat(err.toString()).contains("found its Git LFS pointer: run git lfs pull");
  }

  @Test
  void examplesStandBeforeThePromptOfEachKind() throws IOException {
    makeModel();
    try (Tokenizer tokenizer = Tokenizer.load(folder.resolve("source/tokenizer.json"))) {
      for (FewShotPrompt kind : FewShotPrompt.values()) {
        String text = kind.text("a kernel\n");
        assertThat(text).contains("a kernel").doesNotContain("{prompt}");
        // The model's context of 128 tokens has no room for the examples: the message counts them.
        String name = kind.name().toLowerCase(Locale.ROOT);
        assertThat(run("generate", "--few-shot", name, "--prompt", "a kernel")).isEqualTo(1);
        assertThat(err.toString())
            .contains("the prompt has " + tokenizer.encode(text).length + " tokens");
      }
    }
    assertThat(FewShotPrompt.QA.text("Why?")).endsWith("\n\nQuestion: Why?\nAnswer:");
    assertThat(FewShotPrompt.POEM.text("Rain")).endsWith("\n\nTitle: Rain\n");
    assertThat(FewShotPrompt.CODE.text("Adds.")).endsWith("\n\n// Adds.\nstatic");
    assertThat(run("generate", "--few-shot", "qa", "--prompt-ids", "1 2")).isEqualTo(2);
    assertThat(err.toString()).contains("--few-shot takes --prompt or --prompt-file");
  }
}
