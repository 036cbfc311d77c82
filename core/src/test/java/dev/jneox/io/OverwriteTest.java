package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OverwriteTest {
  @TempDir private Path dir;

  @Test
  void aNameThatIsFreeAndAnEmptyFolderMayBeWritten() throws IOException {
    Path empty = Files.createDirectory(dir.resolve("empty"));
    assertThatCode(() -> Overwrite.check(empty, false)).doesNotThrowAnyException();
    assertThatCode(() -> Overwrite.check(dir.resolve("new"), false)).doesNotThrowAnyException();
  }

  @Test
  void whatExistsIsReplacedOnRequestOnly() throws IOException {
    Path file = Files.createFile(dir.resolve("file"));
    for (Path taken : new Path[] {file, dir}) {
      assertThatThrownBy(() -> Overwrite.check(taken, false))
          .isInstanceOf(InputException.class)
          .hasMessage(taken + ": exists already: choose another name, or replace it with --force");
      assertThatCode(() -> Overwrite.check(taken, true)).doesNotThrowAnyException();
    }
  }
}
