package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class LogLikelihoodTest {
  @Test
  void perplexityIsTheBranchingOfAUniformText() {
    float ln = (float) Math.log(0.125);
    LogLikelihood text = LogLikelihood.of(new float[] {ln, ln, ln, ln});
    assertThat(text.tokens()).isEqualTo(4);
    assertThat(text.sum()).isCloseTo(4 * Math.log(0.125), within(1e-6));
    assertThat(text.mean()).isCloseTo(Math.log(0.125), within(1e-6));
    assertThat(text.perplexity()).isCloseTo(8, within(1e-6));
  }

  @Test
  void aLimitIsTheBandwidthByTheBytesOfAStep() {
    assertThat(new DecodeLimit(3, 80, 20).tokensPerSecond(1000)).isEqualTo(30);
  }
}
