package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.Shell;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code train --text}: from texts to a model that is complete, evaluated and trained on. */
@Tag("slow")
class TrainOnTextTest {
  @TempDir private Path dir;
  private Path texts;
  private Path out;

  @BeforeEach
  void writeTexts() throws IOException {
    texts = Files.createDirectory(dir.resolve("texts"));
    out = dir.resolve("my model's");
    String[] words = {"the", "sea", "is", "deep", "and", "blue", "ship", "sails", "far", "home"};
    Random random = new Random(1);
    for (String name : List.of("one.txt", "two.md")) {
      StringBuilder text = new StringBuilder();
      while (text.length() < 20_000) {
        text.append(words[random.nextInt(words.length)])
            .append(random.nextInt(9) == 0 ? ".\n" : " ");
      }
      Files.writeString(texts.resolve(name), text);
    }
  }

  private Output train(String... more) throws IOException {
    List<String> arguments =
        new ArrayList<>(List.of("train", "--text", texts.toString(), "--out", out.toString()));
    arguments.addAll(
        List.of("--set", "train_micro_batch_size_per_gpu=2", "--set", "checkpoint_factor=3"));
    arguments.addAll(List.of("--set", "eval_interval=3", "--set", "eval_iters=2"));
    arguments.addAll(List.of(more));
    return Output.of(arguments.toArray(String[]::new));
  }

  @Test
  void textsBecomeAModelAndTheRunGoesOn() throws IOException {
    Output first = train("--time", "1s", "--set", "train_iters=6", "--set", "exit_interval=3");
    assertThat(first.code()).as(first.err()).isZero();
    assertThat(first.out())
        .contains("text: 2 documents", "model: tiny, for ", "memory: about ", "disk: ")
        .contains(
            "validation after step 3",
            "./jneox complete --model " + Shell.quoted(out.resolve("run")));
    for (String file :
        List.of("tokenizer.json", "train.yml", "data/valid.jsonl", "data/test.jsonl")) {
      assertThat(out.resolve(file)).isNotEmptyFile();
    }
    assertThat(out.resolve("data/train.jsonl")).doesNotExist();
    Path samples = out.resolve("run/samples.txt");
    assertThat(Files.readAllLines(samples))
        .element(0)
        .asString()
        .matches("step 3, validation loss \\d+\\.\\d{4}, continues \".{25}[.]{3}\":");
    assertThat(ImageIO.read(out.resolve("run/loss.png").toFile()).getWidth()).isEqualTo(1200);

    Output second = train("--set", "train_iters=6", "--sample", "the sea");
    assertThat(second.code()).as(second.err()).isZero();
    assertThat(second.out())
        .contains("going on by " + out.resolve("train.yml"))
        .contains("resuming from " + out.resolve("run/global_step3") + " after step 3 of 6")
        .contains("test after step 6");
    assertThat(Files.readString(samples)).contains("step 6, ", "continues \"the sea\":\n  the sea");

    Output recipe =
        Output.of("train", out.resolve("train.yml").toString(), "--set", "exit_interval=1");
    assertThat(recipe.code()).as(recipe.err()).isZero();
    assertThat(recipe.out()).contains("after step 6 of 50");

    for (String[] changed : new String[][] {{"--time", "2s"}, {"--size", "small"}}) {
      Output longer = train(changed);
      assertThat(longer.code()).isEqualTo(1);
      assertThat(longer.err().lines())
          .singleElement()
          .asString()
          .contains("train.yml: line 2: expected " + String.join(" ", changed) + ", found ")
          .contains("--set train_iters=N");
    }
    Files.writeString(texts.resolve("three.txt"), "and more text");
    Output more =
        train("--time", "1s", "--size", "tiny", "--set", "train_iters=7", "--sample", "the sea");
    assertThat(more.code()).as(more.err()).isZero();
    assertThat(more.out())
        .containsPattern("the text had [0-9,]+ bytes when its data was made and has [0-9,]+ now")
        .contains("nothing to train: step 7 of 7 is done; to go on raise train_iters");

    Path other = Files.writeString(dir.resolve("other.txt"), "another text ".repeat(2000));
    Output refused = Output.of("train", "--text", other.toString(), "--out", out.toString());
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err().lines())
        .singleElement()
        .asString()
        .contains(
            out.resolve("train.yml") + ": line 1: expected ", "name another folder with --out");
  }

  @ParameterizedTest
  @CsvSource({
    "--time, 30, 'expected a number with s, m or h, such as 30m, found 30'",
    "--time, 0s, 'expected 1s to 1000h, found 0s'",
    "--time, 0.5s, 'expected 1s to 1000h, found 0.5s'",
    "--time, -5m, 'expected a number with s, m or h, such as 30m, found -5m'",
    "--time, 999999h, 'expected 1s to 1000h, found 999999h'",
    "--time, 3x, 'expected a number with s, m or h, such as 30m, found 3x'",
    "--size, huge, 'expected tiny, small, medium, large or base, found huge'",
  })
  void aWrongOptionIsWrongUsage(String option, String value, String message) throws IOException {
    Output output = train(option, value);
    assertThat(output.code()).isEqualTo(2);
    assertThat(output.err()).contains(option + ": " + message);
    assertThat(out).doesNotExist();
  }

  @Test
  void aTextThatIsNotUtf8IsNamedOrLeftOut() throws IOException {
    Files.write(texts.resolve("latin.txt"), new byte[] {'c', 'a', 'f', (byte) 0xe9, '\n'});
    Files.writeString(texts.resolve("picture.dat"), "other");
    Output refused = train("--time", "1s");
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err().lines())
        .last()
        .asString()
        .endsWith("found byte 0xe9: convert it to UTF-8, or skip bad documents");
    Output skipped = train("--time", "1s", "--skip-bad", "--set", "train_iters=1");
    assertThat(skipped.code()).as(skipped.err()).isZero();
    assertThat(skipped.out())
        .contains("text: 2 documents, ", "left out: 1 bad document, 1 file of another kind\n");
  }

  @Test
  void textAndARecipeExcludeEachOther() throws IOException {
    assertThat(train("recipe.yml").code()).isEqualTo(2);
    assertThat(Output.of("train").code()).isEqualTo(2);
    Output stray = Output.of("train", "recipe.yml", "--time", "30m");
    assertThat(stray.code()).isEqualTo(2);
    assertThat(stray.err()).contains("--out, --time, --size and --skip-bad go with --text");
  }
}
