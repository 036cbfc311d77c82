package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class SpellingTest {
  @Test
  void editsAreLettersInsertedDeletedOrReplaced() {
    assertThat(Spelling.edits("kitten", "sitting")).isEqualTo(3);
    assertThat(Spelling.edits("", "abc")).isEqualTo(3);
    assertThat(Spelling.edits("same", "same")).isZero();
  }

  @Test
  void theNearestWordIsFoundOrNone() {
    List<String> words = List.of("model", "max-tokens", "top-k", "n");
    assertThat(Spelling.nearest("modle", words)).contains("model");
    assertThat(Spelling.nearest("m", words)).contains("model");
    assertThat(Spelling.nearest("max", words)).contains("max-tokens");
    assertThat(Spelling.nearest("x", words)).isEmpty();
    assertThat(Spelling.nearest("quux", words)).isEmpty();
  }
}
