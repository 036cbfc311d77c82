package dev.jneox.cli;

import dev.jneox.data.Dataset;
import dev.jneox.data.GptDataset;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.Origin;
import dev.jneox.data.SampleIndex;
import dev.jneox.data.Span;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code jneox data inspect}: what is in a {@code .bin/.idx} pair. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    description = {
      "Check PREFIX.bin and PREFIX.idx and say what is in them, as JSON.",
      "With --seq-length also the way between samples and documents, in the order of data index:",
      "--sample gives a line for each piece of a document that the sample consists of, --token a"
          + " line for each place in the samples of one pass that reads the token."
    },
    footer = {
      "",
      "Examples:",
      "  jneox data inspect data/pile --tokens 20",
      "  jneox data inspect data/pile --seq-length 2048 --sample 1000",
      "  jneox data inspect data/pile --seq-length 2048 --token 31:415"
    })
final class DataInspectCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "PREFIX", description = "The path of both files without .bin and .idx.")
  private Path prefix;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "16",
      description = "Tokens of the first document to show (default: ${DEFAULT-VALUE}).")
  private int tokens;

  @ArgGroup(exclusive = false)
  private Order order;

  /** The order of the samples, and what to look up in it. */
  private static final class Order {
    @Option(
        names = "--seq-length",
        required = true,
        paramLabel = "N",
        description = "Tokens of an input; a sample has one more.")
    private int seqLength;

    @Option(
        names = "--seed",
        paramLabel = "S",
        defaultValue = "1234",
        description = "Seed of the shuffles (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(
        names = "--samples",
        paramLabel = "N",
        defaultValue = "1",
        description = "Samples to cover, in whole epochs (default: ${DEFAULT-VALUE}).")
    private long samples;

    @Option(
        names = "--sample",
        paramLabel = "I",
        description = "Show the documents of sample I, from 0.")
    private Long sample;

    @Option(
        names = "--token",
        paramLabel = "DOCUMENT:OFFSET",
        converter = Token.class,
        description = "Show the samples that read a token of a document; both count from 0.")
    private Origin token;
  }

  private static final class Token implements ITypeConverter<Origin> {
    @Override
    public Origin convert(String value) {
      Matcher matcher = Pattern.compile("(\\d{1,9}):(\\d{1,9})").matcher(value);
      if (!matcher.matches()) {
        throw new TypeConversionException("expected DOCUMENT:OFFSET, found " + value);
      }
      return new Origin(0, Integer.parseInt(matcher.group(1)), Integer.parseInt(matcher.group(2)));
    }
  }

  @Override
  public Integer call() {
    if (order != null) {
      Usage.of(spec, () -> new SampleIndex.Spec(0, 0, order.samples, order.seqLength, order.seed));
    }
    IndexedDataset data = IndexedDataset.open(prefix);
    IndexedDataset.Sizes sizes = data.sizes();
    int[] first = new int[data.sequences() == 0 ? 0 : Math.clamp(tokens, 0, data.size(0))];
    if (first.length > 0) {
      data.copy(0, 0, first, 0, first.length);
    }
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("prefix", prefix.toString());
    report.put("documents", data.documents());
    report.put("sequences", data.sequences());
    report.put("tokens", data.tokens());
    report.put("type", data.type().name().toLowerCase(Locale.ROOT));
    report.put("shortest", sizes.shortest());
    report.put("mean", sizes.mean());
    report.put("longest", sizes.longest());
    report.put("first", first);
    print(report);
    if (order != null) {
      lookUp(data);
    }
    return 0;
  }

  private void lookUp(IndexedDataset data) {
    SampleIndex.Spec all = SampleIndex.Spec.all(data, order.samples, order.seqLength, order.seed);
    try (Arena arena = Arena.ofShared();
        Progress progress = ProgressLine.of("indexing " + prefix, "rows", -1)) {
      SampleIndex index = SampleIndex.build(data, all, arena, progress);
      GptDataset samples = new GptDataset(data, index, order.seqLength);
      if (order.sample != null) {
        require(
            order.sample >= 0 && order.sample < samples.length(),
            "--sample",
            "a sample of 0 to " + (samples.length() - 1),
            "" + order.sample);
        for (Span span : samples.spans(order.sample)) {
          Map<String, Object> line = new LinkedHashMap<>();
          line.put("sample", order.sample);
          line.put("position", span.position());
          line.put("length", span.length());
          line.put("document", span.document());
          line.put("offset", span.offset());
          print(line);
        }
      }
      if (order.token != null) {
        int document = order.token.document();
        int size = document < data.sequences() ? data.size(document) : 0;
        require(
            order.token.offset() < size,
            "--token",
            document < data.sequences()
                ? "an offset below the " + size + " tokens of document " + document
                : "a document below " + data.sequences(),
            document + ":" + order.token.offset());
        for (Dataset.Read read : samples.reads(order.token, samples.length())) {
          Map<String, Object> line = new LinkedHashMap<>();
          line.put("document", document);
          line.put("offset", order.token.offset());
          line.put("sample", read.sample());
          line.put("position", read.position());
          print(line);
        }
      }
    }
  }

  private void require(boolean holds, String option, String expected, String found) {
    if (!holds) {
      throw InputException.in(prefix, option, expected, found);
    }
  }

  private void print(Map<String, Object> line) {
    spec.commandLine().getOut().println(Json.line(line));
  }
}
