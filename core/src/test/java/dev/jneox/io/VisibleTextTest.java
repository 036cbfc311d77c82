package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class VisibleTextTest {
  @Test
  void escapesAndMarksOfDirectionAreShown() {
    assertThat(VisibleText.of("\u001b[2Ja\u009b\u202eb\u2066\u200f\u061c\ud800"))
        .isEqualTo("\\u001b[2Ja\\u009b\\u202eb\\u2066\\u200f\\u061c\\ud800");
    String plain = "größe שלום 😀\u200d"; // a joiner shows nothing else
    assertThat(VisibleText.of(plain)).isSameAs(plain);
    assertThat(VisibleText.of("a\nb")).isEqualTo("a\\u000ab");
  }

  @Test
  void ofALineBreaksAreSpacesAndOfLinesTheyStay() {
    assertThat(VisibleText.line("a\r\n\tb\u2028\u0007")).isEqualTo("a b \\u0007");
    assertThat(VisibleText.lines("a\tb\r\nc\rd\u001b\n")).isEqualTo("a\tb\r\nc\\u000dd\\u001b\n");
    assertThat(VisibleText.lines("")).isEmpty();
    assertThat(VisibleText.lines("\nab")).isEqualTo("\nab");
  }

  @Test
  void aMessageIsSafeAndBoundedAndKeepsItsEnd() {
    String message =
        new InputException("a\u001b[31m" + "x".repeat(1 << 20) + "do this").getMessage();
    assertThat(message).hasSize(4000).startsWith("a\\u001b[31mx").endsWith("xdo this");
  }
}
