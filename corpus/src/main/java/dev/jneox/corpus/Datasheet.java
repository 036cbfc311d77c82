package dev.jneox.corpus;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.ByteSize;
import dev.jneox.io.HtmlPage;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * Describes a corpus for its users: sizes, weights, languages, what was removed and why, with
 * samples (Gebru and others, Datasheets for Datasets, 2021), as Markdown and as HTML.
 */
public final class Datasheet {
  /** The name of the Markdown file. */
  public static final String MARKDOWN = "datasheet.md";

  /** The name of the HTML file. */
  public static final String HTML = "datasheet.html";

  private static final String NOT_STATED = "not stated";

  private static final int LARGEST = 256 << 20;

  /** Pixels of a plot: a row, the labels, and the longest bar. */
  private static final int ROW = 22;

  private static final int LABEL = 340;
  private static final int BAR = 400;

  /** Is a table; columns from the second on hold numbers where {@code numbers} says so. */
  private record Table(List<String> head, List<List<String>> rows, int numbers) {}

  /** Is a heading with a text and a table, either of which may be empty, and plots in HTML. */
  private record Section(String title, String text, Table table, List<Plot> plots) {
    Section(String title, String text, Table table) {
      this(title, text, table, List.of());
    }
  }

  /** Is a row of bars. */
  private record Plot(String title, List<Bar> bars) {}

  /** Is a bar with its length as a reader would write it. */
  private record Bar(String label, long length, String text) {}

  private Datasheet() {}

  /**
   * Writes both forms into a folder that a build made, from its {@code corpus.json}.
   *
   * @throws InputException where there is none
   */
  public static void write(Path corpus) {
    Path file = corpus.resolve(CorpusBuild.FACTS);
    try {
      write(CorpusBuild.MAPPER.readValue(InputFile.text(file, LARGEST), Facts.class), corpus);
    } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
      throw new InputException(
          file
              + ": expected what jneox corpus build wrote, found: "
              + dev.jneox.io.JsonObject.problem(e),
          e);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }

  static void write(Facts facts, Path folder) {
    List<Section> sections = sections(facts);
    String title = "Datasheet of the corpus " + facts.pipeline();
    AtomicFile.write(
        folder.resolve(MARKDOWN), markdown(title, sections).getBytes(StandardCharsets.UTF_8));
    AtomicFile.write(folder.resolve(HTML), html(title, sections).getBytes(StandardCharsets.UTF_8));
  }

  private static List<Section> sections(Facts facts) {
    List<Section> sections = new ArrayList<>();
    sections.add(composition(facts));
    sections.add(lengths(facts));
    sections.add(licences(facts));
    List<List<String>> steps = new ArrayList<>();
    for (Facts.StepText step : facts.steps()) {
      steps.add(List.of(String.valueOf(steps.size() + 1), step.name(), step.does()));
    }
    sections.add(
        new Section(
            "Steps",
            "What was done to the documents, in order.",
            new Table(List.of("", "step", "what it does"), steps, 0)));
    sections.add(removals(facts));
    sections.add(duplicates(facts));
    sections.add(classifiers(facts));
    sections.add(findings(facts));
    sections.add(spans(facts));
    sections.add(
        new Section(
            "Most repeated spans",
            "The first of equal spans stays. Those that follow each other are one here.",
            new Table(
                List.of("step", "times", "first at", "beginning"),
                facts.spans().stream()
                    .flatMap(
                        step ->
                            step.most().stream()
                                .map(
                                    span ->
                                        List.of(
                                            step.step(),
                                            number(span.times()),
                                            span.place(),
                                            span.text())))
                    .toList(),
                1)));
    sections.add(languages(facts));
    sections.add(
        new Section(
            "Samples of what was removed",
            "One document of each source and rule, chosen by the hash of its id.",
            new Table(
                List.of("source, line", "rule", "beginning"),
                facts.removals().stream()
                    .map(
                        removal ->
                            List.of(
                                removal.source() + ", line " + removal.line(),
                                removal.step()
                                    + ": "
                                    + removal.rule()
                                    + (removal.kept().isEmpty() ? "" : " of " + removal.kept()),
                                removal.sample()))
                    .toList(),
                0)));
    sections.add(
        new Section(
            "Malformed records",
            "Records that could not be read and were skipped; the first of each source.",
            new Table(
                List.of("source", "file", "record", "what is wrong"),
                facts.malformed().stream()
                    .map(
                        bad ->
                            List.of(
                                bad.source(),
                                bad.file(),
                                String.valueOf(bad.record()),
                                bad.problem()))
                    .toList(),
                0)));
    sections.add(
        new Section(
            "Files",
            "",
            new Table(
                List.of("file", "SHA-256"),
                facts.files().entrySet().stream()
                    .map(file -> List.of(file.getKey(), file.getValue()))
                    .toList(),
                0)));
    return sections;
  }

  private static String heldOut(Facts facts) {
    if (facts.sources().stream().allMatch(source -> source.heldOut() == 0)) {
      return "No documents are held out.";
    }
    String others =
        facts.sources().stream()
            .filter(source -> source.heldOut() != facts.heldOut())
            .map(source -> ", of " + source.name() + " " + share(source.heldOut()))
            .collect(Collectors.joining());
    return "Held out, by the hash of their text, are "
        + share(facts.heldOut())
        + " of the documents"
        + others
        + ".";
  }

  private static String share(double share) {
    return BigDecimal.valueOf(share).movePointRight(2).stripTrailingZeros().toPlainString() + " %";
  }

  private static Section composition(Facts facts) {
    List<Facts.Component> sources = facts.sources();
    double written =
        sources.stream().mapToDouble(source -> source.keptBytes() * source.weight()).sum();
    boolean tokens = facts.format().equals("megatron");
    Map<String, Long> removed = new TreeMap<>();
    facts
        .removals()
        .forEach(removal -> removed.merge(removal.source(), removal.bytes(), Long::sum));
    List<List<String>> rows = new ArrayList<>();
    for (Facts.Component source : sources) {
      rows.add(
          List.of(
              source.name(),
              ByteSize.text(source.diskBytes()),
              number(source.records()),
              number(source.malformed()),
              number(source.keptDocuments()),
              ByteSize.text(source.keptBytes()),
              percent(removed.getOrDefault(source.name(), 0L), source.keptBytes()),
              String.valueOf(source.weight()),
              String.format(
                  Locale.ROOT,
                  "%.2f %%",
                  written == 0 ? 0 : 100 * source.keptBytes() * source.weight() / written),
              number(source.documents()),
              number(source.tokens()),
              number(source.heldOutDocuments())));
    }
    rows.add(
        List.of(
            "all",
            ByteSize.text(sources.stream().mapToLong(Facts.Component::diskBytes).sum()),
            number(sources.stream().mapToLong(Facts.Component::records).sum()),
            number(sources.stream().mapToLong(Facts.Component::malformed).sum()),
            number(sources.stream().mapToLong(Facts.Component::keptDocuments).sum()),
            ByteSize.text(sources.stream().mapToLong(Facts.Component::keptBytes).sum()),
            percent(
                removed.values().stream().mapToLong(Long::longValue).sum(),
                sources.stream().mapToLong(Facts.Component::keptBytes).sum()),
            "",
            "100 %",
            number(sources.stream().mapToLong(Facts.Component::documents).sum()),
            number(sources.stream().mapToLong(Facts.Component::tokens).sum()),
            number(sources.stream().mapToLong(Facts.Component::heldOutDocuments).sum())));
    List<String> head =
        new ArrayList<>(
            List.of(
                "source",
                "on disk",
                "records",
                "malformed",
                "documents kept",
                "text kept",
                "text removed",
                "epochs",
                "share",
                "documents written",
                "tokens written",
                "held out"));
    int column = head.indexOf("tokens written");
    if (!tokens) {
      head.remove(column);
      rows.replaceAll(
          row -> {
            List<String> others = new ArrayList<>(row);
            others.remove(column);
            return others;
          });
    }
    return new Section(
        "Composition",
        String.format(
            Locale.ROOT,
            "Weights are epochs: how often each document is written. The share is that of the"
                + " weighted bytes. The order of documents follows from the seed %d. %s",
            facts.seed(),
            heldOut(facts)),
        new Table(head, rows, head.size() - 1),
        List.of(
            new Plot(
                "Documents kept",
                sources.stream()
                    .map(
                        source ->
                            new Bar(
                                source.name(),
                                source.keptDocuments(),
                                number(source.keptDocuments())))
                    .toList()),
            new Plot(
                "Text kept",
                sources.stream()
                    .map(
                        source ->
                            new Bar(
                                source.name(),
                                source.keptBytes(),
                                ByteSize.text(source.keptBytes())))
                    .toList())));
  }

  private static Section lengths(Facts facts) {
    TreeMap<Integer, Long> all = new TreeMap<>();
    facts
        .sources()
        .forEach(source -> source.lengths().forEach((bits, n) -> all.merge(bits, n, Long::sum)));
    List<List<String>> rows = new ArrayList<>();
    List<Bar> bars = new ArrayList<>();
    for (int bits = all.isEmpty() ? 1 : all.firstKey();
        !all.isEmpty() && bits <= all.lastKey();
        bits++) {
      String label = "from " + ByteSize.text(bits == 0 ? 0 : 1L << bits - 1);
      long n = all.getOrDefault(bits, 0L);
      rows.add(List.of(label, number(n)));
      bars.add(new Bar(label, n, number(n)));
    }
    return new Section(
        "Lengths",
        "Documents kept, by the bytes of their text: each row to twice as many.",
        new Table(List.of("length", "documents"), rows, 1),
        List.of(new Plot("Documents by length", bars)));
  }

  private static Section findings(Facts facts) {
    return new Section(
        "Personal data and words of lists",
        "What steps found in the documents kept. Personal data is replaced by the name of its kind;"
            + " toxicity counts the words and phrases of the list that the pipeline names.",
        new Table(
            List.of("source", "found", "documents", "kind"),
            facts.findings().stream()
                .map(
                    finding ->
                        List.of(
                            finding.source(),
                            number(finding.found()),
                            number(finding.documents()),
                            finding.kind()))
                .toList(),
            2));
  }

  private static Section classifiers(Facts facts) {
    return new Section(
        "Classifiers",
        facts.classifiers().isEmpty()
            ? ""
            : "Accuracy is that on documents of both sides which were not trained on.",
        new Table(
            List.of("step", "accuracy", "good source"),
            facts.classifiers().stream()
                .map(
                    classifier ->
                        List.of(
                            classifier.step(),
                            String.format(Locale.ROOT, "%.1f %%", 100 * classifier.accuracy()),
                            classifier.positive()))
                .toList(),
            1));
  }

  private static Section licences(Facts facts) {
    List<List<String>> rows = new ArrayList<>();
    for (Facts.Component source : facts.sources()) {
      if (source.licences().isEmpty()) {
        rows.add(
            List.of(
                source.name(),
                number(source.keptDocuments()),
                ByteSize.text(source.keptBytes()),
                NOT_STATED,
                ""));
      }
      for (Facts.Licence licence : source.licences()) {
        rows.add(
            List.of(
                source.name(),
                number(licence.documents()),
                ByteSize.text(licence.bytes()),
                licence.licence().isEmpty() ? NOT_STATED : licence.licence(),
                String.join(", ", licence.packages())));
      }
    }
    return new Section(
        "Licences",
        "Documents kept, by the licence of their text as the pipeline states it: an SPDX"
            + " expression, in which AND joins the licences of different files.",
        new Table(
            List.of("source", "documents kept", "text kept", "licence", "packages"), rows, 2));
  }

  private static Section removals(Facts facts) {
    Map<String, long[]> rules = new TreeMap<>();
    for (Facts.Removal removal : facts.removals()) {
      long[] sum =
          rules.computeIfAbsent(removal.step() + ": " + removal.rule(), rule -> new long[2]);
      sum[0] += removal.documents();
      sum[1] += removal.bytes();
    }
    List<List<String>> rows = new ArrayList<>();
    rules.forEach(
        (rule, sum) -> {
          String bySource =
              facts.removals().stream()
                  .filter(removal -> rule.equals(removal.step() + ": " + removal.rule()))
                  .map(removal -> removal.source() + " " + number(removal.documents()))
                  .collect(Collectors.joining(", "));
          rows.add(List.of(rule, number(sum[0]), ByteSize.text(sum[1]), bySource));
        });
    return new Section(
        "Removals",
        "Each removed document has one reason: the first rule that it broke.",
        new Table(List.of("step: rule", "documents", "text", "by source"), rows, 2),
        List.of(
            new Plot(
                "Documents removed",
                rules.entrySet().stream()
                    .map(
                        rule ->
                            new Bar(rule.getKey(), rule.getValue()[0], number(rule.getValue()[0])))
                    .toList())));
  }

  private static Section duplicates(Facts facts) {
    return new Section(
        "Duplicates",
        "Of each group the document with the smallest id stays: that of the first source.",
        new Table(
            List.of(
                "step",
                "groups",
                "removed",
                "largest group",
                "over the cap",
                "of earlier builds",
                "which is like"),
            facts.duplicates().stream()
                .map(
                    step ->
                        List.of(
                            step.step(),
                            number(step.groups()),
                            number(step.removed()),
                            number(step.largest()),
                            number(step.overCap()),
                            number(step.earlier()),
                            step.largestKept()))
                .toList(),
            5));
  }

  private static Section spans(Facts facts) {
    return new Section(
        "Repeated spans",
        "Text that was cut out of documents, because an earlier place of the corpus has it.",
        new Table(
            List.of("step", "different spans", "repeated", "documents changed", "text cut"),
            facts.spans().stream()
                .map(
                    step ->
                        List.of(
                            step.step(),
                            number(step.different()),
                            number(step.repeated()),
                            number(step.documents()),
                            ByteSize.text(step.bytes())))
                .toList(),
            4));
  }

  private static Section languages(Facts facts) {
    Map<String, Long> all = new TreeMap<>();
    facts
        .sources()
        .forEach(
            source ->
                source.languages().forEach((language, n) -> all.merge(language, n, Long::sum)));
    return new Section(
        "Languages",
        "Documents kept, by ISO 639-3, where a step has found their language.",
        new Table(
            List.of("language", "documents", "by source"),
            all.entrySet().stream()
                .sorted(
                    Map.Entry.<String, Long>comparingByValue()
                        .reversed()
                        .thenComparing(Map.Entry.comparingByKey()))
                .map(
                    entry ->
                        List.of(
                            entry.getKey(),
                            number(entry.getValue()),
                            facts.sources().stream()
                                .filter(source -> source.languages().containsKey(entry.getKey()))
                                .map(
                                    source ->
                                        source.name()
                                            + " "
                                            + number(source.languages().get(entry.getKey())))
                                .collect(Collectors.joining(", "))))
                .toList(),
            1));
  }

  /** Returns the share of removed bytes in those that were read. */
  private static String percent(long removed, long kept) {
    return String.format(
        Locale.ROOT, "%.1f %%", removed == 0 ? 0 : 100.0 * removed / (removed + kept));
  }

  private static String number(long n) {
    return String.format(Locale.ROOT, "%,d", n);
  }

  private static String markdown(String title, List<Section> sections) {
    StringBuilder text = new StringBuilder("# ").append(title).append("\n");
    for (Section section : sections) {
      Table table = section.table;
      if (section.text.isEmpty() && table.rows.isEmpty()) {
        continue;
      }
      text.append("\n## ").append(section.title).append("\n\n");
      if (!section.text.isEmpty()) {
        text.append(section.text).append("\n");
      }
      if (table.rows.isEmpty()) {
        text.append("\nNone.\n");
        continue;
      }
      text.append("\n");
      row(text, table.head);
      for (int i = 0; i < table.head.size(); i++) {
        text.append(i > 0 && i <= table.numbers ? "|--:" : "|---");
      }
      text.append("|\n");
      table.rows.forEach(row -> row(text, row));
    }
    return text.toString();
  }

  private static void row(StringBuilder text, List<String> cells) {
    for (String cell : cells) {
      text.append("| ").append(markdownCell(cell)).append(' ');
    }
    text.append("|\n");
  }

  /** Has a text of strangers be text: no markup, one line. */
  private static String markdownCell(String text) {
    return text.replaceAll("\\s+", " ").replaceAll("([\\\\`*_{}\\[\\]<>()#+!|~-])", "\\\\$1");
  }

  private static String html(String title, List<Section> sections) {
    HtmlPage page = new HtmlPage(title, "");
    for (Section section : sections) {
      Table table = section.table;
      if (section.text.isEmpty() && table.rows.isEmpty()) {
        continue;
      }
      page.heading(section.title);
      page.paragraph(section.text);
      if (table.rows.isEmpty()) {
        page.paragraph("None.");
      } else {
        page.table(table.head, table.rows, 1, table.numbers + 1);
      }
      section.plots.forEach(plot -> page.html(svg(plot)));
    }
    return page.end();
  }

  /** Draws bars below each other, as long as their share of the longest. */
  private static String svg(Plot plot) {
    StringBuilder text = new StringBuilder();
    long longest = plot.bars.stream().mapToLong(Bar::length).max().orElse(0);
    int height = ROW * (plot.bars.size() + 2);
    text.append(
        String.format(
            Locale.ROOT,
            "<div><svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"%s\""
                + " width=\"%d\" height=\"%d\" font-size=\"13\">\n<text x=\"0\" y=\"%d\""
                + " font-weight=\"bold\">%s</text>\n",
            HtmlPage.escaped(plot.title),
            LABEL + BAR + 120,
            height,
            ROW - 6,
            HtmlPage.escaped(plot.title)));
    int y = ROW + 4;
    for (Bar bar : plot.bars) {
      double width = longest == 0 ? 0 : (double) BAR * bar.length / longest;
      text.append(
          String.format(
              Locale.ROOT,
              "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text><rect x=\"%d\" y=\"%d\""
                  + " width=\"%.1f\" height=\"%d\" fill=\"#3a6ea5\"/><text x=\"%.1f\""
                  + " y=\"%d\">%s</text>\n",
              LABEL - 8,
              y + 14,
              HtmlPage.escaped(shortened(bar.label)),
              LABEL,
              y,
              width,
              ROW - 6,
              LABEL + width + 6,
              y + 14,
              HtmlPage.escaped(bar.text)));
      y += ROW;
    }
    return text.append("</svg></div>\n").toString();
  }

  private static String shortened(String label) {
    return label.length() <= 45 ? label : label.substring(0, 44) + "\u2026";
  }
}
