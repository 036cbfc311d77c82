package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextLikelihoodTest {
  private static final float[] NONE = {};

  /** Counts are those of Python 3.11's {@code len(re.split(r"\s+", text))}. */
  @ParameterizedTest
  @CsvSource(
      ignoreLeadingAndTrailingWhitespace = false,
      value = {
        "'',1",
        "a,1",
        "a b,2",
        "' a  b ',4",
        "'\u00a0a\u2003b\u0085c\u001fd',5",
        "'a\u200bb',1"
      })
  void wordsAreCountedAsPythonSplits(String text, long words) {
    assertThat(TextLikelihood.of(NONE, text).words()).isEqualTo(words);
  }

  @Test
  void quotientsAreOfTheSumsOverAllDocuments() {
    TextLikelihood one = TextLikelihood.of(new float[] {-1, -2}, "ä b"); // 4 bytes, 2 words
    TextLikelihood two = TextLikelihood.of(new float[] {-3}, "c"); // 1 byte, 1 word
    TextLikelihood both = one.plus(two).plus(TextLikelihood.NONE);
    assertThat(both).isEqualTo(new TextLikelihood(3, -6, 5, 3));
    assertThat(both.loss()).isEqualTo(2);
    assertThat(both.perplexity()).isCloseTo(Math.exp(2), within(1e-12));
    assertThat(both.bitsPerByte()).isCloseTo(6 / (Math.log(2) * 5), within(1e-12));
    assertThat(both.bytePerplexity()).isCloseTo(Math.exp(6 / 5.0), within(1e-12));
    assertThat(both.wordPerplexity()).isCloseTo(Math.exp(2), within(1e-12));
  }
}
