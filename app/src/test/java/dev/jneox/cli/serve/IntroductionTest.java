package dev.jneox.cli.serve;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.serve.ModelSummary;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class IntroductionTest {
  private static final List<ModelSummary> MODELS =
      List.of(
          new ModelSummary(
              "small",
              2048,
              2_028_200_000L,
              Optional.of(new ModelSummary.Opened(14_100_000, "F16", 2_000_000_000L, false))),
          new ModelSummary(
              "chatty",
              4096,
              17_000_000_000L,
              Optional.of(new ModelSummary.Opened(7_200_000_000L, "Q4_0", 2_000_000_000L, true))),
          new ModelSummary("late", 512, 1_500_000_000L, Optional.empty()));

  private static String printed(boolean keys, Path certificate) {
    StringWriter out = new StringWriter();
    new Introduction("http://127.0.0.1:8080", true, keys, certificate, 32, 2, MODELS)
        .print(new PrintWriter(out), 1_500_000_000L);
    return out.toString();
  }

  @Test
  void itListsTheModelsAndNoLineIsCut() {
    String text = printed(false, null);
    assertThat(text.lines())
        .contains(
            "  small: 14.1M parameters, F16, 28.2 MB, context 2048, keys and values 2.0 GB",
            "  chatty: 7.2B parameters, Q4_0, 15.0 GB, context 4096, keys and values 2.0 GB",
            "  late, context 512; loaded at its first request, into 1.5 GB",
            "No chat template: small; a chat is written as a transcript.");
    assertThat(text.lines()).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(80));
    assertThat(text).doesNotContain("Authorization", "--cacert", "OPENAI_API_KEY");
  }

  private static List<String> commands(String text) {
    return text.substring(text.indexOf("try it:")).lines().toList();
  }

  @Test
  void itsCommandsBringKeyAndCertificate() {
    String text = printed(true, Path.of("certs", "my cert"));
    assertThat(text)
        .contains(
            "export OPENAI_API_KEY=KEY",
            "      -H \"Authorization: Bearer $OPENAI_API_KEY\" \\\n",
            "      --cacert 'certs/my cert' \\\n",
            "export REQUESTS_CA_BUNDLE='certs/my cert'");
    assertThat(commands(text)).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(80));
  }
}
