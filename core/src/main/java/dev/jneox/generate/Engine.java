package dev.jneox.generate;

import dev.jneox.generate.Generator.Listener;
import dev.jneox.generate.Generator.Request;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.tensor.Native;
import dev.jneox.tensor.Workers;
import dev.jneox.tokenizer.Tokenizer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * Writes many texts at once with one model: every step reads the weights once for all of them
 * (continuous batching, Yu et al. 2022). New texts join between steps; their prompts are read in
 * pieces beside the tokens of those that run, which so never wait for a long prompt. Keys and
 * values lie in pages (Kwon et al. 2023) that texts with a common beginning share, living ones and
 * those that ended lately. What is written for a request is the same to the last token whatever
 * else the engine does.
 *
 * <p>Requests wait in line, first come first served, until a place and the memory for their longest
 * course are there; so a text that has begun always has the memory to end. Safe for many threads.
 * Listeners run on the engine's own thread, between two steps: they hand on what they hear and
 * return.
 */
public final class Engine implements AutoCloseable {
  /**
   * What an engine may use.
   *
   * @param sessions most texts written at a time
   * @param queue most requests that wait
   * @param promptRows most prompt tokens read in one step
   * @param kv what keys and values are kept in
   * @param kvBytes bound on the memory for keys and values, those kept for later requests included
   * @param threads threads that compute
   */
  public record Settings(
      int sessions, int queue, int promptRows, KvPrecision kv, long kvBytes, int threads) {
    /**
     * @throws InputException that names the setting which is out of range
     */
    public Settings {
      check("sessions", sessions, 1 << 16);
      check("queue", queue + 1L, Integer.MAX_VALUE);
      check("prompt rows", promptRows, 1 << 16);
      check("threads", threads, 1 << 12);
    }

    private static void check(String name, long value, long most) {
      if (value < 1 || value > most) {
        throw new InputException(name + ": expected 1 to " + most + ", found " + value);
      }
    }

    /**
     * For {@code sessions} texts: all cores, and half of the Java heap for keys and values, in what
     * goes with the model.
     */
    public static Settings of(PackedModel model, int sessions) {
      return new Settings(
          sessions,
          1024,
          256,
          KvPrecision.of(model),
          Runtime.getRuntime().maxMemory() / 2,
          Native.threads());
    }
  }

  /**
   * What an engine is doing.
   *
   * @param queued requests that wait
   * @param active texts being written
   * @param promptTokens prompt tokens read since the start, without those reused
   * @param reusedTokens prompt tokens whose keys and values were there already
   * @param tokens tokens drawn since the start
   * @param tokensPerSecond tokens drawn lately; 0 while idle
   * @param kvUsed bytes of keys and values held, those kept for later requests included
   * @param kvLimit the bound on it
   */
  public record Metrics(
      int queued,
      int active,
      long promptTokens,
      long reusedTokens,
      long tokens,
      double tokensPerSecond,
      long kvUsed,
      long kvLimit) {}

  private final ModelConfig config;
  private final Tokenizer tokenizer;
  private final Settings settings;
  private final Workers workers;
  private final Forward forward;
  private final KvPool pool;
  private final Thread thread;
  private final Rate rate = new Rate();

  // Guarded by this.
  private final ArrayDeque<Session> queue = new ArrayDeque<>();
  private boolean closed;

  // The engine thread's own.
  private final List<Session> active = new ArrayList<>();
  private final List<Session> drawing = new ArrayList<>();
  private final int[] rows;
  private int promised; // pages that active texts may still take
  private int turn; // whose prompt is read first

  private volatile Metrics metrics;
  private long promptTokens;
  private long reusedTokens;
  private long tokens;

  /**
   * Starts an engine.
   *
   * @param model stays open for as long as the engine is
   * @param tokenizer of the model, or null to work on ids alone
   * @throws InputException if the memory bound holds no page of keys and values
   */
  public Engine(PackedModel model, Tokenizer tokenizer, Settings settings) {
    this.config = model.config();
    this.tokenizer = tokenizer;
    this.settings = settings;
    KvFormat format = KvFormat.of(config, settings.kv());
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
    this.pool = new KvPool(format, (int) Math.min(pages, Integer.MAX_VALUE));
    this.workers = new Workers(settings.threads());
    this.forward = new Forward(model, format, workers, settings.sessions() + settings.promptRows());
    this.rows = new int[settings.sessions()];
    this.metrics = snapshot();
    this.thread = Thread.ofPlatform().daemon().name("jneox-engine").start(this::loop);
  }

  public ModelConfig config() {
    return config;
  }

  /**
   * Puts a request in line.
   *
   * @return the text to come; also where the listener is {@link Listener#NONE}
   * @throws InputException if the request can never be met
   * @throws BusyException if too many wait already
   */
  public Session submit(Request request, Listener listener) {
    Session session =
        new Session(
            this, new Generation(config, tokenizer, request, listener), new KvSequence(pool));
    int pages = KvSequence.pages(session.generation.positions());
    if (pages > pool.limit()) {
      throw new InputException(
          "the request may take "
              + session.generation.positions()
              + " positions, there is memory for keys and values of "
              + (long) pool.limit() * KvFormat.POSITIONS
              + ": ask for fewer tokens or give the engine more memory");
    }
    synchronized (this) {
      if (closed) {
        throw new IllegalStateException("the engine is closed");
      }
      if (queue.size() >= settings.queue()) {
        throw new BusyException(queue.size() + " requests wait already: try again later");
      }
      queue.add(session);
      notifyAll();
    }
    return session;
  }

  public Metrics metrics() {
    Metrics m = metrics;
    int queued;
    synchronized (this) {
      queued = queue.size();
    }
    return new Metrics(
        queued,
        m.active,
        m.promptTokens,
        m.reusedTokens,
        m.tokens,
        rate.perSecond(),
        m.kvUsed,
        m.kvLimit);
  }

  /** Cancels all texts and ends the threads. */
  @Override
  public void close() {
    synchronized (this) {
      closed = true;
      notifyAll();
    }
    boolean interrupted = false;
    while (thread.isAlive() && Thread.currentThread() != thread) {
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

  /** Called by a session that was cancelled: it may be waiting in line. */
  synchronized void wake() {
    notifyAll();
  }

  private void loop() {
    try {
      while (awaitWork()) {
        try {
          step();
        } catch (Throwable t) { // whatever it was, the texts in hand are lost and the engine is not
          List.copyOf(active).forEach(session -> end(session, t));
        }
        metrics = snapshot();
      }
    } finally {
      workers.close();
    }
  }

  /** Admits what can be admitted; waits while there is nothing to do. Returns false when closed. */
  private synchronized boolean awaitWork() {
    while (true) {
      dropCancelled(queue.iterator());
      if (closed) {
        active.forEach(session -> session.cancelled = true);
        queue.forEach(session -> session.finish(true));
        queue.clear();
        dropCancelled();
        metrics = snapshot();
        return false;
      }
      while (!queue.isEmpty() && active.size() < settings.sessions() && admit(queue.peek())) {
        active.add(queue.poll());
      }
      if (!active.isEmpty()) {
        return true;
      }
      try {
        wait();
      } catch (InterruptedException e) {
        closed = true; // nobody interrupts this thread but to end it
      }
    }
  }

  private static void dropCancelled(Iterator<Session> waiting) {
    while (waiting.hasNext()) {
      Session session = waiting.next();
      if (session.cancelled) {
        waiting.remove();
        session.finish(true);
      }
    }
  }

  private void dropCancelled() {
    for (Session session : List.copyOf(active)) {
      if (session.cancelled) {
        session.generation.cancel();
        end(session, null);
      }
    }
  }

  /** Promises a text the pages of its longest course, less those it shares. */
  private boolean admit(Session session) {
    int[] prompt = session.generation.prompt();
    // The last one must be read for its scores.
    session.text.begin(prompt, prompt.length - 1);
    int needed = KvSequence.pages(session.generation.positions()) - session.text.pageCount();
    if (pool.available() - promised < needed) {
      session.text.release();
      return false;
    }
    session.promised = needed;
    promised += needed;
    session.read = session.text.length();
    reusedTokens += session.read;
    return true;
  }

  /** One pass: a token of each text that is being written, and pieces of prompts. */
  private void step() {
    dropCancelled();
    if (active.isEmpty()) {
      return;
    }
    forward.begin();
    drawing.clear();
    for (Session session : active) {
      if (!session.reading()) {
        session.next[0] = session.generation.last();
        add(session, session.next, 0, 1);
      }
    }
    // Beside texts that run, so much of prompts that a step stays short.
    int budget = drawing.isEmpty() ? settings.promptRows() : Math.max(1, settings.promptRows() / 4);
    turn++;
    for (int i = 0; i < active.size() && budget > 0; i++) {
      Session session = active.get((turn + i) % active.size());
      if (session.reading()) {
        int[] prompt = session.generation.prompt();
        int n = Math.min(budget, prompt.length - session.read);
        session.read += n;
        budget -= n;
        promptTokens += n;
        add(session, prompt, session.read - n, n);
      }
    }
    forward.run();
    active.forEach(session -> session.text.publish());
    for (int at = 0; at < drawing.size(); at += Forward.LOGIT_ROWS) {
      int n = Math.min(Forward.LOGIT_ROWS, drawing.size() - at);
      float[] logits = forward.logits(rows, at, n);
      for (int i = 0; i < n; i++) {
        draw(drawing.get(at + i), logits, i * config.vocabSize());
      }
    }
  }

  private void add(Session session, int[] ids, int at, int n) {
    int before = session.text.pageCount();
    session.text.reserve(session.text.length() + n);
    int taken = session.text.pageCount() - before;
    session.promised -= taken;
    promised -= taken;
    int row = forward.add(session.text, ids, at, n);
    if (!session.reading()) {
      rows[drawing.size()] = row + n - 1;
      drawing.add(session);
    }
  }

  private void draw(Session session, float[] logits, int at) {
    try {
      tokens++;
      rate.count();
      if (!session.generation.next(logits, at)) {
        end(session, null);
      }
    } catch (Throwable t) { // of the listener, or scores that are no numbers: the others go on
      end(session, t);
    }
  }

  /** Takes a text out; its full pages stay for requests that begin alike. */
  private void end(Session session, Throwable failure) {
    active.remove(session);
    promised -= session.promised;
    session.promised = 0;
    session.text.release();
    metrics = snapshot(); // whoever learns of the end finds it there
    if (failure == null) {
      session.finish(false);
    } else {
      session.fail(failure);
    }
  }

  private Metrics snapshot() {
    long page = pool.format().pageBytes();
    return new Metrics(
        0,
        active.size(),
        promptTokens,
        reusedTokens,
        tokens,
        0,
        pool.used() * page,
        pool.limit() * page);
  }
}
