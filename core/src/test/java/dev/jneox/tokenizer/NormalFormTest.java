package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.text.Normalizer;
import java.time.Duration;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** Long runs of combining marks against the JDK, which takes quadratic time for them. */
class NormalFormTest {
  @Provide
  Arbitrary<String> runs() {
    return Arbitraries.strings()
        .withChars(
            "a\u0301\u0323\u0345\u0334\u0344\u0F73\u0F74\u05B0\u064B\u0903\u093C\u20DD\u3099")
        .ofMinLength(80)
        .ofMaxLength(300);
  }

  @Property(tries = 300)
  void ordersRunsAsTheJdkDoes(@ForAll("runs") String text, @ForAll NormalForm form) {
    assertThat(form.normalize(text))
        .isEqualTo(Normalizer.normalize(text, Normalizer.Form.valueOf(form.name())));
  }

  @Test
  void marksOfEveryClassAreOrdered() {
    StringBuilder marks = new StringBuilder("a");
    for (int c = 0x1FFFF; c > 0x300; c--) {
      if (Character.getType(c) == Character.NON_SPACING_MARK && c < 0x7EB) {
        marks.appendCodePoint(c);
      }
    }
    String text = marks.toString();
    assertThat(NormalForm.NFD.normalize(text))
        .isEqualTo(Normalizer.normalize(text, Normalizer.Form.NFD));
  }

  @Test
  void aMillionMarksTakeTimeInProportion() {
    String text = "a" + "\u0301\u0323".repeat(500_000);
    assertTimeoutPreemptively(
        Duration.ofSeconds(20), () -> assertThat(NormalForm.NFC.normalize(text)).startsWith("ạ"));
  }
}
