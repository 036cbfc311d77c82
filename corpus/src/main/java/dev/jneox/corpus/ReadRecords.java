package dev.jneox.corpus;

import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.jspecify.annotations.Nullable;

/**
 * Reads the records of parts and cleans the documents in one go; gives rows of {@link Rows#READ}.
 */
final class ReadRecords implements FlatMapFunction<Iterator<List<Part>>, Row> {
  private final String pipeline;
  private final List<Source> sources;
  private final List<ScopedStep> steps;
  private final boolean strict;

  ReadRecords(Pipeline pipeline, List<ScopedStep> steps, boolean strict) {
    this.pipeline = pipeline.file().toString();
    this.sources = List.copyOf(pipeline.sources());
    this.steps = List.copyOf(steps);
    this.strict = strict;
  }

  /** The rule of a document without text. */
  private static final String EMPTY = "read" + Rows.IN + "no text";

  /**
   * Applies steps that look at one document to a page, until one removes it.
   *
   * @param source name of the page's source
   * @return {@code STEP: RULE}; null where the page stays
   */
  static @Nullable String clean(Page page, String source, List<ScopedStep> steps) {
    if (page.text().isBlank()) {
      return EMPTY;
    }
    for (ScopedStep scoped : steps) {
      if (scoped.step() instanceof TextStep step && scoped.reads(source)) {
        String rule = step.apply(page);
        if (rule != null) {
          return step.name() + Rows.IN + rule;
        }
      }
    }
    return page.text().isBlank() ? EMPTY : null;
  }

  @Override
  public Iterator<Row> call(Iterator<List<Part>> tasks) {
    return new Reading(tasks);
  }

  /** Reads as rows are asked for, so that memory does not grow with a part. */
  private final class Reading implements Iterator<Row> {
    private final Iterator<List<Part>> tasks;
    private Iterator<Part> parts = List.<Part>of().iterator();
    private @Nullable Part part;
    private @Nullable RecordReader reader;
    private @Nullable Row ahead;

    Reading(Iterator<List<Part>> tasks) {
      this.tasks = tasks;
    }

    @Override
    public boolean hasNext() {
      if (ahead == null) {
        ahead = read();
      }
      return ahead != null;
    }

    @Override
    public Row next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      Row row = ahead;
      ahead = null;
      if (row == null) {
        throw new NoSuchElementException();
      }
      return row;
    }

    private @Nullable Row read() {
      while (part == null && !parts.hasNext() && tasks.hasNext()) {
        parts = tasks.next().iterator();
      }
      if (part == null && !parts.hasNext()) {
        return null;
      }
      Part current = part == null ? parts.next() : part;
      part = current;
      try {
        RecordReader open =
            reader == null
                ? current.format().open(current, sources.get(current.source()).textField())
                : reader;
        reader = open;
        RecordReader.Raw raw = open.next();
        if (raw != null) {
          return row(current, raw);
        }
        reader = null;
        part = null;
        open.close();
        return RowFactory.create(
            current.index(), open.lines(), Rows.COUNT, "", 0L, "", "", 0L, 0L, "");
      } catch (IOException e) {
        throw named(current, StorageException.of(Path.of(current.path()), "cannot be read", e));
      } catch (JneoxException e) {
        throw named(current, e);
      }
    }

    private Row row(Part part, RecordReader.Raw raw) {
      if (raw.malformed()) {
        if (strict) {
          throw new InputException(
              part.path()
                  + ": "
                  + (part.from() > 0
                      ? "record " + raw.line() + " behind byte " + part.from()
                      : "record " + raw.line())
                  + ": "
                  + raw.text());
        }
        return RowFactory.create(
            part.index(), raw.line(), Rows.MALFORMED, raw.text(), 0L, "", "", 0L, 0L, "");
      }
      Page page = new Page(raw.text(), raw.meta());
      String rule = clean(page, sources.get(part.source()).name(), steps);
      return Rows.cleaned(List.of(part.index(), raw.line()), page, rule);
    }

    /** Says which pipeline and source an error is of. */
    private JneoxException named(Part part, JneoxException e) {
      return e.withMessage(
          pipeline + ": source " + sources.get(part.source()).name() + ": " + e.getMessage());
    }
  }
}
