package dev.jneox.corpus;

import dev.jneox.io.JneoxException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Says what a build of a pipeline would do, from the sizes of its sources alone.
 *
 * @param sources what would be read of each
 * @param steps what they do, in order
 * @param tasks that read
 * @param shuffleBytes of the signatures of deduplication, about; 0 without it
 * @param diskBytes that stages and output take at most, about
 */
public record CorpusPlan(
    List<Reading> sources, List<ScopedStep> steps, int tasks, long shuffleBytes, long diskBytes) {
  /** Compressed text is expected to grow so much. */
  private static final int RATIO = 4;

  /** Bytes of a document, on average, where nothing is known: the Pile's. */
  private static final long MEAN_DOCUMENT = 5900;

  /**
   * Is what would be read of a source.
   *
   * @param name of the source
   * @param files of it
   * @param diskBytes of them
   * @param textBytes expected: of compressed files four times their size
   * @param weight epochs
   * @param share of the weighted text, 0 to 1
   */
  public record Reading(
      String name, int files, long diskBytes, long textBytes, double weight, double share) {}

  /** Copies the lists. */
  public CorpusPlan {
    sources = List.copyOf(sources);
    steps = List.copyOf(steps);
  }

  /** Returns what each step does, with its options and sources. */
  public List<Facts.StepText> texts() {
    return Facts.StepText.of(steps);
  }

  /**
   * Looks for the sources of a pipeline.
   *
   * @throws dev.jneox.io.InputException for a source that is missing, an archive or a Parquet file
   *     that is not whole, and a missing file of a step or of the output
   */
  public static CorpusPlan of(Pipeline pipeline) {
    List<Part> parts = Part.of(pipeline, CorpusBuild.PIECE);
    CorpusBuild.prepare(pipeline);
    parts.forEach(part -> open(pipeline, part));
    int n = pipeline.sources().size();
    long[] disk = new long[n];
    long[] text = new long[n];
    for (Part part : parts) {
      disk[part.source()] += part.bytes();
      text[part.source()] += part.bytes() * (isPacked(part) ? RATIO : 1);
    }
    double weighted = 0;
    long all = 0;
    for (int s = 0; s < n; s++) {
      weighted += text[s] * pipeline.sources().get(s).weight();
      all += text[s];
    }
    List<Reading> sources = new ArrayList<>();
    for (int s = 0; s < n; s++) {
      int index = s;
      Source source = pipeline.sources().get(s);
      sources.add(
          new Reading(
              source.name(),
              (int)
                  parts.stream()
                      .filter(part -> part.source() == index)
                      .map(Part::path)
                      .distinct()
                      .count(),
              disk[s],
              text[s],
              source.weight(),
              weighted == 0 ? 0 : text[s] * source.weight() / weighted));
    }
    long signatures = 0;
    for (ScopedStep scoped : pipeline.steps()) {
      if (scoped.step() instanceof MinHashDedup step) {
        for (int i = 0; i < n; i++) {
          if (scoped.reads(pipeline.sources().get(i).name())) {
            signatures += step.bands() * 24L * (text[i] / MEAN_DOCUMENT);
          }
        }
      }
    }
    return new CorpusPlan(
        sources,
        pipeline.steps(),
        Part.tasks(parts, CorpusBuild.PIECE).size(),
        signatures,
        2 * all + (long) weighted + 2 * signatures);
  }

  /** Opens files that have a table of their content: one that is cut short has none. */
  private static void open(Pipeline pipeline, Part part) {
    if (part.format() != Format.ARCHIVE && part.format() != Format.PARQUET) {
      return;
    }
    String source = pipeline.file() + ": source " + pipeline.sources().get(part.source()).name();
    try (RecordReader reader = part.format().open(part)) {
      reader.lines();
      if (part.format() == Format.ARCHIVE) {
        reader.next();
      }
    } catch (IOException | RuntimeException e) {
      JneoxException known =
          e instanceof JneoxException jneox
              ? jneox
              : StorageException.of(
                  Path.of(part.path()),
                  "cannot be read",
                  e instanceof IOException io ? io : new IOException(e.getMessage(), e));
      throw known.withMessage(source + ": " + known.getMessage());
    }
  }

  private static boolean isPacked(Part part) {
    return part.path().matches(".*\\.(zst|gz|zip|jar|parquet)");
  }
}
