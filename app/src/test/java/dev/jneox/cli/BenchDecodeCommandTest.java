package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Tag("slow")
class BenchDecodeCommandTest {
  /** 3 layers of 64, 512 ids, 128 positions. */
  private static final Path MODEL =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... args) {
    return Main.commandLine()
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err, true))
        .execute(args);
  }

  @Test
  void ratesLimitsAndMemoryAreReported() throws IOException {
    String[] args = {
      "bench",
      "decode",
      "--model",
      MODEL.toString(),
      "--prompt",
      "20",
      "--new",
      "30",
      "--sessions",
      "3",
      "--rounds",
      "3",
      "--warmup",
      "1",
      "--threads",
      "2",
      "--kv",
      "bf16",
      "--json"
    };
    assertThat(run(args)).as(err.toString()).isZero();
    JsonNode report = new ObjectMapper().readTree(out.toString());
    assertThat(report.get("sessions").intValue()).isEqualTo(3);
    assertThat(report.get("threads").intValue()).isEqualTo(2);
    assertThat(report.get("rounds").intValue()).isEqualTo(3);
    assertThat(report.at("/warmup/rounds").intValue()).isEqualTo(1);
    assertThat(report.get("cold_first_token_seconds").doubleValue()).isPositive();
    for (String figure :
        new String[] {
          "first_token_seconds", "prompt_tokens_per_second", "decode_tokens_per_second"
        }) {
      JsonNode spread = report.get(figure);
      assertThat(spread.get("min").doubleValue())
          .as(figure)
          .isPositive()
          .isLessThanOrEqualTo(spread.get("median").doubleValue());
      assertThat(spread.get("median").doubleValue())
          .as(figure)
          .isLessThanOrEqualTo(spread.get("max").doubleValue());
    }
    long weights = report.get("weight_bytes_per_step").longValue();
    // Every matrix but the embedding once, in fp32.
    long layers = 3L * (3 * 64 * 64 + 64 * 64 + 2 * 64 * 256);
    assertThat(weights).isEqualTo(4 * (layers + 512 * 64));
    // Three texts of 20 to 50 positions, 35 in the middle; three layers of keys and values of 64,
    // in bfloat16.
    assertThat(report.get("kv_bytes_per_step").longValue()).isEqualTo(3 * 35 * 3 * 2 * 64 * 2);
    double limit = report.get("limit_tokens_per_second").doubleValue();
    double rate = report.at("/decode_tokens_per_second/median").doubleValue();
    assertThat(report.get("share_of_limit").doubleValue()).isCloseTo(rate / limit, within(1e-9));
  }

  @Test
  void forPeopleItIsATable() {
    assertThat(
            run(
                "bench",
                "decode",
                "--model",
                MODEL.toString(),
                "--prompt",
                "5",
                "--new",
                "5",
                "--rounds",
                "1",
                "--warmup",
                "0"))
        .isZero();
    assertThat(out.toString().lines())
        .anyMatch(line -> line.matches("decode_tokens_per_second +[\\d.e+]+ \\(.* to .*\\)"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "2 | --new 1                | --new: expected 2 or more, found 1",
        "2 | --prompt 0             | --prompt: expected 1 or more, found 0",
        "2 | --rounds 0             | --rounds: expected 1 or more, found 0",
        "1 | --prompt 100 --new 100 | --prompt and --new: expected 128 tokens together at most, the"
            + " model's context, found 200",
        "2 | --sessions 0           | --sessions: expected 1 or more, found 0",
        "2 | --threads 0            | --threads: expected 1 or more, found 0",
        "2 | --kv f8                | --kv: expected one of f32, bf16, found f8",
      })
  void badOptionsAreRefusedInOneLine(int code, String options, String message) {
    assertThat(run(("bench decode --model " + MODEL + " " + options).split(" +"))).isEqualTo(code);
    assertThat(err.toString().lines()).singleElement().asString().startsWith("jneox: " + message);
    assertThat(out.toString()).isEmpty();
  }
}
