package dev.jneox.corpus;

import static org.apache.spark.sql.functions.bin;
import static org.apache.spark.sql.functions.broadcast;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.explode;
import static org.apache.spark.sql.functions.least;
import static org.apache.spark.sql.functions.length;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.max;
import static org.apache.spark.sql.functions.min_by;
import static org.apache.spark.sql.functions.not;
import static org.apache.spark.sql.functions.shiftright;
import static org.apache.spark.sql.functions.split;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.substring;
import static org.apache.spark.sql.functions.substring_index;
import static org.apache.spark.sql.functions.sum;
import static org.apache.spark.sql.functions.udf;
import static org.apache.spark.sql.functions.xxhash64;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.Counted;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.Overwrite;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import dev.jneox.io.Shell;
import dev.jneox.io.StorageException;
import dev.jneox.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.NotSerializableException;
import java.io.ObjectOutputStream;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.api.java.UDF1;
import org.apache.spark.sql.types.DataTypes;
import org.jspecify.annotations.Nullable;

/**
 * Builds a corpus as a pipeline says. Stages are kept as Parquet in a folder beside the output, so
 * that memory does not grow with the corpus. The bytes of the output follow from the pipeline and
 * its sources: ids come from places in the sources, of duplicates the smallest id stays, and the
 * order is that of a hash.
 */
public final class CorpusBuild {
  /**
   * Says how to build.
   *
   * @param out the folder to write
   * @param partitions of a shuffle; 0 to choose
   * @param strict whether a malformed record stops the build
   * @param force whether a folder that is there is replaced
   */
  public record Options(Path out, int partitions, boolean strict, boolean force) {}

  /**
   * Reports a build.
   *
   * @param facts documents, bytes and tokens of each source, and removals by reason
   * @param times of each stage, in order
   * @param reused names of the stages that an earlier run had finished
   */
  public record Result(Facts facts, Map<String, Time> times, List<String> reused) {}

  /**
   * Measures a stage.
   *
   * @param seconds on the clock
   * @param cpuSeconds of the CPU that its tasks took, on all cores together
   */
  public record Time(double seconds, double cpuSeconds) {
    Time plus(Time other) {
      return new Time(seconds + other.seconds, cpuSeconds + other.cpuSeconds);
    }
  }

  /** The bytes of plain lines that one task reads. */
  static final long PIECE = 16_000_000;

  /** The name of the file that has the facts. */
  static final String FACTS = "corpus.json";

  /** Malformed records that are named, of each source. */
  private static final int NAMED = 20;

  static final JsonMapper MAPPER =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();

  private final SparkSession spark;
  private final Pipeline pipeline;
  private final Options options;
  private final StageProgress progress;
  private final List<Part> parts;
  private final Stages stages;
  private final int partitions;
  private final List<Facts.Removal> removals = new ArrayList<>();
  private final List<Facts.Malformed> malformed = new ArrayList<>();
  private final List<Facts.Duplicates> duplicates = new ArrayList<>();
  private final Map<KeyIndex, Path> indexes = new LinkedHashMap<>();
  private final List<Facts.Classifier> classifiers = new ArrayList<>();
  private final List<Facts.Spans> spanCounts = new ArrayList<>();
  private final List<String> reused = new ArrayList<>();
  private final long[] records;
  private final long[] malformedRecords;

  private CorpusBuild(
      SparkSession spark,
      Pipeline pipeline,
      Options options,
      List<Part> parts,
      Stages stages,
      StageProgress progress) {
    this.spark = spark;
    this.pipeline = pipeline;
    this.options = options;
    this.parts = parts;
    this.stages = stages;
    this.progress = progress;
    long bytes = parts.stream().mapToLong(Part::bytes).sum();
    int cores = spark.sparkContext().defaultParallelism();
    this.partitions =
        options.partitions > 0
            ? options.partitions
            : (int) Math.clamp(bytes / 32_000_000, 2L * cores, 20_000L);
    this.records = new long[pipeline.sources().size()];
    this.malformedRecords = new long[pipeline.sources().size()];
  }

  /**
   * Runs a pipeline; the output folder appears when it is whole.
   *
   * @param spark a session of {@link Sessions}
   * @param display shows the tasks of each stage
   * @throws InputException for a source that is missing or cannot be read, a malformed record where
   *     the options are strict, or a corpus of which nothing is left
   * @throws StorageException when the output cannot be written
   */
  public static Result run(
      SparkSession spark, Pipeline pipeline, Options options, Progress.Display display) {
    Overwrite.check(options.out, options.force);
    List<Part> parts = Part.of(pipeline, PIECE);
    Needs needs = prepare(pipeline);
    try (AtomicFolder folder = new AtomicFolder(options.out); // keeps other builds away
        StageProgress progress = new StageProgress(spark, display)) {
      Stages stages = Stages.of(options.out, recipe(pipeline, parts, needs.pieces, options));
      try {
        CorpusBuild build = new CorpusBuild(spark, pipeline, options, parts, stages, progress);
        Facts facts = build.run(folder.path(), needs.vocabSize());
        Datasheet.write(facts, folder.path());
        folder.commit();
        stages.delete();
        return new Result(facts, progress.times(), List.copyOf(build.reused));
      } catch (Exception e) { // Spark throws checked exceptions that it does not declare
        RuntimeException failure = failure(options.out, e);
        if (failure instanceof InputException || stages.finished() == 0) {
          stages.delete();
        } else if (failure instanceof JneoxException known) {
          throw known.withMessage(
              known.getMessage()
                  + "; the same command goes on from the stages that are finished, kept in "
                  + stages.folder());
        }
        throw failure;
      }
    } catch (IOException e) {
      throw StorageException.of(options.out, "cannot be written", e);
    }
  }

  /** Returns the folder of the finished stages of an output; empty where there is none. */
  public static Optional<Path> kept(Path out) {
    return Stages.kept(out);
  }

  /**
   * Holds what the steps and the output need beside the sources.
   *
   * @param tokenizer of the output; null for none
   * @param pieces of the indexes of earlier builds
   */
  record Needs(@Nullable Tokenizer tokenizer, List<KeyIndex.Piece> pieces) {
    int vocabSize() {
      return tokenizer == null ? 0 : tokenizer.vocabSize();
    }
  }

  /** Reads what the steps and the output need beside the sources. */
  static Needs prepare(Pipeline pipeline) {
    List<KeyIndex.Piece> pieces = new ArrayList<>();
    for (ScopedStep scoped : pipeline.steps()) {
      try {
        switch (scoped.step()) {
          case TextStep step -> step.prepare();
          case ExactDedup step -> pieces.addAll(step.index().pieces());
          case MinHashDedup step -> pieces.addAll(step.index().pieces());
          case QualityClassifier _ -> {}
          case SpanDedup _ -> {}
        }
      } catch (InputException | StorageException e) {
        throw e.withMessage(pipeline.file() + ": " + scoped.step().name() + ": " + e.getMessage());
      }
    }
    Path path = pipeline.output().tokenizer();
    if (path == null) {
      return new Needs(null, pieces);
    }
    if (!Files.exists(path)) {
      throw new InputException(
          pipeline.file()
              + ": output.tokenizer: "
              + path
              + ": no such file (make it with: jneox tokenizer train --vocab-size 16384 --out "
              + Shell.quoted(path.toString())
              + " and the paths of the sources)");
    }
    Tokenizer tokenizer;
    try {
      tokenizer = Mixing.tokenizer(path.toString());
    } catch (JneoxException e) {
      throw e.withMessage(pipeline.file() + ": output.tokenizer: " + e.getMessage());
    }
    String end = pipeline.output().endOfDocument();
    if (end != null) {
      Mixing.end(pipeline, tokenizer, end);
    }
    return new Needs(tokenizer, pieces);
  }

  /** Returns all that determines what the stages hold. */
  static byte[] recipe(
      Pipeline pipeline, List<Part> parts, List<KeyIndex.Piece> pieces, Options options)
      throws IOException {
    List<String> files = new ArrayList<>();
    for (KeyIndex.Piece piece : pieces) {
      files.add(piece + " " + Files.getLastModifiedTime(Path.of(piece.path())).toMillis());
    }
    for (Part part : parts) {
      files.add(part + " " + state(Path.of(part.path())));
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(new ArrayList<>(pipeline.steps()));
      out.writeObject(files);
      out.writeBoolean(options.strict);
      out.writeLong(program());
    }
    return bytes.toByteArray();
  }

  /**
   * Returns what changes with the content of a file. A hash would read every source once more; the
   * system's time of the last change, which no program can set back, tells of content that has the
   * size and the time of the old one.
   */
  private static String state(Path file) throws IOException {
    String state = Files.getLastModifiedTime(file).toString();
    return file.getFileSystem().supportedFileAttributeViews().contains("unix")
        ? state + " " + Files.getAttribute(file, "unix:ctime")
        : state;
  }

  /** Returns when this program was built; 0 where it is not a jar. */
  private static long program() throws IOException {
    try {
      Path jar =
          Path.of(CorpusBuild.class.getProtectionDomain().getCodeSource().getLocation().toURI());
      return Files.isRegularFile(jar) ? Files.getLastModifiedTime(jar).toMillis() : 0;
    } catch (URISyntaxException e) {
      return 0;
    }
  }

  /** Finds what a task or the driver failed with: an error of ours, or one of a disk. */
  private static RuntimeException failure(Path out, Exception failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      switch (cause) {
        case JneoxException e -> {
          return e;
        }
        case NotSerializableException _ -> {} // a bug
        case IOException e -> {
          return StorageException.of(out, "cannot be written", e);
        }
        default -> {}
      }
    }
    return failure instanceof RuntimeException e ? e : new IllegalStateException(failure);
  }

  private Facts run(Path out, int vocabSize) throws IOException {
    List<ScopedStep> steps = pipeline.steps();
    List<ScopedStep> first = leading(steps, 0);
    Dataset<Row> documents = read(first);
    for (int i = first.size(); i < steps.size(); ) {
      ScopedStep scoped = steps.get(i);
      switch (scoped.step()) {
        case TextStep _ -> {
          List<ScopedStep> next = leading(steps, i);
          documents = clean(documents, next);
          i += next.size();
        }
        case ExactDedup step -> {
          documents = exact(documents, scope(documents, scoped), step);
          i++;
        }
        case MinHashDedup step -> {
          documents = minHash(documents, scope(documents, scoped), step);
          i++;
        }
        case QualityClassifier step -> {
          documents = clean(documents, List.of(trained(scope(documents, scoped), step, scoped)));
          i++;
        }
        case SpanDedup step -> {
          documents = cut(documents, scope(documents, scoped), step);
          i++;
        }
      }
    }
    return write(documents, out, vocabSize);
  }

  /** Returns the steps from {@code from} on that look at one document alone. */
  private static List<ScopedStep> leading(List<ScopedStep> steps, int from) {
    List<ScopedStep> leading = new ArrayList<>();
    for (int i = from; i < steps.size() && steps.get(i).step() instanceof TextStep; i++) {
      leading.add(steps.get(i));
    }
    return leading;
  }

  private static String names(List<ScopedStep> steps) {
    return String.join(", ", steps.stream().map(scoped -> scoped.step().name()).toList());
  }

  /** Returns the documents that a step looks at. */
  private Dataset<Row> scope(Dataset<Row> documents, ScopedStep scoped) {
    Object[] sources =
        IntStream.range(0, pipeline.sources().size())
            .filter(s -> scoped.reads(pipeline.sources().get(s).name()))
            .mapToObj(s -> (long) s)
            .toArray();
    return scoped.others().isEmpty()
        ? documents
        : documents.where(shiftright(col("id"), Rows.LINE_BITS).isin(sources));
  }

  /**
   * Writes a data set and reads it back: what follows does not compute it again, nor does a build
   * that goes on from here.
   */
  private Dataset<Row> kept(String name, Dataset<Row> rows) {
    try {
      return kept(name, () -> {}, rows);
    } catch (IOException e) {
      throw new UncheckedIOException(e); // nothing is done before
    }
  }

  private interface Before {
    void run() throws IOException;
  }

  private Dataset<Row> kept(String name, Before before, Dataset<Row> rows) throws IOException {
    Path path = stages.next(name);
    if (Stages.isFinished(path)) {
      reused.add(name);
    } else {
      before.run();
      rows.write().mode(SaveMode.Overwrite).parquet(path.toUri().toString());
    }
    return spark.read().schema(rows.schema()).parquet(path.toUri().toString());
  }

  private Dataset<Row> read(List<ScopedStep> steps) {
    List<List<Part>> tasks = Part.tasks(parts, PIECE);
    Dataset<Row> rows;
    try (StageProgress.Stage _ =
        progress.begin(steps.isEmpty() ? "read" : "read, " + names(steps))) {
      JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
      rows =
          kept(
              "read",
              spark.createDataFrame(
                  context
                      .parallelize(tasks, tasks.size())
                      .mapPartitions(new ReadRecords(pipeline, steps, options.strict)),
                  Rows.READ));
    }
    try (StageProgress.Stage _ = progress.begin("count")) {
      long[] bases = bases(rows);
      List<Row> table = new ArrayList<>();
      for (Part part : parts) {
        table.add(RowFactory.create(part.index(), bases[part.index()]));
      }
      Column id = col("base").plus(col("line")).as("id");
      Dataset<Row> documents =
          rows.where(col("rule").isNull().or(col("rule").notEqual(Rows.COUNT)))
              .join(broadcast(spark.createDataFrame(table, Rows.BASES)), "part")
              .select(
                  id,
                  col("part"),
                  col("rule"),
                  col("text"),
                  col("bytes"),
                  col("meta"),
                  col("language"),
                  col("h1"),
                  col("h2"),
                  col("counts"));
      malformed(documents.where(col("rule").equalTo(Rows.MALFORMED)), bases);
      Dataset<Row> sound =
          documents
              .where(col("rule").isNull().or(col("rule").notEqual(Rows.MALFORMED)))
              .drop("part");
      removed(sound);
      return sound.where(col("rule").isNull()).drop("rule");
    }
  }

  /** Returns for each part what the first line of it has less than its id. */
  private long[] bases(Dataset<Row> rows) {
    long[] counts = new long[parts.size()];
    for (Row row :
        rows.where(col("rule").equalTo(Rows.COUNT)).select("part", "line").collectAsList()) {
      counts[row.getInt(0)] = row.getLong(1);
    }
    long[] bases = new long[parts.size()];
    for (Part part : parts) {
      bases[part.index()] = ((long) part.source() << Rows.LINE_BITS) + records[part.source()];
      records[part.source()] += counts[part.index()];
    }
    return bases;
  }

  private void malformed(Dataset<Row> rows, long[] bases) {
    Column source = shiftright(col("id"), Rows.LINE_BITS);
    for (Row row : rows.groupBy(source.as("source")).agg(count(lit(1))).collectAsList()) {
      malformedRecords[(int) row.getLong(0)] = row.getLong(1);
    }
    for (int s = 0; s < malformedRecords.length; s++) {
      if (malformedRecords[s] == 0) {
        continue;
      }
      for (Row row :
          rows.where(source.equalTo((long) s))
              .orderBy("id")
              .limit(NAMED)
              .select("id", "part", "text")
              .collectAsList()) {
        Part part = parts.get(row.getInt(1));
        int first = part.index();
        while (first > 0 && parts.get(first - 1).path().equals(part.path())) {
          first--;
        }
        malformed.add(
            new Facts.Malformed(
                pipeline.sources().get(s).name(),
                part.path(),
                row.getLong(0) - bases[first],
                row.getString(2)));
      }
    }
  }

  private Dataset<Row> clean(Dataset<Row> documents, List<ScopedStep> steps) {
    List<String> names = pipeline.sources().stream().map(Source::name).toList();
    Dataset<Row> cleaned;
    try (StageProgress.Stage _ = progress.begin(names(steps))) {
      MapPartitionsFunction<Row, Row> function =
          rows ->
              new FlatIterator<>(
                  rows,
                  row -> {
                    Page page = new Page(row.getString(1), row.getString(2));
                    page.language(row.getString(3));
                    page.counts(row.getString(4));
                    String source = names.get((int) (row.getLong(0) >>> Rows.LINE_BITS));
                    String rule = ReadRecords.clean(page, source, steps);
                    return List.of(Rows.cleaned(List.of(row.getLong(0)), page, rule));
                  });
      cleaned =
          kept(
              "clean",
              documents
                  .select("id", "text", "meta", "language", "counts")
                  .mapPartitions(function, Encoders.row(Rows.DOCUMENTS)));
    }
    try (StageProgress.Stage _ = progress.begin("count")) {
      removed(cleaned);
    }
    return cleaned.where(col("rule").isNull()).drop("rule");
  }

  /** Trains a classifier; its step passes by the documents of its good source. */
  private ScopedStep trained(Dataset<Row> read, QualityClassifier step, ScopedStep scoped) {
    List<String> all = pipeline.sources().stream().map(Source::name).toList();
    Column isGood =
        shiftright(col("id"), Rows.LINE_BITS).equalTo((long) all.indexOf(step.positive()));
    QualityClassifier.Trained trained;
    try (StageProgress.Stage _ = progress.begin(step.name() + ": train")) {
      List<String> good = sample(read.where(isGood), step);
      List<String> others = sample(read.where(not(isGood)), step);
      if (Math.min(good.size(), others.size()) < 10) {
        throw new InputException(
            pipeline.file()
                + ": "
                + step.name()
                + ": expected 10 documents and more of "
                + step.positive()
                + " and of the others, found "
                + good.size()
                + " and "
                + others.size());
      }
      trained = step.train(good, others);
    }
    classifiers.add(new Facts.Classifier(step.name(), step.positive(), trained.accuracy()));
    List<String> sources =
        scoped.sources().stream().filter(name -> !name.equals(step.positive())).toList();
    return new ScopedStep(
        trained, sources, all.stream().filter(name -> !sources.contains(name)).toList());
  }

  /** Returns the beginnings of the documents with the smallest hashes, in their order. */
  private static List<String> sample(Dataset<Row> documents, QualityClassifier step) {
    return documents
        .select(
            xxhash64(col("h1"), col("h2"), lit(step.seed())).as("hash"),
            col("id"),
            substring(col("text"), 1, step.characters()).as("text"))
        .orderBy("hash", "id")
        .limit(step.sample())
        .collectAsList()
        .stream()
        .map(row -> row.getString(2))
        .toList();
  }

  /** Counts the rows that have a rule. */
  private void removed(Dataset<Row> rows) {
    List<Row> counts =
        rows.where(col("rule").isNotNull())
            .groupBy(shiftright(col("id"), Rows.LINE_BITS).as("source"), col("rule"))
            .agg(count(lit(1)), sum("bytes"), min_by(struct("id", "text"), xxhash64(col("id"))))
            .orderBy("source", "rule")
            .collectAsList();
    for (Row row : counts) {
      String rule = row.getString(1);
      int in = rule.indexOf(Rows.IN);
      Row sample = row.getStruct(4);
      removals.add(
          new Facts.Removal(
              sourceName(row.getLong(0)),
              rule.substring(0, in),
              rule.substring(in + Rows.IN.length()),
              row.getLong(2),
              row.getLong(3),
              line(sample.getLong(0)),
              Rows.excerpt(sample.getString(1)),
              ""));
    }
  }

  private String sourceName(long source) {
    return pipeline.sources().get((int) source).name();
  }

  private static long line(long id) {
    return id & (1L << Rows.LINE_BITS) - 1;
  }

  private String place(long id) {
    return sourceName(id >>> Rows.LINE_BITS) + ", line " + line(id);
  }

  /**
   * Links documents that have the same key: rows of {@link Rows#BANDS} to those of {@link
   * Rows#PAIRS}. Keys of earlier builds are linked too, and those of this one are kept.
   */
  private Dataset<Row> pairs(Dataset<Row> keys, int cap, KeyIndex of) throws IOException {
    List<KeyIndex.Piece> earlier = of.pieces();
    Dataset<Row> all =
        earlier.isEmpty()
            ? keys
            : keys.union(
                spark.createDataFrame(
                    JavaSparkContext.fromSparkContext(spark.sparkContext())
                        .parallelize(earlier, earlier.size())
                        .flatMap(KeyIndex.Piece::rows),
                    Rows.BANDS));
    Path parts = of.parts(stages.folder());
    if (of.write()) {
      indexes.put(of, parts);
    }
    // Ranges of keys, so that the files of all partitions are in order, however many there are.
    Column range =
        least(
            lit(partitions - 1),
            col("k1")
                .cast(DataTypes.DoubleType)
                .multiply(lit(0x1p-64))
                .plus(lit(0.5))
                .multiply(lit(partitions))
                .cast(DataTypes.IntegerType));
    return kept(
        "pairs",
        () -> {
          AtomicFolder.delete(parts); // of tasks of a build that died, maybe of other ranges
          Files.createDirectories(parts);
        },
        all.repartitionById(partitions, range)
            .sortWithinPartitions("k1", "k2", "id")
            .mapPartitions(
                new Signatures.Stars(cap, of.write() ? parts.toString() : ""),
                Encoders.row(Rows.PAIRS)));
  }

  /** Removes from all documents the repeated ones among those that the step looks at. */
  private Dataset<Row> exact(Dataset<Row> documents, Dataset<Row> read, ExactDedup step)
      throws IOException {
    Dataset<Row> pairs;
    try (StageProgress.Stage _ = progress.begin("exact_dedup")) {
      pairs =
          pairs(read.select(col("h1").as("k1"), col("h2").as("k2"), col("id")), 0, step.index());
    }
    return remove(documents, step, pairs.select(col("v").as("id"), col("u").as("kept")), 0, 0);
  }

  /** Removes from all documents the near duplicates among those that the step looks at. */
  private Dataset<Row> minHash(Dataset<Row> documents, Dataset<Row> read, MinHashDedup step)
      throws IOException {
    Dataset<Row> pairs;
    try (StageProgress.Stage _ = progress.begin("minhash_dedup: signatures and bands")) {
      pairs =
          pairs(
              read.select("id", "text")
                  .mapPartitions(new Signatures(step), Encoders.row(Rows.BANDS)),
              step.groupCap(),
              step.index());
    }
    try (StageProgress.Stage _ = progress.begin("minhash_dedup: groups")) {
      Row capped = pairs.where(col("u").equalTo(Rows.CAPPED)).agg(count(lit(1)), sum("v")).first();
      Dataset<Row> edges = pairs.where(col("u").notEqual(Rows.CAPPED));
      long n = edges.count();
      Dataset<Row> removed =
          n <= step.driverEdges()
              ? joined(read, Components.of(edges, (int) n))
              : Components.byStars(edges, rows -> kept("stars", rows))
                  .select(col("u").as("id"), col("v").as("kept"));
      removed = kept("similar", removed);
      return remove(
          documents, step, removed, capped.getLong(0), capped.isNullAt(1) ? 0 : capped.getLong(1));
    }
  }

  /**
   * Sends the components to all machines: they have an id for each document that is like another.
   */
  private Dataset<Row> joined(Dataset<Row> documents, Components components) {
    long[] ids = components.ids();
    long[] smallest = new long[ids.length];
    Arrays.setAll(smallest, components::smallest);
    Broadcast<long[][]> table =
        JavaSparkContext.fromSparkContext(spark.sparkContext())
            .broadcast(new long[][] {ids, smallest});
    UDF1<Long, Long> kept =
        id -> {
          long[][] value = table.value();
          int at = Arrays.binarySearch(value[0], id);
          return at < 0 || value[1][at] == id ? null : value[1][at];
        };
    return documents
        .select(col("id"), udf(kept, DataTypes.LongType).apply(col("id")).as("kept"))
        .where(col("kept").isNotNull());
  }

  /** Cuts repeated spans out of the documents that the step looks at. */
  private Dataset<Row> cut(Dataset<Row> documents, Dataset<Row> read, SpanDedup step) {
    Dataset<Row> spans;
    try (StageProgress.Stage _ = progress.begin(step.name() + ": spans")) {
      spans =
          kept(
              "spans",
              RepeatedSpans.of(
                  read.select("id", "text"), step, partitions, rows -> kept("grams", rows)));
    }
    Dataset<Row> cut;
    try (StageProgress.Stage _ = progress.begin(step.name() + ": cut")) {
      cut =
          kept(
              "cut",
              documents
                  .join(
                      RepeatedSpans.places(spans.where(col("n").equalTo(0L))),
                      new String[] {"id"},
                      "left_outer")
                  .select("id", "text", "bytes", "meta", "language", "h1", "h2", "counts", "places")
                  .mapPartitions(new RepeatedSpans.Cutting(step), Encoders.row(Rows.CUT)));
    }
    try (StageProgress.Stage _ = progress.begin(step.name() + ": count")) {
      removed(cut);
      Row changed = cut.where(col("cut").gt(0)).agg(count(lit(1)), sum("cut")).first();
      Dataset<Row> first = spans.where(col("n").gt(0));
      Row groups = first.agg(count(lit(1)), sum("n")).first();
      spanCounts.add(
          new Facts.Spans(
              step.name(),
              groups.getLong(0),
              groups.isNullAt(1) ? 0 : groups.getLong(1) - groups.getLong(0),
              changed.getLong(0),
              changed.isNullAt(1) ? 0 : changed.getLong(1),
              most(documents, first, step)));
    }
    return cut.where(col("rule").isNull()).drop("rule", "cut");
  }

  /** Returns the spans that are repeated most often. */
  private List<Facts.Span> most(Dataset<Row> documents, Dataset<Row> first, SpanDedup step) {
    List<RepeatedSpans.Run> runs =
        RepeatedSpans.Run.of(
            first.orderBy(col("n").desc(), col("id"), col("at")).limit(10_000).collectAsList(),
            NAMED);
    Map<Long, String> texts = new HashMap<>();
    if (!runs.isEmpty()) {
      documents
          .where(col("id").isin(runs.stream().map(run -> (Object) run.id()).toArray()))
          .select("id", "text")
          .collectAsList()
          .forEach(row -> texts.put(row.getLong(0), row.getString(1)));
    }
    return runs.stream()
        .map(
            run ->
                new Facts.Span(
                    Rows.excerpt(
                        step.span(texts.getOrDefault(run.id(), ""), run.at(), run.spans())),
                    run.times(),
                    place(run.id())))
        .toList();
  }

  /** Takes documents out of a corpus, and counts them. */
  private Dataset<Row> remove(
      Dataset<Row> documents, Step step, Dataset<Row> removed, long capped, long overCap) {
    try (StageProgress.Stage _ = progress.begin(step.name() + ": count")) {
      tally(documents, step, removed, capped, overCap);
    }
    return documents.join(removed, documents.col("id").equalTo(removed.col("id")), "left_anti");
  }

  private void tally(
      Dataset<Row> documents, Step step, Dataset<Row> removed, long capped, long overCap) {
    List<Row> counts =
        removed
            .join(documents.select("id", "bytes"), "id")
            .groupBy(
                shiftright(col("id"), Rows.LINE_BITS).as("source"),
                col("kept").equalTo(Rows.EARLIER).as("earlier"))
            .agg(count(lit(1)), sum("bytes"), min_by(struct("id", "kept"), xxhash64(col("id"))))
            .orderBy("source", "earlier")
            .collectAsList();
    Object[] samples = counts.stream().map(row -> (Object) row.getStruct(4).getLong(0)).toArray();
    Map<Long, String> texts = new HashMap<>();
    if (samples.length > 0) {
      documents
          .where(col("id").isin(samples))
          .select("id", "text")
          .collectAsList()
          .forEach(row -> texts.put(row.getLong(0), Rows.excerpt(row.getString(1))));
    }
    long earlier = 0;
    for (Row row : counts) {
      Row sample = row.getStruct(4);
      boolean isEarlier = row.getBoolean(1);
      earlier += isEarlier ? row.getLong(2) : 0;
      removals.add(
          new Facts.Removal(
              sourceName(row.getLong(0)),
              step.name(),
              isEarlier ? "duplicate of an earlier build" : "duplicate",
              row.getLong(2),
              row.getLong(3),
              line(sample.getLong(0)),
              texts.getOrDefault(sample.getLong(0), ""),
              isEarlier ? "" : place(sample.getLong(1))));
    }
    Dataset<Row> groups =
        removed
            .where(col("kept").notEqual(Rows.EARLIER))
            .groupBy("kept")
            .agg(count(lit(1)).as("n"));
    Row total = groups.agg(count(lit(1)), sum("n"), max("n")).first();
    Row largest =
        groups.orderBy(col("n").desc(), col("kept")).limit(1).collectAsList().stream()
            .findFirst()
            .orElse(null);
    duplicates.add(
        new Facts.Duplicates(
            step.name(),
            total.getLong(0),
            total.isNullAt(1) ? 0 : total.getLong(1),
            largest == null ? 0 : largest.getLong(1) + 1,
            largest == null ? "" : place(largest.getLong(0)),
            capped,
            overCap,
            earlier));
  }

  private Facts write(Dataset<Row> documents, Path out, int vocabSize) throws IOException {
    Output output = pipeline.output();
    long[] keptDocuments = new long[records.length];
    long[] keptBytes = new long[records.length];
    List<Map<String, Long>> languages = new ArrayList<>();
    List<TreeMap<Integer, Long>> lengths = new ArrayList<>();
    List<Facts.Finding> findings = new ArrayList<>();
    for (int s = 0; s < records.length; s++) {
      languages.add(new TreeMap<>());
      lengths.add(new TreeMap<>());
    }
    Licences licences = new Licences(pipeline);
    try (StageProgress.Stage _ = progress.begin("count")) {
      for (Row row :
          documents
              .groupBy(
                  shiftright(col("id"), Rows.LINE_BITS).as("source"),
                  col("language"),
                  licences.column().as("licence"),
                  length(bin(col("bytes"))).as("bits"))
              .agg(count(lit(1)), sum("bytes"))
              .collectAsList()) {
        int source = (int) row.getLong(0);
        lengths.get(source).merge(row.getInt(3), row.getLong(4), Long::sum);
        keptDocuments[source] += row.getLong(4);
        keptBytes[source] += row.getLong(5);
        if (!row.getString(1).isEmpty()) {
          languages.get(source).merge(row.getString(1), row.getLong(4), Long::sum);
        }
        licences.add(source, row.getString(2), row.getLong(4), row.getLong(5));
      }
      for (Row row :
          documents
              .where(col("counts").notEqual(""))
              .select(
                  shiftright(col("id"), Rows.LINE_BITS).as("source"),
                  explode(split(col("counts"), " ")).as("count"))
              .groupBy(col("source"), substring_index(col("count"), "=", 1).as("kind"))
              .agg(
                  count(lit(1)),
                  sum(substring_index(col("count"), "=", -1).cast(DataTypes.LongType)))
              .orderBy("source", "kind")
              .collectAsList()) {
        findings.add(
            new Facts.Finding(
                sourceName(row.getLong(0)), row.getString(1), row.getLong(3), row.getLong(2)));
      }
    }
    if (Arrays.stream(keptDocuments).sum() == 0) {
      throw nothingLeft();
    }
    double training = 0;
    double heldOut = 0;
    for (int s = 0; s < keptBytes.length; s++) {
      Source source = pipeline.sources().get(s);
      training += keptBytes[s] * source.weight() * (1 - source.heldOut());
      heldOut += keptBytes[s] * source.heldOut();
    }
    int shards = shards(training);
    int heldOutShards = heldOut == 0 ? 0 : shards(heldOut);
    ShardWriter writer =
        new ShardWriter(vocabSize == 0 ? out : stages.folder(), shards, heldOutShards, vocabSize);
    List<Row> written;
    try (StageProgress.Stage _ =
        progress.begin(vocabSize == 0 ? "mix and write" : "tokenise, mix and write")) {
      written =
          documents
              .select("id", "text", "meta", "h1")
              .mapPartitions(
                  new Mixing(pipeline, shards, heldOutShards), Encoders.row(Rows.WRITTEN))
              .repartitionById(shards + heldOutShards, col("shard"))
              .sortWithinPartitions("key", "id", "copy")
              .mapPartitions(writer, Encoders.row(Rows.SHARDS))
              .collectAsList();
    }
    if (vocabSize > 0) {
      try (StageProgress.Stage _ = progress.begin("merge")) {
        writer.merge(out, false);
        if (heldOutShards > 0) {
          writer.merge(out, true);
        }
      }
    }
    long[][] sums = new long[records.length][4];
    for (Row row : written) {
      int at = row.getInt(0) < shards ? 0 : 2;
      sums[row.getInt(1)][at] += row.getLong(2);
      sums[row.getInt(1)][at + 1] += row.getLong(3);
    }
    if (Arrays.stream(sums).mapToLong(sum -> sum[0]).sum() == 0) {
      throw new InputException(
          pipeline.file()
              + ": expected documents to write for training, found none: of "
              + Counted.text(Arrays.stream(keptDocuments).sum(), "document")
              + " that the steps kept, the weights of the sources and held_out leave no copy");
    }
    for (Map.Entry<KeyIndex, Path> index : indexes.entrySet()) {
      index.getKey().join(index.getValue(), out);
    }
    List<Facts.Component> components = new ArrayList<>();
    for (int s = 0; s < records.length; s++) {
      int index = s;
      Source source = pipeline.sources().get(s);
      List<Part> own = parts.stream().filter(part -> part.source() == index).toList();
      components.add(
          new Facts.Component(
              source.name(),
              source.paths(),
              source.weight(),
              source.heldOut(),
              (int) own.stream().map(Part::path).distinct().count(),
              own.stream().mapToLong(Part::bytes).sum(),
              records[s],
              malformedRecords[s],
              keptDocuments[s],
              keptBytes[s],
              sums[s][0],
              sums[s][1],
              sums[s][2],
              sums[s][3],
              languages.get(s),
              licences.of(s),
              lengths.get(s)));
    }
    Facts facts =
        new Facts(
            String.valueOf(pipeline.file().getFileName()),
            vocabSize == 0 ? "jsonl" : "megatron",
            output.seed(),
            output.heldOut(),
            Facts.StepText.of(pipeline.steps()),
            components,
            removals,
            malformed,
            duplicates,
            spanCounts,
            classifiers,
            findings,
            sums(out));
    AtomicFile.write(out.resolve(FACTS), json(facts));
    return facts;
  }

  /** Says why no document is left. */
  private InputException nothingLeft() {
    long all = Arrays.stream(records).sum();
    long bad = Arrays.stream(malformedRecords).sum();
    String why = "the sources have no records";
    if (all > 0) {
      why = "of " + Counted.text(all, "record") + " " + bad + " are malformed";
      if (!malformed.isEmpty()) {
        Facts.Malformed first = malformed.getFirst();
        why += " (" + first.file() + ": record " + first.record() + ": " + first.problem() + ")";
      }
      if (!removals.isEmpty()) {
        why +=
            ", and removed are "
                + removals.stream()
                    .map(each -> each.documents() + " by " + each.step() + ": " + each.rule())
                    .collect(Collectors.joining(", "));
      }
    }
    return new InputException(pipeline.file() + ": expected documents, found none: " + why);
  }

  private static byte[] json(Facts facts) {
    try {
      return MAPPER.writeValueAsBytes(facts);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e); // records of numbers and text
    }
  }

  private int shards(double bytes) {
    return (int) Math.clamp(Math.ceil(bytes / pipeline.output().shardBytes()), 1, 99_999);
  }

  private static Map<String, String> sums(Path out) throws IOException {
    Map<String, String> sums = new LinkedHashMap<>();
    List<Path> files;
    try (Stream<Path> list = Files.list(out)) {
      files = list.filter(Files::isRegularFile).sorted().toList();
    }
    for (Path file : files) {
      sums.put(String.valueOf(file.getFileName()), Sha256.of(file, Progress.silent()));
    }
    return sums;
  }
}
