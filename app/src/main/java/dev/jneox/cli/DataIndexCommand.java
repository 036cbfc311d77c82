package dev.jneox.cli;

import dev.jneox.data.BlendedDataset;
import dev.jneox.data.GptDataset;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.SampleIndex;
import dev.jneox.io.Overwrite;
import dev.jneox.io.Progress;
import dev.jneox.io.TargetLock;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code jneox data index}: the order in which samples are fed, as NumPy files. */
@Command(
    name = "index",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Write the order in which GPT-NeoX feeds data sets as NumPy files.",
      "  partK.doc_idx, partK.sample_idx, partK.shuffle_idx    the order of part K",
      "  partK.first16                                         its first 16 samples",
      "  blend.dataset_index, blend.dataset_sample_index       the mix, by weights",
      ""
    },
    footer = {
      "",
      "Example:",
      "  jneox data index --seq-length 2048 --out index \\",
      "    --part data/web:1234:10000:0.7 --part data/code:1234:5000:0.3"
    })
final class DataIndexCommand implements Callable<Integer> {
  private static final int SHOWN = 16;

  @Spec private CommandSpec spec;

  @Option(
      names = "--seq-length",
      required = true,
      paramLabel = "N",
      description = "Tokens of an input; a sample has one more.")
  private int seqLength;

  @Option(
      names = "--part",
      required = true,
      paramLabel = "PREFIX:SEED:SAMPLES[:WEIGHT]",
      converter = Part.Parser.class,
      description =
          "A data set, the seed of its shuffles, the samples to cover and its weight in a blend;"
              + " once for each.")
  private List<Part> parts;

  @Option(names = "--out", required = true, paramLabel = "DIR", description = "Folder to write to.")
  private Path out;

  @Option(
      names = "--force",
      description = "Write into a folder that holds files, and over those of the same names.")
  private boolean force;

  /** One {@code --part}; the weight is NaN where none is given. */
  record Part(Path prefix, long seed, long samples, double weight) {
    static final class Parser implements ITypeConverter<Part> {
      private static final Pattern FORM =
          Pattern.compile(
              "(.+?):(\\d{1,10}):(\\d{1,18})(?::((?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?))?");

      @Override
      public Part convert(String value) {
        Matcher matcher = FORM.matcher(value);
        if (!matcher.matches()) {
          throw new TypeConversionException(
              "expected PREFIX:SEED:SAMPLES[:WEIGHT], found " + value);
        }
        return new Part(
            Path.of(matcher.group(1)),
            Long.parseLong(matcher.group(2)),
            Long.parseLong(matcher.group(3)),
            matcher.group(4) == null ? Double.NaN : Double.parseDouble(matcher.group(4)));
      }
    }
  }

  @Override
  public Integer call() {
    double[] weights =
        parts.stream().mapToDouble(Part::weight).filter(weight -> !Double.isNaN(weight)).toArray();
    if (weights.length > 0 && weights.length < parts.size()) {
      throw new ParameterException(spec.commandLine(), "Either every --part has a weight or none");
    }
    parts.forEach(
        part ->
            Usage.of(spec, () -> new SampleIndex.Spec(0, 0, part.samples, seqLength, part.seed)));
    Overwrite.check(out, force);
    try (TargetLock _ = TargetLock.take(out);
        Arena arena = Arena.ofShared()) {
      List<GptDataset> datasets = new ArrayList<>();
      List<SampleIndex> indexes = new ArrayList<>();
      for (Part part : parts) {
        IndexedDataset data = IndexedDataset.open(part.prefix);
        try (Progress progress = ProgressLine.of("indexing " + part.prefix, "rows", -1)) {
          SampleIndex.Spec all = SampleIndex.Spec.all(data, part.samples, seqLength, part.seed);
          indexes.add(SampleIndex.build(data, all, arena, progress));
          datasets.add(new GptDataset(data, indexes.getLast(), seqLength));
        }
      }
      // Nothing is written before every part has been found good.
      for (int k = 0; k < parts.size(); k++) {
        write("part" + k + ".", indexes.get(k), datasets.get(k), arena);
      }
      if (weights.length > 0) {
        try (Progress progress = ProgressLine.of("blending", "samples", -1)) {
          BlendedDataset blend = BlendedDataset.of(datasets, weights, arena, progress);
          blend.datasetIndex().write(out.resolve("blend.dataset_index.npy"));
          blend.sampleIndex().write(out.resolve("blend.dataset_sample_index.npy"));
        }
      }
    }
    return 0;
  }

  private void write(String name, SampleIndex index, GptDataset dataset, Arena arena) {
    index.documents().write(out.resolve(name + "doc_idx.npy"));
    index.samples().write(out.resolve(name + "sample_idx.npy"));
    index.shuffle().write(out.resolve(name + "shuffle_idx.npy"));
    dataset.first(SHOWN, arena).write(out.resolve(name + "first16.npy"));
  }
}
