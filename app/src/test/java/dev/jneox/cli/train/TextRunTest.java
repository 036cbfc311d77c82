package dev.jneox.cli.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.train.NeoxConfig;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TextRunTest {
  /** More time or text never make it smaller. */
  @ParameterizedTest
  @CsvSource({
    "60, 1000000, 1e11, TINY",
    "7200, 100000000, 2e11, SMALL",
    "28800, 100000000, 3e11, MEDIUM",
    "864000, 10000000000, 3e11, BASE",
    "864000, 10000, 3e11, TINY",
  })
  void theModelFitsTheTextAndTheTime(double seconds, long tokens, double rate, TextRun.Size size) {
    assertThat(TextRun.Size.of(seconds, tokens, 8192, rate)).isEqualTo(size);
  }

  @Test
  void moreTimeNeverMakesTheModelSmaller() {
    TextRun.Size last = TextRun.Size.TINY;
    for (double seconds = 10; seconds < 1e7; seconds *= 1.5) {
      TextRun.Size size = TextRun.Size.of(seconds, 1_000_000_000, 8192, 2e11);
      assertThat(size).isGreaterThanOrEqualTo(last);
      last = size;
    }
    assertThat(last).isEqualTo(TextRun.Size.BASE);
  }

  private static Path text(Path folder, String name) throws IOException {
    Files.createDirectories(folder);
    return Files.writeString(folder.resolve(name), "the sea is deep and blue\n".repeat(800));
  }

  private static boolean isMade(TextRun run, Path text) {
    return run.isMade(List.of(text), Optional.empty(), Optional.empty());
  }

  private static void make(TextRun run, Path text) {
    run.make(new PrintWriter(new StringWriter()), List.of(text), 1, Optional.empty(), false, 1e11);
  }

  @Test
  void aFolderOfSomethingElseIsLeftAsItIs(@TempDir Path dir) throws IOException {
    Path text = text(dir.resolve("texts"), "a.txt");
    for (String name : List.of("tokenizer.json", "data/train.jsonl", "run/model.safetensors")) {
      Path out = dir.resolve(name.replaceAll("\\W", ""));
      Path mine = out.resolve(name);
      Files.createDirectories(mine.getParent());
      Files.writeString(mine, "mine");
      assertThatThrownBy(() -> new TextRun(out).check(List.of(text), List.of()))
          .isInstanceOf(InputException.class)
          .hasMessageContainingAll(
              out + "/" + name.replaceAll("/.*", ""), "exists already", "--out");
    }
    Path free = Files.createDirectories(dir.resolve("free/data"));
    new TextRun(free.getParent()).check(List.of(text), List.of());
  }

  @Test
  void itsOwnFilesAreNoTexts(@TempDir Path dir) throws IOException {
    Path texts = dir.resolve("texts");
    text(texts, "a.txt");
    Path link = Files.createSymbolicLink(dir.resolve("link"), texts);
    for (Path out : List.of(texts, texts.resolve("out"), link.resolve("not/yet"))) {
      assertThatThrownBy(() -> new TextRun(out).check(List.of(texts), List.of()))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(texts + ": --out: expected a folder apart from the texts")
          .hasMessageContaining("found " + out);
    }
    TextRun run = new TextRun(dir.resolve("out"));
    make(run, texts);
    Path held = dir.resolve("out/data/valid.jsonl");
    Files.writeString(run.recipe(), "# Not finished: the same command makes it anew.\n");
    assertThatThrownBy(() -> run.check(List.of(held), List.of()))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(held + ": --out: ");
    new TextRun(dir.resolve("texts2")).check(List.of(texts), List.of());
  }

  @Test
  void whatWasKilledIsMadeAnew(@TempDir Path dir) throws IOException {
    Path text = text(dir.resolve("texts"), "a.txt");
    Path bad = Files.write(dir.resolve("texts/bad.txt"), new byte[] {(byte) 0xff});
    TextRun run = new TextRun(dir.resolve("out"));
    assertThatThrownBy(() -> make(run, bad)).hasMessageContaining("bad.txt");
    assertThat(run.folder()).as("nothing was begun").isEmptyDirectory();
    make(run, text);
    String whole = Files.readString(run.recipe());
    assertThat(isMade(run, text)).isTrue();
    Files.writeString(
        run.recipe(),
        whole.lines().findFirst().orElseThrow()
            + "\n# Not finished: the same command makes it anew.\n");
    assertThat(isMade(run, text)).isFalse();
    run.check(List.of(text), List.of());
    make(run, text);
    assertThat(run.recipe()).content().isEqualTo(whole);
  }

  @Test
  void aWrongSettingIsToldBeforeTheTextIsRead(@TempDir Path dir) throws IOException {
    Path text = text(dir.resolve("texts"), "a.txt");
    TextRun run = new TextRun(dir.resolve("out"));
    run.check(List.of(text), List.of("train_iters=7"));
    assertThatThrownBy(() -> run.check(List.of(text), List.of("nonsense=3")))
        .isInstanceOf(InputException.class)
        .hasMessage("--set nonsense=3: unknown key 'nonsense'");
    assertThat(run.folder()).doesNotExist();
  }

  @ParameterizedTest
  @ValueSource(strings = {"a b", "it's", "a\nb", "tab\tand \\ and \"", "\u001b[31m", "#: ,]"})
  void aNameMayHaveAnyCharacters(String name, @TempDir Path dir) throws IOException {
    Path text = text(dir.resolve(name), "a.txt");
    TextRun run = new TextRun(dir.resolve(name + " run"));
    make(run, text);
    assertThat(isMade(run, text)).isTrue();
    NeoxConfig config = NeoxConfig.load(List.of(run.recipe()), List.of());
    assertThat(config.checkpoint().save()).contains(run.run());
    assertThat(config.data().vocabFile()).contains(run.folder().resolve("tokenizer.json"));
  }

  @Test
  void theCommandsOfTheSummaryAreOfTheFolderThatHasTheModel(@TempDir Path dir) {
    StringWriter out = new StringWriter();
    TextRun run = new TextRun(dir.resolve("my model"));
    run.summary(new PrintWriter(out), Optional.of(Path.of("else where")), 1);
    assertThat(out.toString())
        .contains("complete --model 'else where'\n", "eval --model 'else where' --data '" + dir)
        .contains("--from 'else where' --to '" + dir)
        .doesNotContain(run.run().toString());
    StringWriter none = new StringWriter();
    run.summary(new PrintWriter(none), Optional.empty(), 1);
    assertThat(none.toString()).contains("was not kept").doesNotContain("./jneox");
  }
}
