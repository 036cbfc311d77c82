package dev.jneox.infer;

import dev.jneox.infer.Token.Candidate;
import dev.jneox.io.BusyException;
import dev.jneox.io.InputException;
import dev.jneox.io.MappedFile;
import dev.jneox.kernel.Cpu;
import dev.jneox.kernel.Workers;
import dev.jneox.model.ModelSpec;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Continues and scores many sequences of ids at once with one model. Every step reads the weights
 * once for all of them (continuous batching, Yu et al. 2022). Requests join between steps; prompts
 * are read in pieces beside the tokens of sequences that run, which so never wait for a long
 * prompt. Keys and values lie in pages (Kwon et al. 2023) that sequences with a common prefix
 * share, running ones and those that ended lately. What is drawn for a request, and every score, is
 * the same to the last bit whatever else the engine does.
 *
 * <p>Requests wait in a queue, first come first served, until a place and the memory for their
 * longest course are there; so a request that has begun always has the memory to end. Safe for many
 * threads. The engine knows no text and calls nobody: readers take tokens from a {@link
 * TokenStream} on threads of their own, and it never waits for one. Nor does it wait for a {@link
 * TokenConstraint}: a sequence whose next ids are not known yet takes no part in a step.
 */
public final class Engine implements AutoCloseable {
  /** Says what becomes of a request whose reader has stopped reading. */
  public enum Stalled {
    /** It gives up its place; once it is read again its keys and values are computed again. */
    RECOMPUTE,
    /** It ends with {@link FinishReason#STALLED}. */
    CANCEL
  }

  /**
   * Holds what an engine grants to the readers of its streams. A request whose reader is {@code
   * ahead} tokens behind pauses: it keeps its place and its memory, and draws no more. If it has
   * been paused for {@code patience} without a token taken while another request waits in the
   * queue, it makes room.
   *
   * @param ahead most tokens drawn that the reader has not taken
   */
  public record Readers(int ahead, Duration patience, Stalled stalled) {
    private static final Duration LONGEST = Duration.ofDays(10_000); // fits in nanoseconds

    /** Grants 64 tokens and 30 seconds, and recomputes. */
    public static final Readers DEFAULT =
        new Readers(64, Duration.ofSeconds(30), Stalled.RECOMPUTE);

    /**
     * @throws InputException that names the setting which is out of range
     */
    public Readers {
      check("tokens ahead of the reader", ahead, Integer.MAX_VALUE);
      if (patience.isNegative() || patience.compareTo(LONGEST) > 0) {
        throw new InputException(
            "patience: expected 0 to " + LONGEST.toDays() + " days, found " + patience);
      }
    }
  }

  /**
   * Holds what an engine may use.
   *
   * @param sessions most sequences that run at a time
   * @param queue most requests that wait
   * @param promptRows most prompt tokens read in one step
   * @param kv type of keys and values
   * @param kvBytes bound on the memory for keys and values, those kept for later requests included
   * @param threads threads that compute
   */
  public record Settings(
      int sessions,
      int queue,
      int promptRows,
      KvPrecision kv,
      long kvBytes,
      int threads,
      Readers readers) {
    /**
     * @throws InputException that names the setting which is out of range
     */
    public Settings {
      check("sessions", sessions, 1 << 16);
      check("queue", queue + 1L, Integer.MAX_VALUE);
      check("prompt rows", promptRows, 1 << 16);
      check("threads", threads, 1 << 12);
    }

    /**
     * Makes settings for {@code sessions} sequences: all cores, and half of the Java heap for keys
     * and values, in the type that goes with the model.
     */
    public static Settings of(PackedModel model, int sessions) {
      return new Settings(
          sessions,
          1024,
          256,
          KvPrecision.of(model),
          Runtime.getRuntime().maxMemory() / 2,
          Cpu.threads(),
          Readers.DEFAULT);
    }

    /** Returns a copy with another bound on the requests that wait. */
    public Settings withQueue(int value) {
      return new Settings(sessions, value, promptRows, kv, kvBytes, threads, readers);
    }

    /** Returns a copy with another bound on the prompt tokens of a step. */
    public Settings withPromptRows(int value) {
      return new Settings(sessions, queue, value, kv, kvBytes, threads, readers);
    }

    /** Returns a copy with keys and values in another type. */
    public Settings withKv(KvPrecision value) {
      return new Settings(sessions, queue, promptRows, value, kvBytes, threads, readers);
    }

    /** Returns a copy with another bound on the memory for keys and values. */
    public Settings withKvBytes(long value) {
      return new Settings(sessions, queue, promptRows, kv, value, threads, readers);
    }

    /** Returns a copy with another number of threads that compute. */
    public Settings withThreads(int value) {
      return new Settings(sessions, queue, promptRows, kv, kvBytes, value, readers);
    }

    /** Returns a copy that grants the readers of streams something else. */
    public Settings withReaders(Readers value) {
      return new Settings(sessions, queue, promptRows, kv, kvBytes, threads, value);
    }
  }

  private static void check(String name, long value, long most) {
    if (value < 1 || value > most) {
      throw new InputException(name + ": expected 1 to " + most + ", found " + value);
    }
  }

  /**
   * Says what an engine is doing.
   *
   * @param queued requests that wait
   * @param active requests that have a place
   * @param paused of them, those whose readers are behind
   * @param suspensions how often a request gave up its place for others, since the start
   * @param promptTokens prompt tokens read since the start, without those reused
   * @param reusedTokens prompt tokens whose keys and values were there already
   * @param recomputedTokens tokens read again after a suspension
   * @param tokens tokens drawn since the start
   * @param tokensPerSecond tokens drawn lately; 0 while idle
   * @param kvUsed bytes of keys and values held, those kept for later requests included
   * @param kvLimit the bound on it
   */
  public record Metrics(
      int queued,
      int active,
      int paused,
      long suspensions,
      long promptTokens,
      long reusedTokens,
      long recomputedTokens,
      long tokens,
      double tokensPerSecond,
      long kvUsed,
      long kvLimit) {}

  /** The target of a row from which a token is drawn; else it is a position of the prompt. */
  private static final int DRAW = -1;

  /** Longest time without a look at the model's files, which takes 15 microseconds a file. */
  private static final long CHECK_NANOS = 10_000_000;

  private final ModelSpec spec;
  private final Settings settings;
  private final Workers workers;
  private final PackedModel model;
  private final Forward forward;
  private final KvPool pool;
  private final Thread thread;
  private final ThreadPoolExecutor constraints; // find the ids allowed next
  private final Rate rate = new Rate();
  private final AtomicLong tapped = new AtomicLong(); // requests with taps

  // Guarded by this.
  private final ArrayDeque<Session> queue = new ArrayDeque<>();
  private final ArrayDeque<FutureTask<?>> tasks = new ArrayDeque<>(); // for the engine's thread
  private boolean closed;

  // The engine thread's own.
  private final List<Session> active = new ArrayList<>();
  private final List<Session> read = new ArrayList<>(); // those with rows in this step
  private int promised; // pages that active requests may still take
  private int rotation; // whose prompt is read first
  private final Sampler.Scratch scratch = new Sampler.Scratch();
  private final List<Thread> waiting = new ArrayList<>(); // for the tokens of this step
  private long checked; // when the model's files were last looked at

  // Rows of the step whose logits are wanted, the sessions they are of, and what for.
  private final int[] rows;
  private final Session[] owners;
  private final int[] targets;
  private int wanted;

  // Log-softmax of the rows whose logits are at hand.
  private float[] logits = {};
  private int firstRow;
  private final double[] logSums = new double[Forward.LOGIT_ROWS];
  private final List<List<Candidate>> tops = new ArrayList<>();
  private final Workers.Task logSoftmax = this::logSoftmax;

  private volatile Metrics metrics;
  private long suspensions;
  private long promptTokens;
  private long reusedTokens;
  private long recomputedTokens;
  private long tokens;

  /**
   * Starts an engine.
   *
   * @param model stays open for as long as the engine is
   * @throws InputException if the memory bound holds no page of keys and values
   */
  public Engine(PackedModel model, Settings settings) {
    this.model = model;
    this.spec = model.spec();
    this.settings = settings;
    KvFormat format = KvFormat.of(spec, settings.kv());
    long pages = settings.kvBytes() / format.pageBytes();
    if (pages < 1) {
      throw new InputException(
          "memory for keys and values: expected "
              + format.pageBytes()
              + " bytes or more, for "
              + KvFormat.POSITIONS
              + " positions, found "
              + settings.kvBytes());
    }
    int maxRows = settings.sessions() + settings.promptRows();
    this.pool = new KvPool(format, (int) Math.min(pages, Integer.MAX_VALUE));
    this.workers = new Workers(settings.threads());
    this.forward = new Forward(model, format, workers, maxRows);
    this.rows = new int[maxRows];
    this.owners = new Session[maxRows];
    this.targets = new int[maxRows];
    for (int i = 0; i < Forward.LOGIT_ROWS; i++) {
      tops.add(List.of());
    }
    this.metrics = snapshot();
    // Few, because they take cores from the steps.
    int finders = Math.max(1, settings.threads() / 4);
    this.constraints =
        new ThreadPoolExecutor(
            finders,
            finders,
            5,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().daemon().name("jneox-constraints").factory());
    constraints.allowCoreThreadTimeOut(true);
    this.thread = Thread.ofPlatform().daemon().name("jneox-engine").start(this::loop);
  }

  /** Returns the model's architecture and sizes. */
  public ModelSpec spec() {
    return spec;
  }

  /** Returns the most sequences that run at a time. */
  int sessions() {
    return settings.sessions();
  }

  /**
   * Puts a request in the queue whose result is wanted as a whole: nobody reads its tokens before.
   *
   * @throws InputException if the request can never be met
   * @throws BusyException if too many wait already
   */
  public Session submit(GenerationRequest request) {
    return enqueue(request, Integer.MAX_VALUE, null);
  }

  /** Takes the logits that a score is computed from. */
  @FunctionalInterface
  interface LogitRows {
    /**
     * Takes the row {@code logits[at ...]} of every row of the head, on the engine's thread; it is
     * overwritten after.
     *
     * @param position of the id in the prompt that the row predicts
     * @param logSum the logarithm of the sum of their exponentials
     */
    void take(int position, float[] logits, int at, double logSum);
  }

  /** Does the same, and shows each row of logits of the prompt's scores. */
  Session submit(GenerationRequest request, LogitRows rows) {
    return enqueue(request, Integer.MAX_VALUE, rows);
  }

  /**
   * Puts a request in the queue whose tokens are read as they are drawn; it pauses where its reader
   * falls behind, see {@link Readers}.
   *
   * @throws InputException if the request can never be met
   * @throws BusyException if too many wait already
   */
  public TokenStream stream(GenerationRequest request) {
    return new TokenStream(enqueue(request, settings.readers().ahead(), null));
  }

  private Session enqueue(GenerationRequest request, int ahead, @Nullable LogitRows logitRows) {
    Generation generation = new Generation(spec, request);
    Session session =
        new Session(
            this,
            generation,
            new KvSequence(pool, prefixKey(request)),
            ahead,
            request.taps().orElse(null),
            logitRows);
    if (!generation.draws() && generation.nextScored() == Generation.NONE) {
      session.finish(FinishReason.MAX_TOKENS, null); // a prompt without an id to score
      return session;
    }
    int pages = KvSequence.pages(generation.positions());
    if (pages > pool.limit()) {
      throw new InputException(
          "the request may take "
              + generation.positions()
              + " positions, there is memory for keys and values of "
              + (long) pool.limit() * KvFormat.POSITIONS
              + ": ask for fewer tokens or give the engine more memory");
    }
    synchronized (this) {
      if (closed) {
        throw new IllegalStateException("the engine is closed");
      }
      if (queue.size() >= settings.queue()) {
        throw new BusyException(queue.size());
      }
      queue.add(session);
    }
    LockSupport.unpark(thread);
    return session;
  }

  /** Taps see every position of their request, and what they change is for no other. */
  private PrefixKey prefixKey(GenerationRequest request) {
    return request.taps().isEmpty()
        ? request.prefixKey()
        : new PrefixKey(request.prefixKey().value() + "\0taps " + tapped.getAndIncrement());
  }

  /** Returns what the engine is doing, as of its last step. */
  public Metrics metrics() {
    Metrics m = metrics;
    int queued;
    synchronized (this) {
      queued = queue.size();
    }
    return new Metrics(
        queued,
        m.active,
        m.paused,
        m.suspensions,
        m.promptTokens,
        m.reusedTokens,
        m.recomputedTokens,
        m.tokens,
        rate.perSecond(),
        m.kvUsed,
        m.kvLimit);
  }

  /**
   * Saves a sequence, and the keys and values of its beginning that are kept: as many full pages of
   * 64 positions as requests have computed lately and no other has displaced. {@link #openSession}
   * takes them up again, in this process or another. The file appears whole or not at all; others
   * are continued meanwhile. The first call reads all weights, to tell the model from others.
   *
   * @param note of the caller's own, given back by {@link #openSession}
   * @return positions whose keys and values were saved
   * @throws InputException if an id is no id of the model
   * @throws dev.jneox.io.StorageException if the file cannot be written
   * @throws IllegalStateException if the engine is closed
   */
  public int saveSession(Path file, int[] ids, String note) {
    Generation.checkIds(ids, spec);
    byte[] fingerprint = model.fingerprint();
    KvSequence sequence = new KvSequence(pool);
    onThread(
        () -> {
          sequence.begin(ids, ids.length);
          while (pool.available() < promised) { // what requests at work were promised is theirs
            int fewer = sequence.length() - KvFormat.POSITIONS;
            sequence.release();
            sequence.begin(ids, fewer);
          }
          return true;
        });
    try {
      // Published pages that somebody reads stay as they are.
      SessionFile.write(
          file, fingerprint, settings.kv(), pool.format(), ids, note, sequence.pages());
      return sequence.length();
    } finally {
      release(sequence);
    }
  }

  /**
   * Takes up a saved sequence: a request that begins with its ids does not compute those positions
   * again, and draws what it would have drawn without the file.
   *
   * @throws InputException if the file is no whole session of this model with this type of keys and
   *     values, or there is no memory for it; nothing has changed then
   * @throws dev.jneox.io.StorageException if the file cannot be read
   * @throws IllegalStateException if the engine is closed
   */
  public SavedSession openSession(Path file) {
    KvSequence sequence = new KvSequence(pool);
    try (SessionFile saved =
        SessionFile.open(file, model.fingerprint(), settings.kv(), pool.format(), spec)) {
      int positions = saved.pages() * KvFormat.POSITIONS;
      boolean room =
          onThread(
              () -> {
                boolean fits = saved.pages() <= pool.available() - promised;
                if (fits) {
                  sequence.reserve(positions);
                }
                return fits;
              });
      if (!room) {
        throw InputException.in(
            file,
            "pages",
            "at most the "
                + (long) pool.limit() * KvFormat.POSITIONS
                + " positions that there is memory for, less those in use",
            positions + "");
      }
      saved.read(sequence.pages());
      onThread(
          () -> {
            sequence.append(saved.ids(), 0, positions);
            sequence.publish();
            return true;
          });
      return new SavedSession(saved.ids(), saved.note(), positions);
    } finally {
      release(sequence);
    }
  }

  private void release(KvSequence sequence) {
    try {
      onThread(
          () -> {
            sequence.release();
            metrics = snapshot();
            return true;
          });
    } catch (IllegalStateException e) {
      // The engine has ended, and its pages with it.
    }
  }

  /** Runs something between two steps, on the engine's thread, and waits for it. */
  private boolean onThread(Callable<Boolean> work) {
    requireOtherThread("waiting for the engine");
    FutureTask<Boolean> task = new FutureTask<>(work);
    synchronized (this) {
      if (closed) {
        throw new IllegalStateException("the engine is closed");
      }
      tasks.add(task);
    }
    LockSupport.unpark(thread);
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return task.get();
        } catch (InterruptedException e) {
          interrupted = true; // it takes no longer than a step
        }
      }
    } catch (CancellationException e) {
      throw new IllegalStateException("the engine is closed", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void runTasks() {
    while (true) {
      FutureTask<?> task;
      synchronized (this) {
        task = tasks.poll();
      }
      if (task == null) {
        return;
      }
      task.run();
    }
  }

  /** Refuses what would make the engine's thread wait for itself: it runs the taps. */
  void requireOtherThread(String what) {
    if (Thread.currentThread() == thread) {
      throw new IllegalStateException(
          what + " in a tap, on the engine's own thread, would never end: do it on another thread");
    }
  }

  /**
   * Cancels all requests and ends the threads.
   *
   * @throws IllegalStateException on the engine's own thread, from a tap
   */
  @Override
  public void close() {
    requireOtherThread("closing the engine");
    synchronized (this) {
      closed = true;
    }
    LockSupport.unpark(thread);
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Called when a session was cancelled or its reader has made room. One that gave up its place
   * goes back into the queue, behind those that it made room for.
   */
  void wake(Session session) {
    if (session.suspended) {
      synchronized (this) {
        if (session.suspended) {
          session.suspended = false;
          if (closed || session.cancelled) {
            session.finish(FinishReason.CANCELLED, null);
          } else {
            queue.add(session);
          }
        }
      }
    }
    LockSupport.unpark(thread);
  }

  private void loop() {
    Throwable failure = null;
    try {
      pool.makeSpare();
      while (awaitWork()) {
        try {
          step();
        } catch (Throwable t) { // whatever it was, the requests at hand are lost, the engine is not
          endActive(explained(t));
        }
        metrics = snapshot();
      }
    } catch (Throwable t) {
      failure = t;
    } finally {
      endAll(failure);
      constraints.shutdownNow();
      workers.close();
    }
  }

  /** Returns the change of a file that made reading it fail, if that is what happened. */
  private Throwable explained(Throwable failure) {
    return failure instanceof InternalError
        ? MappedFile.changed().<Throwable>map(e -> e).orElse(failure)
        : failure;
  }

  private void endActive(@Nullable Throwable failure) {
    List.copyOf(active).forEach(session -> end(session, FinishReason.CANCELLED, failure));
  }

  /** Ends every request, so that nobody waits for an engine that has ended. */
  private void endAll(@Nullable Throwable failure) {
    endActive(failure);
    synchronized (this) {
      closed = true;
      queue.forEach(session -> session.finish(FinishReason.CANCELLED, failure));
      queue.clear();
      tasks.forEach(task -> task.cancel(false));
      tasks.clear();
    }
  }

  /** Admits what can be admitted; waits while there is nothing to do. Returns false when closed. */
  private boolean awaitWork() {
    while (true) {
      runTasks();
      if (!admitQueue()) {
        return false;
      }
      long now = System.nanoTime();
      boolean work = false;
      Session stalled = null; // the one whose reader has taken nothing for longest
      for (Session session : active) {
        session.update(now);
        work |= !session.paused && session.pending() > 0;
        if (session.paused && (stalled == null || session.stalled(now) > stalled.stalled(now))) {
          stalled = session;
        }
      }
      long wait = Long.MAX_VALUE;
      if (stalled != null && !queueIsEmpty()) {
        wait = settings.readers().patience().toNanos() - stalled.stalled(now);
        if (wait <= 0) {
          makeRoom(stalled);
          continue;
        }
      }
      if (work) {
        return true;
      }
      metrics = snapshot();
      if (wait == Long.MAX_VALUE) {
        LockSupport.park(this);
      } else {
        LockSupport.parkNanos(this, wait);
      }
    }
  }

  /** Drops what was cancelled and gives places to the first in the queue; false when closed. */
  private boolean admitQueue() {
    for (int i = active.size() - 1; i >= 0; i--) {
      if (active.get(i).cancelled) {
        end(active.get(i), FinishReason.CANCELLED, null);
      }
    }
    synchronized (this) {
      Thread.interrupted(); // A tap may have set the flag. Only close() ends this thread.
      if (closed) {
        return false;
      }
      for (Iterator<Session> waiting = queue.iterator(); waiting.hasNext(); ) {
        Session session = waiting.next();
        if (session.cancelled) {
          waiting.remove();
          session.finish(FinishReason.CANCELLED, null);
        }
      }
      while (!queue.isEmpty() && active.size() < settings.sessions() && admit(queue.peek())) {
        active.add(queue.poll());
      }
      return true;
    }
  }

  private synchronized boolean queueIsEmpty() {
    return queue.isEmpty();
  }

  /** Promises a request the pages of its longest course, less those it shares. */
  private boolean admit(Session session) {
    Generation generation = session.generation;
    session.sequence.begin(generation.ids(), generation.reusable());
    int needed = KvSequence.pages(generation.positions()) - session.sequence.pageCount();
    if (pool.available() - promised < needed) {
      session.sequence.release();
      return false;
    }
    session.promised = needed;
    promised += needed;
    checked = System.nanoTime() - CHECK_NANOS; // look again before its first step
    if (session.begin()) {
      reusedTokens += session.sequence.length();
      if (!generation.ready()) {
        findAllowed(session);
      }
    }
    return true;
  }

  /** Has the ids that a request may draw next found by another thread. */
  private void findAllowed(Session session) {
    constraints.execute(
        () -> {
          if (!session.cancelled) { // else it ends without them
            session.generation.findAllowed();
            LockSupport.unpark(thread);
          }
        });
  }

  /** Takes the place of a request whose reader has stalled. */
  private void makeRoom(Session session) {
    suspensions++;
    if (settings.readers().stalled() == Stalled.CANCEL) {
      end(session, FinishReason.STALLED, null);
      return;
    }
    remove(session);
    session.suspended = true;
    if (!session.full()) { // its reader came back before it could see that
      wake(session);
    }
  }

  /** Runs one pass: a token of each sequence that is drawn, and pieces of prompts. */
  private void step() {
    checkFiles();
    forward.begin();
    read.clear();
    waiting.clear();
    wanted = 0;
    for (Session session : active) {
      if (!session.paused && session.pending() == 1) {
        read(session, 1);
      }
    }
    // Beside sequences that are drawn, so much of prompts that a step stays short.
    int budget = read.isEmpty() ? settings.promptRows() : Math.max(1, settings.promptRows() / 4);
    rotation++;
    for (int i = 0; i < active.size() && budget > 0; i++) {
      Session session = active.get((rotation + i) % active.size());
      int n = Math.min(budget, session.pending());
      if (!session.paused && n > 0) {
        read(session, n);
        budget -= n;
      }
    }
    RequestTaps taps = RequestTaps.of(read);
    if (taps == null) {
      forward.run();
    } else {
      forward.run(taps);
    }
    for (Session session : read) {
      session.sequence.publish();
    }
    for (firstRow = 0; firstRow < wanted; firstRow += Forward.LOGIT_ROWS) {
      use(Math.min(Forward.LOGIT_ROWS, wanted - firstRow));
    }
    finishBeside();
    if (taps != null) {
      for (Session session : read) {
        if (session.tapFailure != null && active.contains(session)) {
          end(session, FinishReason.CANCELLED, session.tapFailure);
        }
      }
    }
  }

  /**
   * Looks whether the model's files were changed: before the first step of each request, and before
   * a later one when the last look is {@link #CHECK_NANOS} old.
   */
  private void checkFiles() {
    long now = System.nanoTime();
    if (now - checked >= CHECK_NANOS) {
      model.check();
      checked = now;
    }
  }

  /**
   * Wakes those who wait for a token and makes the next page of keys and values. The system takes
   * some 30 microseconds to wake a thread and up to a millisecond to clear a page, so a worker does
   * both while this thread begins the next step.
   */
  private void finishBeside() {
    boolean spare = pool.wantsSpare();
    if (waiting.isEmpty() && !spare) {
      return;
    }
    List<Thread> readers = List.copyOf(waiting);
    workers.beside(
        () -> {
          readers.forEach(LockSupport::unpark);
          if (spare) {
            pool.makeSpare();
          }
        });
  }

  /** Adds the next {@code n} positions of a session to the pass. */
  private void read(Session session, int n) {
    Generation generation = session.generation;
    KvSequence sequence = session.sequence;
    int at = sequence.length();
    int end = at + n;
    int before = sequence.pageCount();
    sequence.reserve(end);
    int taken = sequence.pageCount() - before;
    session.promised -= taken;
    promised -= taken;
    int row = forward.add(sequence, generation.ids(), at, n);
    read.add(session);
    count(session, at, end);
    // A row gives the scores of the id behind it.
    int last = Math.min(end, generation.promptLength() - 1);
    for (int target = Math.max(at + 1, generation.nextScored()); target <= last; target++) {
      want(row + target - 1 - at, session, target);
    }
    if (generation.draws() && end == generation.target()) {
      want(row + n - 1, session, DRAW);
    }
  }

  private void count(Session session, int at, int end) {
    int highest = session.highest();
    recomputedTokens += Math.max(0, Math.min(end, highest) - at);
    promptTokens +=
        Math.max(0, Math.min(end, session.generation.promptLength()) - Math.max(at, highest));
    session.read(end);
  }

  private void want(int row, Session session, int target) {
    rows[wanted] = row;
    owners[wanted] = session;
    targets[wanted] = target;
    wanted++;
  }

  /** Draws tokens from, or takes scores from, {@code n} rows. */
  private void use(int n) {
    logits = forward.logits(rows, firstRow, n);
    boolean scores = false;
    for (int i = 0; i < n; i++) {
      scores |= candidates(i) >= 0;
    }
    if (scores) {
      workers.claim(n, logSoftmax);
    }
    for (int i = 0; i < n; i++) {
      use(owners[firstRow + i], targets[firstRow + i], i);
      owners[firstRow + i] = null;
    }
  }

  private void use(Session session, int target, int row) {
    if (session.tapFailure != null) {
      return; // it ends behind this step
    }
    int at = row * spec.vocabulary().rows();
    try {
      boolean more;
      if (target == DRAW) {
        int before = session.generation.drawn();
        more = session.generation.draw(logits, at, logSums[row], tops.get(row), scratch);
        if (session.generation.drawn() > before) {
          tokens++;
          rate.count();
        }
        Thread reader = session.reader();
        if (reader != null) {
          waiting.add(reader);
        }
      } else {
        if (session.logitRows != null) {
          session.logitRows.take(target, logits, at, logSums[row]);
        }
        more = session.generation.score(logits, at, logSums[row], tops.get(row));
      }
      if (!more) {
        end(session, FinishReason.MAX_TOKENS, null);
      } else if (!session.generation.ready()) {
        findAllowed(session);
      }
    } catch (Throwable t) { // logits that are no numbers: the others go on
      end(session, FinishReason.CANCELLED, t);
    }
  }

  /** Candidates wanted from a row, or -1 where its scores are not. */
  private int candidates(int row) {
    Generation generation = owners[firstRow + row].generation;
    int target = targets[firstRow + row];
    return generation.candidates(target == DRAW ? generation.target() : target);
  }

  private void logSoftmax(int row, int worker) {
    int candidates = candidates(row);
    if (candidates >= 0) {
      int at = row * spec.vocabulary().rows();
      double logSum = LogSoftmax.logSumOfExp(logits, at, spec.vocabulary().rows());
      logSums[row] = logSum;
      tops.set(row, LogSoftmax.top(logits, at, spec.vocabulary().used(), candidates, logSum));
    }
  }

  /** Takes a request out; its full pages stay for requests with the same prefix. */
  private void end(Session session, FinishReason reason, @Nullable Throwable failure) {
    remove(session);
    session.finish(reason, failure);
  }

  private void remove(Session session) {
    active.remove(session);
    promised -= session.promised;
    session.promised = 0;
    session.sequence.release();
    metrics = snapshot(); // a thread that learns of the end finds it there
  }

  private Metrics snapshot() {
    long page = pool.format().pageBytes();
    int paused = 0;
    for (Session session : active) {
      paused += session.paused ? 1 : 0;
    }
    return new Metrics(
        0,
        active.size(),
        paused,
        suspensions,
        promptTokens,
        reusedTokens,
        recomputedTokens,
        tokens,
        0,
        pool.used() * page,
        pool.limit() * page);
  }
}
