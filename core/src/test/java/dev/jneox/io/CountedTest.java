package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class CountedTest {
  @Test
  void oneIsSingular() {
    assertThat(Counted.text(1, "document")).isEqualTo("1 document");
    assertThat(Counted.text(0, "document")).isEqualTo("0 documents");
    assertThat(Counted.text(1200, "token")).isEqualTo("1,200 tokens");
  }
}
