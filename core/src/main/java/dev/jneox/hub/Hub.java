package dev.jneox.hub;

import dev.jneox.io.ByteSize;
import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongFunction;
import java.util.stream.Collectors;

/**
 * Fetches models and data sets by name and finds those that were fetched before. It uses two
 * interfaces of the server: {@code GET /api/models/ORG/NAME/revision/REV?blobs=true} lists the
 * files of a commit, {@code GET /ORG/NAME/resolve/COMMIT/FILE} returns one; of a data set, {@code
 * /api/datasets/ORG/NAME} and {@code /datasets/ORG/NAME}.
 *
 * <p>A file gets its name in the cache only when its size and hash are right. An interrupted
 * download therefore never looks like a model, and the next one continues it.
 */
public final class Hub implements AutoCloseable {
  /** The largest listing that is read: 100,000 files need about 30 MB. */
  private static final long MAX_LISTING = 64 << 20;

  /**
   * Reports what a download did.
   *
   * @param name which model
   * @param commit the commit that the revision named
   * @param folder a snapshot: the files of one commit by their names
   * @param files the files that were selected
   * @param left the other files of the repository
   * @param fetchedBytes bytes fetched over the network
   * @param seconds duration
   */
  public record Download(
      HubName name,
      String commit,
      Path folder,
      List<HubFile> files,
      List<HubFile> left,
      long fetchedBytes,
      double seconds) {
    /**
     * Returns the path for {@code dev.jneox.format.ModelFiles.open}: the folder, or the only GGUF
     * file in it.
     */
    public Path model() {
      return Hub.model(folder);
    }
  }

  private final HubSettings settings;
  private final HubCache cache;
  private final HubHttp http;

  /** Creates a client that retries silently. */
  public Hub(HubSettings settings) {
    this(settings, retry -> {});
  }

  /**
   * Creates a client.
   *
   * @param onRetry receives one line for each failed attempt that is repeated, possibly from
   *     several threads
   */
  public Hub(HubSettings settings, Consumer<String> onRetry) {
    this.settings = settings;
    this.cache = new HubCache(settings.cache());
    this.http = new HubHttp(settings, onRetry);
  }

  /**
   * Returns the path of {@link Download#model} when every file of the model is in the cache. Sends
   * no request.
   */
  public Optional<Path> cached(HubName name) {
    return cache
        .commit(name)
        .filter(commit -> cache.missing(name, commit, Selection.MODEL).isEmpty())
        .map(commit -> model(cache.snapshot(name, commit)));
  }

  /**
   * Returns the path of a model. Uses a complete model in the cache even if the hub has a newer
   * commit; else fetches it.
   *
   * @param progress creates a {@link Progress} for a number of bytes
   * @throws InputException when the model is not available
   */
  public Path model(HubName name, LongFunction<Progress> progress) {
    return cached(name).orElseGet(() -> download(name, Selection.MODEL, progress).model());
  }

  /**
   * Fetches the selected files that are not in the cache. Offline, it only checks that all are
   * there.
   *
   * @param progress creates a {@link Progress} for a number of bytes
   * @throws InputException when the files are not available: the name or revision does not exist,
   *     permission is missing, the server keeps failing, or its bytes have the wrong hash
   * @throws StorageException when the cache cannot be written, or its disk is full
   * @throws CancelledException when the thread is interrupted
   */
  public Download download(HubName name, Selection selection, LongFunction<Progress> progress) {
    return download(name, selection, progress, settings.offline());
  }

  /**
   * Finds the selected files in the cache, even if the hub has a newer commit; else fetches them.
   *
   * @param progress creates a {@link Progress} for a number of bytes
   * @throws InputException as {@link #download} does
   */
  public Download files(HubName name, Selection selection, LongFunction<Progress> progress) {
    boolean there =
        cache
            .commit(name)
            .filter(commit -> cache.missing(name, commit, selection).isEmpty())
            .flatMap(commit -> cache.listing(name, commit))
            .filter(listing -> !selection.of(listing.files()).chosen().isEmpty())
            .isPresent();
    return download(name, selection, progress, there || settings.offline());
  }

  /**
   * Lists the files of a repository: from the cache where it knows them, else from the hub.
   *
   * @return empty where there is the repository, and not the revision
   * @throws InputException when it is not known
   */
  public Optional<List<String>> names(HubName name) {
    Optional<HubListing> known = cache.commit(name).flatMap(commit -> cache.listing(name, commit));
    if (known.isEmpty() && settings.offline()) {
      throw notThere(name, "it is not there");
    }
    try {
      HubListing listing = known.isPresent() ? known.get() : ask(name);
      return Optional.of(listing.files().stream().map(HubFile::name).toList());
    } catch (InputException e) {
      if (e.getCause() instanceof ServerErrors.NoRevision) {
        return Optional.empty();
      }
      throw e;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException(name + ": the listing of files was interrupted", e);
    }
  }

  private Download download(
      HubName name, Selection selection, LongFunction<Progress> progress, boolean offline) {
    long start = System.nanoTime();
    try {
      HubListing listing = offline ? offline(name, selection) : ask(name);
      Selection.Choice choice = selection.of(listing.files());
      Path folder = cache.snapshot(name, listing.commit());
      long fetched = 0;
      if (!offline) {
        requireSomething(name, selection, listing, choice.chosen());
        List<HubFile> files = described(name, listing.commit(), choice.chosen());
        cache.remember(name, listing);
        fetched = fetch(name, listing.commit(), files, progress);
        requireWhole(name, listing.commit(), selection);
        cache.point(name, listing.commit());
        choice = new Selection.Choice(files, choice.left());
      }
      return new Download(
          name,
          listing.commit(),
          folder,
          choice.chosen(),
          choice.left(),
          fetched,
          (System.nanoTime() - start) / 1e9);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException(
          name + ": the download was interrupted; run it again to go on from where it is", e);
    }
  }

  private HubListing ask(HubName name) throws InterruptedException {
    URI uri = uri(name.apiPath() + "/revision/" + encoded(name.revision()) + "?blobs=true");
    String source = name + ": the listing of " + settings.endpoint();
    HubListing listing = HubListing.parse(http.read(name, uri, source, MAX_LISTING), source);
    if (name.isCommit() && !listing.commit().equals(name.revision())) {
      throw new InputException(
          source + ": expected commit " + name.revision() + ", found " + listing.commit());
    }
    return listing;
  }

  private HubListing offline(HubName name, Selection selection) {
    String commit = cache.commit(name).orElseThrow(() -> notThere(name, "it is not there"));
    List<String> missing = cache.missing(name, commit, selection);
    if (!missing.isEmpty()) {
      throw notThere(name, "it lacks " + some(missing));
    }
    return cache.listing(name, commit).orElseGet(() -> cache.found(name, commit));
  }

  private InputException notThere(HubName name, String why) {
    return new InputException(
        name
            + ": offline, so expected "
            + (name.kind() == HubName.Kind.MODEL ? "the whole model" : "the data set")
            + " in the cache "
            + settings.cache()
            + ", but "
            + why
            + (name.kind() == HubName.Kind.MODEL
                ? "; run \"jneox download " + name + "\" online"
                : "; run the same online once"));
  }

  private static void requireSomething(
      HubName name, Selection selection, HubListing listing, List<HubFile> chosen) {
    String all = some(listing.files().stream().map(HubFile::name).toList());
    if (selection.isModel()
        && chosen.stream().noneMatch(file -> Selection.isWeights(file.name()))) {
      throw new InputException(
          name
              + ": expected the weights of a model (safetensors, pytorch_model.bin or one .gguf),"
              + " found "
              + all
              + "; choose files with --include");
    }
    if (chosen.isEmpty()) {
      throw new InputException(
          name + ": expected files matching " + selection.include() + ", found " + all);
    }
  }

  /** Asks for the size and hash of each file whose listing lacks them. */
  private List<HubFile> described(HubName name, String commit, List<HubFile> files)
      throws InterruptedException {
    List<HubFile> all = new ArrayList<>();
    for (HubFile file : files) {
      all.add(file.isHashed() && file.size() >= 0 ? file : describe(name, commit, file));
    }
    return all;
  }

  private HubFile describe(HubName name, String commit, HubFile file) throws InterruptedException {
    String what = name + ", file \"" + file.name() + "\"";
    return http.attempts(what)
        .run(
            () -> {
              try (HubHttp.Answer answer =
                  http.send(name, file.name(), "HEAD", uri(name, commit, file), -1)) {
                String linked = answer.first().firstValue("X-Linked-Etag").orElse("");
                String etag =
                    (linked.isEmpty() ? answer.header("ETag") : linked)
                        .replaceFirst("^W/", "")
                        .replace("\"", "");
                long size =
                    answer
                        .first()
                        .firstValueAsLong("X-Linked-Size")
                        .orElseGet(
                            () -> answer.headers().firstValueAsLong("Content-Length").orElse(-1));
                if (size < 0 || !HubFile.isSha1(etag) && !HubFile.isSha256(etag)) {
                  throw new InputException(
                      what
                          + ": expected a server that tells size and hash, found \""
                          + etag
                          + "\", "
                          + size
                          + " bytes");
                }
                return new HubFile(
                    file.name(),
                    size,
                    Optional.of(etag).filter(HubFile::isSha1),
                    Optional.of(etag).filter(HubFile::isSha256));
              }
            });
  }

  private long fetch(
      HubName name, String commit, List<HubFile> files, LongFunction<Progress> makeProgress)
      throws InterruptedException {
    Map<String, List<HubFile>> missing =
        files.stream()
            .filter(file -> !cache.has(name, commit, file))
            .collect(Collectors.groupingBy(HubFile::blob, LinkedHashMap::new, Collectors.toList()));
    if (missing.isEmpty()) {
      return 0;
    }
    long bytes =
        missing.values().stream()
            .map(List::getFirst)
            .filter(file -> !cache.hasBlob(name, file))
            .mapToLong(file -> file.size() - BlobDownload.bytesThere(cache.blob(name, file), file))
            .sum();
    requireSpace(name, bytes);
    try (Progress progress = makeProgress.apply(bytes)) {
      // The blob is the same for all files of one hash.
      inParallel(
          missing.values(),
          same -> {
            fetch(name, commit, same.getFirst(), progress);
            same.forEach(file -> cache.link(name, commit, file));
          });
      return progress.done();
    }
  }

  private void fetch(HubName name, String commit, HubFile file, Progress progress)
      throws InterruptedException {
    if (cache.hasBlob(name, file)) {
      return;
    }
    Runnable waiting =
        () -> progress.note("another download has " + file.name() + ", waiting for it");
    try (BlobLock _ = BlobLock.take(cache.lock(name, file), waiting)) {
      progress.note("");
      if (cache.hasBlob(name, file)) {
        progress.expect(-file.size());
      } else {
        Path blob = cache.blob(name, file);
        new BlobDownload(
                http,
                settings.retries(),
                name,
                commit,
                file,
                uri(name, commit, file),
                blob,
                progress)
            .run();
      }
    }
  }

  private interface Step<T> {
    void take(T value) throws InterruptedException;
  }

  /**
   * Runs the step for each value. The first failure stops the others, and all have ended when this
   * returns.
   */
  private <T> void inParallel(Iterable<T> values, Step<T> step) throws InterruptedException {
    ExecutorService workers =
        Executors.newFixedThreadPool(settings.jobs(), Thread.ofVirtual().factory());
    CompletionService<Void> done = new ExecutorCompletionService<>(workers);
    int count = 0;
    try {
      for (T value : values) {
        done.submit(
            () -> {
              step.take(value);
              return null;
            });
        count++;
      }
      for (; count > 0; count--) {
        done.take().get();
      }
    } catch (ExecutionException e) {
      switch (Objects.requireNonNull(e.getCause())) {
        case RuntimeException failure -> throw failure;
        case Error failure -> throw failure;
        case InterruptedException interrupted -> throw interrupted;
        default -> throw new IllegalStateException(e.getCause());
      }
    } finally {
      workers.shutdownNow();
      finish(workers);
    }
  }

  /** Waits for workers that were told to stop, because they write until they end. */
  private static void finish(ExecutorService workers) {
    boolean interrupted = Thread.interrupted();
    while (!workers.isTerminated()) {
      try {
        workers.awaitTermination(1, TimeUnit.MINUTES);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void requireSpace(HubName name, long bytes) {
    try {
      long free = Files.getFileStore(settings.cache()).getUsableSpace();
      if (bytes > free) {
        String what = ByteSize.lack(bytes, free) + " on the disk of " + settings.cache();
        String reason = "choose another with --cache or HF_HOME";
        throw new StorageException(
            name + ": " + what + "; " + reason, settings.cache(), what, reason, null);
      }
    } catch (IOException e) {
      throw StorageException.of(settings.cache(), "cannot be read", e);
    }
  }

  /** Checks that the repository has the files that its weight index names. */
  private void requireWhole(HubName name, String commit, Selection selection) {
    List<String> missing = cache.missing(name, commit, selection);
    if (!missing.isEmpty()) {
      throw new InputException(
          name
              + ": the repository is no whole model: it lacks "
              + some(missing)
              + "; to fetch files all the same, choose them with --include");
    }
  }

  private static String some(List<String> names) {
    Set<String> first =
        names.stream().limit(5).collect(Collectors.toCollection(LinkedHashSet::new));
    return names.isEmpty()
        ? "nothing"
        : String.join(", ", first)
            + (names.size() > 5 ? " and " + (names.size() - 5) + " more" : "");
  }

  private static Path model(Path folder) {
    return SnapshotParts.gguf(folder).orElse(folder);
  }

  private URI uri(HubName name, String commit, HubFile file) {
    String path =
        java.util.Arrays.stream(file.name().split("/"))
            .map(Hub::encoded)
            .collect(Collectors.joining("/"));
    return uri(name.path() + "/resolve/" + commit + "/" + path);
  }

  private URI uri(String path) {
    return URI.create(settings.endpoint() + "/" + path);
  }

  private static String encoded(String part) {
    return URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20");
  }

  /** Closes open connections. */
  @Override
  public void close() {
    http.close();
  }
}
