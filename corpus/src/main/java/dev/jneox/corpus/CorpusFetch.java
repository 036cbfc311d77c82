package dev.jneox.corpus;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import dev.jneox.io.StorageException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Makes the sources of a pipeline that come from packages: downloads the packages, checks them
 * against the pipeline's lock, and writes the text that is in them as JSON lines.
 *
 * <p>Packages are kept in a folder {@code packages} beside the sources' files. What is there and
 * right is not made again, so that an interrupted run goes on.
 */
public final class CorpusFetch {
  /** Changes when the same packages give another text. */
  private static final int EDITION = 1;

  /**
   * Says what a source became.
   *
   * @param name of the source
   * @param file in JSON lines
   * @param documents in it
   * @param bytes of their text in UTF-8
   * @param skipped files that the globs name and that hold no such text
   * @param made whether this run wrote it
   */
  public record Fetched(
      String name, Path file, long documents, long bytes, long skipped, boolean made) {}

  private final FetchPlan plan;
  private final PackageLock lock;
  private final PackageClient client;
  private final boolean updateLock;
  private final Progress progress;
  private final TreeMap<PackageName, Path> packages = new TreeMap<>();

  private CorpusFetch(FetchPlan plan, PackageClient client, boolean updateLock, Progress progress) {
    this.plan = plan;
    this.lock = PackageLock.beside(plan.pipeline());
    this.client = client;
    this.updateLock = updateLock;
    this.progress = progress;
  }

  /**
   * Fetches the sources of a pipeline.
   *
   * @param pipeline its file; the lock {@code NAME.lock} lies beside it
   * @param into the folder at which the sources' relative paths start, and where a copy of the
   *     pipeline is written to build from; null for the pipeline's own folder
   * @param names of the sources; all where there are none
   * @param updateLock whether packages that the lock does not have so are taken into it
   * @param progress is told the bytes of packages that are there and read
   * @throws InputException for a wrong pipeline, a package that is unknown, has other bytes than
   *     the lock says or none of the wanted files, and a client that is missing
   */
  public static List<Fetched> run(
      Path pipeline,
      @Nullable Path into,
      List<String> names,
      boolean updateLock,
      Progress progress) {
    return run(pipeline, into, names, updateLock, progress, PackageClient.ofProcesses());
  }

  static List<Fetched> run(
      Path pipeline,
      @Nullable Path into,
      List<String> names,
      boolean updateLock,
      Progress progress,
      PackageClient client) {
    Path folder = into == null ? parent(pipeline) : into.toAbsolutePath();
    FetchPlan plan = FetchPlan.read(pipeline, folder).only(names);
    List<Fetched> fetched = new CorpusFetch(plan, client, updateLock, progress).run();
    Path copy = folder.resolve(String.valueOf(pipeline.getFileName()));
    if (!folder.equals(parent(pipeline))) {
      try {
        AtomicFile.write(copy, Files.readAllBytes(pipeline));
      } catch (IOException e) {
        throw StorageException.of(pipeline, "cannot be read", e);
      }
    }
    return fetched;
  }

  private static Path parent(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    return parent == null ? file.toAbsolutePath() : parent;
  }

  private List<Fetched> run() {
    for (PackageName name : plan.packages()) {
      lock.entry(name).ifPresent(entry -> progress.expect(entry.bytes()));
    }
    for (FetchPlan.Made source : plan.sources()) {
      if (source instanceof FetchPlan.Packaged packaged) {
        for (FetchPlan.Pick pick : packaged.picks()) {
          for (PackageName name : pick.packages()) {
            if (!packages.containsKey(name)) {
              packages.put(name, obtain(name, parent(source.file()).resolve("packages")));
            }
          }
        }
      }
    }
    List<Fetched> fetched = new ArrayList<>();
    for (FetchPlan.Made source : plan.sources()) {
      fetched.add(make(source));
    }
    return fetched;
  }

  /** Returns the file of a package, whose bytes are those of the lock. */
  private Path obtain(PackageName name, Path folder) {
    Optional<PackageLock.Entry> locked = lock.entry(name);
    progress.note(name.toString());
    if (locked.isPresent()) {
      Optional<Path> cached = PackageClient.cached(name, locked.get().version(), folder);
      if (cached.isPresent()
          && Sha256.of(cached.get(), Progress.silent()).equals(locked.get().sha256())) {
        progress.step(locked.get().bytes());
        if (!updateLock || name.registry() != PackageName.Registry.DEBIAN) {
          return cached.get();
        }
      }
    }
    String wanted = locked.isPresent() && !updateLock ? locked.get().version() : name.version();
    String version = client.download(name, wanted, folder);
    Path file = folder.resolve(name.file(version));
    String sha256 = Sha256.of(file, Progress.silent());
    long bytes = size(file);
    PackageLock.Entry found = new PackageLock.Entry(version, bytes, sha256);
    if (locked.isPresent() && !updateLock && !locked.get().sha256().equals(sha256)) {
      InputException other =
          InputException.in(
              lock.file(),
              name + " " + version,
              "SHA-256 " + locked.get().sha256(),
              sha256
                  + " in what "
                  + name.registry().client()
                  + " brought: it is not the package that the lock names (--update-lock takes it"
                  + " all the same)");
      try {
        Files.delete(file);
      } catch (IOException e) {
        other.addSuppressed(e);
      }
      throw other;
    }
    if (locked.isEmpty() || !locked.get().equals(found)) {
      lock.put(name, found);
    }
    progress.step(bytes);
    return file;
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }

  private Fetched make(FetchPlan.Made source) {
    Path file = source.file();
    Path stamp = file.resolveSibling(file.getFileName() + ".stamp");
    String recipe = recipe(source);
    Optional<Fetched> before = before(source, stamp, recipe);
    if (before.isPresent()) {
      return before.get();
    }
    progress.note(source.name());
    Fetched fetched;
    try {
      Files.createDirectories(parent(file));
      try (AtomicFile atomic = new AtomicFile(file)) {
        try (OutputStream out =
                new BufferedOutputStream(Files.newOutputStream(atomic.path()), 1 << 20);
            Writer writer = new Writer(out)) {
          switch (source) {
            case FetchPlan.Packaged packaged -> packaged(packaged, writer);
            case FetchPlan.Generated generated -> generated(generated, writer);
          }
          fetched =
              new Fetched(
                  source.name(), file, writer.documents, writer.bytes, writer.skipped, true);
        }
        atomic.commit();
      }
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be written", e);
    } catch (UncheckedIOException e) {
      throw StorageException.of(file, "cannot be written", new IOException(e.getMessage(), e));
    }
    String line =
        recipe
            + " "
            + size(file)
            + " "
            + fetched.documents()
            + " "
            + fetched.bytes()
            + " "
            + fetched.skipped()
            + "\n";
    AtomicFile.write(stamp, line.getBytes(StandardCharsets.US_ASCII));
    return fetched;
  }

  /** Returns a hash of all that determines the content of a source. */
  private String recipe(FetchPlan.Made source) {
    StringBuilder text = new StringBuilder("edition " + EDITION + "\n" + source.recipe() + "\n");
    if (source instanceof FetchPlan.Packaged packaged) {
      for (FetchPlan.Pick pick : packaged.picks()) {
        for (PackageName name : pick.packages()) {
          text.append(lock.entry(name).orElseThrow().sha256()).append('\n');
        }
      }
    }
    byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
    return Sha256.of(MemorySegment.ofArray(bytes), Progress.silent());
  }

  /** Returns what an earlier run made, where it is of the same recipe and still there. */
  private static Optional<Fetched> before(FetchPlan.Made source, Path stamp, String recipe) {
    try {
      if (!Files.isRegularFile(stamp) || !Files.isRegularFile(source.file())) {
        return Optional.empty();
      }
      String[] fields = Files.readString(stamp).strip().split(" ");
      if (fields.length != 5
          || !fields[0].equals(recipe)
          || Long.parseLong(fields[1]) != Files.size(source.file())) {
        return Optional.empty();
      }
      return Optional.of(
          new Fetched(
              source.name(),
              source.file(),
              Long.parseLong(fields[2]),
              Long.parseLong(fields[3]),
              Long.parseLong(fields[4]),
              false));
    } catch (IOException | NumberFormatException e) {
      return Optional.empty(); // it is made again
    }
  }

  private void packaged(FetchPlan.Packaged source, Writer writer) {
    for (FetchPlan.Pick pick : source.picks()) {
      Predicate<String> wanted = pick.wanted();
      for (PackageName name : pick.packages()) {
        Path file = packages.get(name);
        if (file == null) {
          throw new IllegalStateException(name + " was not obtained");
        }
        long before = writer.documents;
        PackageFiles.each(
            file,
            wanted,
            (member, bytes) -> {
              boolean read =
                  pick.as()
                      .read(
                          bytes,
                          text -> writer.write(text, name.toString(), member, pick.licence()));
              writer.skipped += read ? 0 : 1;
            });
        if (writer.documents == before) {
          throw InputException.in(
              plan.pipeline(),
              "source " + source.name() + ": " + name,
              "files " + String.join(", ", pick.files()) + " with text as " + pick.as(),
              "none in the package: see its names with tar or dpkg-deb -c");
        }
      }
    }
  }

  private static void generated(FetchPlan.Generated source, Writer writer) {
    for (int i = 0; i < source.documents(); i++) {
      writer.write(Mathematics.document(source.seed(), i), "", "", source.licence());
    }
  }

  /** Writes documents as JSON lines and counts them. */
  private static final class Writer implements AutoCloseable {
    private final JsonGenerator json;
    private long documents;
    private long bytes;
    private long skipped;

    private Writer(OutputStream out) throws IOException {
      json = JsonObject.LINES.createGenerator(out, JsonEncoding.UTF8);
      json.setRootValueSeparator(null);
    }

    private void write(String text, String from, String file, String licence) {
      byte[] utf8 = text.getBytes(StandardCharsets.UTF_8); // half of a pair becomes "?"
      try {
        json.writeStartObject();
        json.writeStringField("text", new String(utf8, StandardCharsets.UTF_8));
        json.writeObjectFieldStart("meta");
        if (!from.isEmpty()) {
          json.writeStringField("package", from);
          json.writeStringField("file", file);
        }
        json.writeStringField("licence", licence);
        json.writeEndObject();
        json.writeEndObject();
        json.writeRaw('\n');
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      documents++;
      bytes += utf8.length;
    }

    @Override
    public void close() throws IOException {
      json.close();
    }
  }

  /** Returns where the lock of a pipeline is; without one, packages come in the versions of now. */
  public static Path lock(Path pipeline) {
    return PackageLock.path(pipeline);
  }
}
