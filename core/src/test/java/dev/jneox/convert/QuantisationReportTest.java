package dev.jneox.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.convert.Quantisation.Written;
import dev.jneox.convert.QuantisationReport.Kind;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuantisationReportTest {
  private static Written matrix(String name, String type, double error) {
    return new Written(name, type, "F32", 100, 60, error, 4);
  }

  @ParameterizedTest
  @CsvSource({
    "embed_in.weight, embedding",
    "embed_out.weight, head",
    "embed_positions.weight, vectors",
    "final_norm.weight, vectors",
    "layers.12.mlp.dense_h_to_4h.bias, vectors",
    "layers.12.mlp.dense_h_to_4h.weight, mlp.dense_h_to_4h",
  })
  void aKindIsANameWithoutItsLayer(String canonical, String kind) {
    assertThat(QuantisationReport.kind(canonical)).isEqualTo(kind);
  }

  @Test
  void tensorsOfAKindAndTypeAreSummedUp() {
    QuantisationReport report =
        new QuantisationReport(
            List.of(
                matrix("layers.0.attention.dense.weight", "Q4_0", 1),
                matrix("embed_out.weight", "Q8_0", 0.01),
                matrix("layers.1.attention.dense.weight", "Q4_0", 0.5),
                matrix("layers.2.attention.dense.weight", "Q8_0", 0.02)));
    assertThat(report.kinds())
        .extracting(Kind::name, kind -> kind.sum().type(), kind -> kind.sum().parameters())
        .containsExactly(
            tuple("attention.dense", "Q4_0", 200L),
            tuple("head", "Q8_0", 100L),
            tuple("attention.dense", "Q8_0", 100L));
    assertThat(report.kinds().getFirst().sum().relativeError())
        .isCloseTo(Math.sqrt(1.5 / 8), within(1e-12));
    assertThat(report.worst().canonical()).isEqualTo("layers.0.attention.dense.weight");
    assertThat(report.parameters()).isEqualTo(400);
    assertThat(report.bytes()).isEqualTo(240);
  }
}
