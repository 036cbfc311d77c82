package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ByteSizeTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          0                   | 0 bytes
          999                 | 999 bytes
          1000                | 1.0 kB
          999949              | 999.9 kB
          999950              | 1.0 MB
          5300000             | 5.3 MB
          999950000           | 1.0 GB
          40300000000         | 40.3 GB
          1500000000000       | 1.5 TB
          9223372036854775807 | 9,223,372.0 TB
          """)
  void theUnitFitsTheNumber(long bytes, String text) {
    assertThat(ByteSize.text(bytes)).isEqualTo(text);
  }

  @Test
  void aLackIsSeenEvenWhereBothNumbersLookAlike() {
    assertThat(ByteSize.lack(2_000_000, 1500)).isEqualTo("needs 2.0 MB, 1.5 kB are free");
    assertThat(ByteSize.lack(5_000_001_000L, 5_000_000_000L))
        .isEqualTo("needs 5.0 GB, 5.0 GB are free: 1.0 kB too little");
  }
}
