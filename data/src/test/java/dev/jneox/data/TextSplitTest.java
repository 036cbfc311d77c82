package dev.jneox.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextSplitTest {
  @TempDir private Path dir;

  private static List<String> texts(Path file) {
    List<String> texts = new ArrayList<>();
    try (Documents documents = Documents.open(List.of(file), false, _ -> {})) {
      documents.texts().forEachRemaining(texts::add);
    }
    return texts;
  }

  @Test
  void ofFewDocumentsTheEndsAreHeldOut() throws IOException {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 1000; i++) {
      text.append("line ").append(i).append(" \uD83D\uDE00 of a text\n");
    }
    Path file = Files.writeString(dir.resolve("one.md"), text);
    TextSplit split = TextSplit.of(List.of(file), dir.resolve("data"), false, Progress.silent());
    assertThat(split.documents()).isEqualTo(1);
    String training = texts(split.training()).getFirst();
    String validation = texts(split.validation()).getFirst();
    String test = texts(split.test()).getFirst();
    assertThat(training + validation + test).isEqualTo(text.toString());
    assertThat(training).endsWith("\n").hasSize((int) split.characters());
    assertThat(validation).startsWith("line ").endsWith("\n");
    double all = text.length();
    assertThat(training.length() / all).isBetween(0.89, 0.93);
    assertThat(validation.length() / all).isBetween(0.03, 0.06);
    assertThat(test.length() / all).isBetween(0.03, 0.06);
  }

  /** Without a line or between the halves of a character outside of the basic plane. */
  @Test
  void aTextWithoutLinesIsCutBetweenCharacters() throws IOException {
    for (String start : List.of("", "x", "xy", "xyz")) {
      String text = start + "\uD83D\uDE00".repeat(6000);
      Path file = Files.writeString(dir.resolve("one.txt"), text);
      TextSplit split = TextSplit.of(List.of(file), dir.resolve("data"), false, Progress.silent());
      assertThat(
              texts(split.training()).getFirst()
                  + texts(split.validation()).getFirst()
                  + texts(split.test()).getFirst())
          .isEqualTo(text);
    }
  }

  @Test
  void ofManyDocumentsWholeOnesAreHeldOut() throws IOException {
    Path folder = Files.createDirectory(dir.resolve("texts"));
    for (int d = 0; d < 80; d++) {
      Files.writeString(folder.resolve("%02d.txt".formatted(d)), d + " " + "word ".repeat(100));
    }
    TextSplit split = TextSplit.of(List.of(folder), dir.resolve("data"), false, Progress.silent());
    assertThat(split.documents()).isEqualTo(80);
    assertThat(texts(split.training())).hasSize(76);
    assertThat(texts(split.validation()))
        .extracting(t -> t.substring(0, 2))
        .containsExactly("19", "59");
    assertThat(texts(split.test())).extracting(t -> t.substring(0, 2)).containsExactly("39", "79");
  }

  @Test
  void whatIsLeftOutIsCountedAndEveryByteOnce() throws IOException {
    Path folder = Files.createDirectory(dir.resolve("texts"));
    long bytes = 0;
    for (int d = 0; d < 41; d++) {
      byte[] text = (d + " " + "word ".repeat(100)).getBytes(StandardCharsets.UTF_8);
      Files.write(folder.resolve("%02d.txt".formatted(d)), d == 3 ? new byte[0] : text);
      bytes += d == 3 ? 0 : text.length;
    }
    Files.write(folder.resolve("latin.txt"), new byte[] {'c', 'a', 'f', (byte) 0xe9});
    Files.writeString(folder.resolve("picture.dat"), "other");
    Progress progress = Progress.silent();
    TextSplit split = TextSplit.of(List.of(folder), dir.resolve("data"), true, progress);
    assertThat(split.documents()).isEqualTo(40);
    assertThat(split.empty()).isEqualTo(1);
    assertThat(split.skipped()).isEqualTo(new Documents.Skipped(1, 0, 1));
    // The empty one does not shift which documents are held out.
    assertThat(texts(split.validation())).singleElement().asString().startsWith("20 ");
    assertThat(progress.total()).isEqualTo(bytes + 4);
    assertThat(progress.done()).isEqualTo(bytes + 4);
    assertThatThrownBy(
            () -> TextSplit.of(List.of(folder), dir.resolve("data"), false, Progress.silent()))
        .isInstanceOf(InputException.class)
        .hasMessage(
            folder.resolve("latin.txt")
                + ": byte 3: expected UTF-8, found byte 0xe9: convert it to UTF-8, or skip bad"
                + " documents");
  }

  @Test
  void tooLittleTextIsRefused() throws IOException {
    Path file = Files.writeString(dir.resolve("one.txt"), "a few words");
    assertThatThrownBy(
            () -> TextSplit.of(List.of(file), dir.resolve("data"), false, Progress.silent()))
        .isInstanceOf(InputException.class)
        .hasMessage(
            file
                + ": expected 10,000 characters of text or more, found 11: too little to learn"
                + " from");
    assertThat(dir.resolve("data")).doesNotExist();
  }

  /**
   * Whole documents are held out in turn; here those would be next to nothing, or nearly all of the
   * text.
   */
  @ParameterizedTest
  @CsvSource({"2, 2", "60000, 400", "400, 60000"})
  void ofUnevenDocumentsTheEndsAreHeldOut(int validation, int test) throws IOException {
    Path folder = Files.createDirectory(dir.resolve("texts"));
    for (int d = 0; d < 45; d++) {
      int length = d == 19 ? validation : d == 39 ? test : 400;
      Files.writeString(folder.resolve("%02d.txt".formatted(d)), "w ".repeat(length / 2));
    }
    TextSplit split = TextSplit.of(List.of(folder), dir.resolve("data"), false, Progress.silent());
    double all = 43 * 400 + validation + test;
    assertThat(split.characters() / all).isBetween(0.85, 0.95);
    for (Path part : List.of(split.validation(), split.test())) {
      assertThat(texts(part).stream().mapToInt(String::length).sum() / all).isBetween(0.02, 0.08);
    }
  }

  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void whatCannotBeReadTwiceIsRefused() throws Exception {
    Path fifo = dir.resolve("text.txt");
    assertThat(new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor()).isZero();
    assertThatThrownBy(
            () -> TextSplit.of(List.of(fifo), dir.resolve("data"), false, Progress.silent()))
        .isInstanceOf(InputException.class)
        .hasMessage(fifo + ": kind: expected a regular file, found a FIFO, socket or device");
    assertThat(dir.resolve("data")).doesNotExist();
  }
}
