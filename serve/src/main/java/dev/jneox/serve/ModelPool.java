package dev.jneox.serve;

import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.ModelMemory;
import dev.jneox.io.ByteSize;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the models of a server: loads one when a request wants it, and unloads those that were used
 * least recently where the memory does not hold all. A model in use stays. Models are loaded one
 * after the other, in the order in which they were wanted; requests for those that are loaded go on
 * meanwhile. Where all models are in use, requests that come later for the one used least recently
 * wait until it has made room, so that a busy model does not keep out the others. A model that is
 * loaded anew is opened beside the old one, which ends with its last request.
 */
final class ModelPool implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger("dev.jneox");

  /** How far a model is. */
  enum State {
    UNLOADED,
    LOADING,
    LOADED
  }

  /**
   * What a model is doing.
   *
   * @param context tokens of its longest sequence
   * @param created seconds since 1970 at which it was opened, or else the server
   * @param requests that hold it or wait for it
   * @param bytes of weights, keys and values that it takes, or would take
   * @param loads how often it was loaded
   * @param served the open model, or null
   */
  record Status(
      String id,
      State state,
      int context,
      long created,
      int requests,
      long bytes,
      long loads,
      @Nullable ServedModel served) {}

  private final ServerSettings settings;
  private final long limit;
  private final Map<String, Entry> entries = new LinkedHashMap<>();

  /** Loads models, one after the other. */
  private final ExecutorService loader =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().daemon().name("jneox-loading").factory());

  // Guarded by this, as the fields of entries are.
  private final Set<Loaded> open = new HashSet<>(); // those no entry has any more included
  private long used; // bytes of them, and of those that are being opened
  private long uses; // counts leases, for the order of use
  private boolean closed;

  /** A model by its name. */
  private static final class Entry {
    final String id;
    final Path path;
    int context;
    long bytes;
    long created = System.currentTimeMillis() / 1000;
    @Nullable Loaded current;
    boolean wanted; // the loader has it, or will
    int waiting; // requests
    long attempts; // to load it, those that failed included
    long loads;
    @Nullable ApiException failure; // of the last attempt

    Entry(String id, Path path) {
      this.id = id;
      this.path = path;
    }
  }

  /** A model that is open. */
  private static final class Loaded {
    final Entry entry;
    final ServedModel model;
    final long bytes;
    int users; // requests
    int promised; // requests that waited for it and have not begun
    long lastUse;
    boolean draining; // takes no more requests, to make room

    Loaded(Entry entry, ServedModel model, long bytes) {
      this.entry = entry;
      this.promised = entry.waiting;
      this.model = model;
      this.bytes = bytes;
    }
  }

  /** A model in use, until closed. */
  final class Lease implements AutoCloseable {
    private final Loaded loaded;
    private boolean ended;

    private Lease(Loaded loaded) {
      this.loaded = loaded;
    }

    ServedModel model() {
      return loaded.model;
    }

    @Override
    public void close() {
      synchronized (ModelPool.this) {
        if (ended) {
          return;
        }
        ended = true;
        loaded.users--;
        ModelPool.this.notifyAll();
      }
      closeIfReplaced(loaded);
    }
  }

  /** What a model needs: its weights, and keys and values. */
  private record Need(ModelMemory memory, long kv) {
    long bytes() {
      return memory.weights() + kv;
    }

    @Override
    public String toString() {
      return "%s (weights %s, keys and values %s)"
          .formatted(ByteSize.text(bytes()), ByteSize.text(memory.weights()), ByteSize.text(kv));
    }
  }

  /**
   * Reads what the models need, and loads them unless that waits for their first requests. Those
   * beyond the bound on memory wait for theirs.
   *
   * @throws InputException when one is no whole model
   */
  ModelPool(Map<String, Path> paths, ServerSettings settings) {
    this.settings = settings;
    this.limit = settings.loading().memory().orElse(Long.MAX_VALUE);
    try {
      for (Map.Entry<String, Path> model : paths.entrySet()) {
        Entry entry = new Entry(model.getKey(), model.getValue());
        entries.put(entry.id, entry);
        Need need = need(entry);
        if (need.bytes() > limit) {
          LOG.log(System.Logger.Level.WARNING, tooLarge(entry, need)); // each request hears it
        }
        if (!settings.loading().lazy() && need.bytes() <= limit - used) {
          used += need.bytes();
          put(entry, open(entry, need), need);
        }
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Reads the headers of a model's files. */
  private Need need(Entry entry) {
    ModelMemory memory = LanguageModel.memory(entry.path, settings.precision());
    // Without a bound in all, prefixes of past requests may fill what one model is granted.
    long kv =
        settings.loading().memory().isEmpty()
            ? settings.kvBytes()
            : Math.min(settings.kvBytes(), settings.sessions() * memory.sequence());
    Need need = new Need(memory, kv);
    synchronized (this) {
      if (entry.current == null) {
        entry.context = memory.context();
        entry.bytes = need.bytes();
      }
    }
    return need;
  }

  private String tooLarge(Entry entry, Need need) {
    return ("the model %s needs %s, and the models of this server may take %s: raise --memory, or"
            + " lower --kv-memory or --sessions")
        .formatted(entry.id, need, ByteSize.text(limit));
  }

  private ServedModel open(Entry entry, Need need) {
    return ServedModel.open(entry.id, entry.path, settings, need.kv());
  }

  /** Has requests take a model that is open now. */
  private synchronized void put(Entry entry, ServedModel model, Need need) {
    Loaded loaded = new Loaded(entry, model, need.bytes());
    loaded.lastUse = ++uses;
    open.add(loaded);
    entry.current = loaded;
    entry.context = need.memory().context();
    entry.bytes = need.bytes();
    entry.created = model.created();
    entry.loads++;
    ended(entry, null);
  }

  private synchronized void ended(Entry entry, @Nullable ApiException failure) {
    entry.wanted = false;
    entry.attempts++;
    entry.failure = failure;
    notifyAll();
  }

  /** Returns the names of the models, the first one first. */
  List<String> ids() {
    return List.copyOf(entries.keySet());
  }

  /** Returns what the models are doing. */
  synchronized List<Status> statuses() {
    return entries.values().stream().map(this::status).toList();
  }

  /** Returns what a model is doing; empty where there is none of this name. */
  synchronized Optional<Status> status(String id) {
    return Optional.ofNullable(entries.get(id)).map(this::status);
  }

  private Status status(Entry entry) {
    Loaded loaded = entry.current;
    return new Status(
        entry.id,
        loaded != null ? State.LOADED : entry.wanted ? State.LOADING : State.UNLOADED,
        entry.context,
        entry.created,
        entry.waiting + (loaded == null ? 0 : loaded.users),
        entry.bytes,
        entry.loads,
        loaded == null ? null : loaded.model);
  }

  /** Returns the bytes of weights, keys and values of the models that are open. */
  synchronized long used() {
    return used;
  }

  /** Returns the bound on {@link #used}; {@link Long#MAX_VALUE} for none. */
  long limit() {
    return limit;
  }

  /**
   * Returns a model for the time of a request; loads it first where it is not, and waits for that.
   *
   * @param id of {@link #ids}
   * @throws ApiException when it cannot be loaded, or not within the time of the request
   */
  Lease acquire(String id, Call call) {
    Entry entry = entry(id);
    try (Cancellation.Registration _ = call.leaving().onCancel(this::wake)) {
      return await(entry, call);
    } catch (InterruptedException e) {
      throw ApiException.unavailable("the server is shutting down");
    }
  }

  private Entry entry(String id) {
    Entry entry = entries.get(id);
    if (entry == null) {
      throw new IllegalArgumentException(id);
    }
    return entry;
  }

  private synchronized void wake() {
    notifyAll();
  }

  private synchronized Lease await(Entry entry, Call call) throws InterruptedException {
    long attempts = entry.attempts;
    if (entry.waiting >= (long) settings.sessions() + settings.queue()) {
      throw ApiException.overloaded(
          "%d requests wait for the model %s to be loaded".formatted(entry.waiting, entry.id), 1);
    }
    entry.waiting++;
    try {
      while (true) {
        if (closed) {
          throw ApiException.unavailable("the server is shutting down");
        }
        if (call.leaving().cancelled()) {
          throw ApiException.abandoned();
        }
        Loaded loaded = entry.current;
        if (loaded != null && !loaded.draining) {
          return lease(loaded);
        }
        if (entry.failure != null && entry.attempts > attempts) {
          throw entry.failure;
        }
        if (!entry.wanted) {
          entry.wanted = true;
          loader.execute(() -> load(entry));
        }
        long left = call.nanosLeft();
        if (left <= 0) {
          throw ApiException.timedOut(
              "the request waited for too long for the model %s to be loaded".formatted(entry.id));
        }
        TimeUnit.NANOSECONDS.timedWait(this, left);
      }
    } finally {
      entry.waiting--;
      Loaded loaded = entry.current;
      if (loaded != null && loaded.promised > 0) {
        loaded.promised--;
      }
      notifyAll();
    }
  }

  private Lease lease(Loaded loaded) {
    loaded.users++;
    loaded.lastUse = ++uses;
    return new Lease(loaded);
  }

  private synchronized boolean isAwaited(Entry entry) {
    return entry.waiting > 0;
  }

  /** Loads a model for the requests that wait for it; on the loader's thread. */
  private void load(Entry entry) {
    ApiException failure = null;
    try {
      Need need = need(entry);
      if (reserve(need, tooLarge(entry, need), null, () -> isAwaited(entry))) {
        try {
          put(entry, open(entry, need), need);
          return;
        } catch (RuntimeException | Error e) {
          free(need.bytes());
          throw e;
        }
      }
    } catch (ApiException e) {
      failure = e;
    } catch (JneoxException | OutOfMemoryError e) {
      String message = "the model %s cannot be loaded: %s".formatted(entry.id, e.getMessage());
      LOG.log(System.Logger.Level.ERROR, message);
      failure = ApiException.http(500, message);
    } catch (Throwable e) { // whatever it was, the requests must not wait for it
      LOG.log(System.Logger.Level.ERROR, "the model " + entry.id + " cannot be loaded", e);
      failure = ApiException.http(500, "internal error");
    }
    ended(entry, failure);
  }

  /**
   * Counts the memory of a model that is to be opened, once there is room; on the loader's thread.
   *
   * @param tooLarge says that there never will be
   * @param beside stays, and with it the models in use; null where they make room in time
   * @param awaited whether somebody still waits for the model
   * @return false where nobody does, or where it would have to wait and must not
   */
  private boolean reserve(
      Need need, String tooLarge, @Nullable Loaded beside, BooleanSupplier awaited) {
    if (need.bytes() > limit) {
      throw ApiException.invalid("model", tooLarge);
    }
    try {
      while (true) {
        Loaded idle;
        synchronized (this) {
          if (closed) {
            throw ApiException.unavailable("the server is shutting down");
          }
          if (!awaited.getAsBoolean()) {
            return false;
          }
          if (need.bytes() <= limit - used) {
            used += need.bytes();
            return true;
          }
          idle = takeIdle(beside);
          if (idle == null && beside != null) {
            return false;
          }
          if (idle == null) {
            drain(need.bytes());
            wait();
          }
        }
        if (idle != null) {
          close(idle);
        }
      }
    } catch (InterruptedException e) {
      throw ApiException.unavailable("the server is shutting down");
    } finally {
      synchronized (this) {
        open.forEach(loaded -> loaded.draining = false);
        notifyAll();
      }
    }
  }

  /** Takes out the idle model that was used least recently; null where all are in use. */
  private @Nullable Loaded takeIdle(@Nullable Loaded keep) {
    for (Loaded loaded : byUse()) {
      boolean awaited = loaded.promised > 0 || !loaded.draining && loaded.entry.waiting > 0;
      if (loaded.users == 0 && !awaited && loaded != keep) {
        loaded.entry.current = null;
        return loaded;
      }
    }
    return null;
  }

  /** Has the models used least recently take no more requests, until that makes enough room. */
  private void drain(long bytes) {
    long left = used;
    for (Loaded loaded : byUse()) {
      if (bytes <= limit - left) {
        return;
      }
      if (loaded.promised == 0) {
        loaded.draining = true;
        left -= loaded.bytes;
      }
    }
  }

  /** Returns the models that requests may take, the one used least recently first. */
  private List<Loaded> byUse() {
    return open.stream()
        .filter(loaded -> loaded.entry.current == loaded)
        .sorted(Comparator.comparingLong(loaded -> loaded.lastUse))
        .toList();
  }

  /**
   * Opens the files of a model anew beside the one that is loaded. Requests that come later take
   * the new one; the old one is closed when its last request has ended. A model that is not loaded
   * is only looked at: its next request reads the new files.
   *
   * @param id of {@link #ids}
   * @throws ApiException when the new model cannot be loaded, and the old one goes on
   */
  Status reload(String id, Call call) {
    Entry entry = entry(id);
    CompletableFuture<Status> done;
    synchronized (this) {
      if (closed) {
        throw ApiException.unavailable("the server is shutting down");
      }
      done = CompletableFuture.supplyAsync(() -> replace(entry), loader);
    }
    try {
      return done.get(call.nanosLeft(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      throw ApiException.timedOut(
          "the model %s is still being loaded: its requests take it as soon as it is"
              .formatted(id));
    } catch (ExecutionException e) {
      if (e.getCause() instanceof ApiException cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      throw ApiException.unavailable("the server is shutting down");
    }
  }

  /** Does so, on the loader's thread. */
  private Status replace(Entry entry) {
    try {
      Need need = need(entry);
      Loaded old;
      synchronized (this) {
        old = entry.current;
        if (old == null) {
          return status(entry);
        }
      }
      if (!reserve(need, tooLarge(entry, need), old, () -> true)) {
        throw new InputException(
            "the new one needs %s beside the %s in use, of %s: raise --memory"
                .formatted(need, ByteSize.text(used()), ByteSize.text(limit)));
      }
      try {
        put(entry, open(entry, need), need);
      } catch (RuntimeException | Error e) {
        free(need.bytes());
        throw e;
      }
      LOG.log(System.Logger.Level.INFO, "the model " + entry.id + " was loaded anew");
      closeIfReplaced(old);
      return status(entry.id).orElseThrow();
    } catch (ApiException | JneoxException | OutOfMemoryError e) {
      String message =
          "the model %s goes on as it was, the new one cannot be loaded: %s"
              .formatted(entry.id, e.getMessage());
      LOG.log(System.Logger.Level.WARNING, message);
      throw ApiException.http(422, message);
    }
  }

  /** Closes a model that another one has replaced, once its last request has ended. */
  private void closeIfReplaced(Loaded loaded) {
    synchronized (this) {
      if (loaded.entry.current == loaded || loaded.users > 0 || !open.contains(loaded)) {
        return;
      }
    }
    Thread.ofPlatform().daemon().name("jneox-closing").start(() -> close(loaded));
  }

  /** Closes a model, unless another thread does. */
  private void close(Loaded loaded) {
    synchronized (this) {
      if (!open.remove(loaded)) {
        return;
      }
    }
    loaded.model.close();
    free(loaded.bytes);
  }

  private synchronized void free(long bytes) {
    used -= bytes;
    notifyAll();
  }

  /** Closes all models, which ends the requests that still run. */
  @Override
  public void close() {
    List<Loaded> left;
    synchronized (this) {
      closed = true;
      notifyAll();
    }
    loader.shutdown();
    boolean interrupted = false;
    try {
      loader.awaitTermination(1, TimeUnit.MINUTES);
    } catch (InterruptedException e) {
      interrupted = true;
    }
    synchronized (this) {
      left = List.copyOf(open);
    }
    left.forEach(this::close);
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
