package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** Looks at what a datasheet says of given facts, without Spark. */
class DatasheetTest {
  @TempDir private Path folder;

  private static Facts.Component component(
      String name, long documents, Map<Integer, Long> lengths) {
    return new Facts.Component(
        name,
        List.of(name + ".jsonl"),
        1,
        0,
        1,
        5000,
        documents,
        0,
        documents,
        documents * 100,
        documents,
        0,
        0,
        0,
        Map.of(),
        List.of(),
        new TreeMap<>(lengths));
  }

  private static final Facts FACTS =
      new Facts(
          "p.yml",
          "jsonl",
          1234,
          0,
          List.of(new Facts.StepText("pii", "replaces")),
          List.of(
              component("a<b>&c", 40, Map.of(7, 39L, 9, 1L)),
              component("beta", 10, Map.of(7, 10L))),
          List.of(
              new Facts.Removal("beta", "c4", "curly bracket", 6, 600, 1, "{", ""),
              new Facts.Removal("beta", "c4", "lorem ipsum", 3, 300, 2, "Lorem", "")),
          List.of(),
          List.of(new Facts.Duplicates("exact_dedup", 1, 2, 3, "beta, line 1", 0, 0, 7)),
          List.of(
              new Facts.Spans(
                  "line_dedup", 2, 5, 4, 4000, List.of(new Facts.Span("<b>", 6, "beta, line 3")))),
          List.of(new Facts.Classifier("quality_classifier", "beta", 0.875)),
          List.of(new Facts.Finding("beta", "email", 12, 5)),
          Map.of());

  @Test
  void whatWasFoundIsSaid() throws Exception {
    Datasheet.write(FACTS, folder);
    assertThat(Files.readString(folder.resolve(Datasheet.MARKDOWN)))
        .contains("| beta | 12 | 5 | email |")
        .contains("| line\\_dedup | 6 | beta, line 3 | \\<b\\> |")
        .contains("| line\\_dedup | 2 | 5 | 4 | 4.0 kB |")
        .contains("| quality\\_classifier | 87.5 % | beta |")
        .contains("| from 64 bytes | 49 |\n| from 128 bytes | 0 |\n| from 256 bytes | 1 |")
        .contains("| exact\\_dedup | 1 | 2 | 3 | 0 | 7 | beta, line 1 |");
  }

  /** A datasheet can be written again of a corpus that an earlier version built. */
  @Test
  void factsOfAnEarlierVersionAreRead() throws Exception {
    ObjectNode facts = CorpusBuild.MAPPER.valueToTree(FACTS);
    facts.remove(List.of("spans", "classifiers", "findings"));
    facts.path("sources").forEach(source -> ((ObjectNode) source).remove("lengths"));
    facts.path("duplicates").forEach(step -> ((ObjectNode) step).remove("earlier"));
    CorpusBuild.MAPPER.writeValue(folder.resolve(CorpusBuild.FACTS).toFile(), facts);
    Datasheet.write(folder);
    assertThat(Files.readString(folder.resolve(Datasheet.MARKDOWN)))
        .contains("| exact\\_dedup | 1 | 2 | 3 | 0 | 0 | beta, line 1 |");
  }

  /** Each plot is XML, and its bars are as long as the numbers. */
  @Test
  void plotsAreDrawn() throws Exception {
    Datasheet.write(FACTS, folder);
    String html = Files.readString(folder.resolve(Datasheet.HTML));
    Map<String, List<Double>> plots = new TreeMap<>();
    for (int at = html.indexOf("<svg"); at >= 0; at = html.indexOf("<svg", at + 1)) {
      String svg = html.substring(at, html.indexOf("</svg>", at) + 6);
      Element root =
          DocumentBuilderFactory.newInstance()
              .newDocumentBuilder()
              .parse(new ByteArrayInputStream(svg.getBytes(StandardCharsets.UTF_8)))
              .getDocumentElement();
      List<Double> widths = new ArrayList<>();
      NodeList bars = root.getElementsByTagName("rect");
      for (int i = 0; i < bars.getLength(); i++) {
        widths.add(Double.parseDouble(((Element) bars.item(i)).getAttribute("width")));
      }
      plots.put(root.getAttribute("aria-label"), widths);
      assertThat(Double.parseDouble(root.getAttribute("height")))
          .isGreaterThan(22.0 * bars.getLength());
    }
    assertThat(plots)
        .isEqualTo(
            Map.of(
                "Documents kept", List.of(400.0, 100.0),
                "Text kept", List.of(400.0, 100.0),
                "Documents by length", List.of(400.0, 0.0, 8.2),
                "Documents removed", List.of(400.0, 200.0)));
    assertThat(html).contains("a&lt;b&gt;&amp;c").doesNotContain("a<b>");
  }
}
