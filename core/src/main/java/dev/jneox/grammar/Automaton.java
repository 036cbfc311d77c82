package dev.jneox.grammar;

import dev.jneox.grammar.Network.Kind;
import dev.jneox.grammar.Network.Loop;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Runs a network byte by byte. A state is the set of all places at which the text so far may be,
 * each with its open calls and loops; from every state an end can be reached. States and the steps
 * between them are made when first asked for and kept, up to a bound. Not thread-safe.
 */
final class Automaton {
  /**
   * The most places of a state. Of more, those found first are kept: the form is then narrowed, and
   * an end can still be reached.
   */
  static final int MOST_PLACES = 1024;

  /** What is kept: states, their places, and open calls and loops. */
  private static final int MOST_STATES = 16_384;

  private static final int MOST_KEPT_PLACES = 1 << 20;
  private static final int MOST_FRAMES = 1 << 17;

  /** Is an open call or a loop, over those around it. */
  static final class Frame {
    private final int node; // where a call goes on; -1 - index for a loop
    private final int count; // of rounds begun
    private final @Nullable Frame outer;
    private final int depth;
    private final int id;

    private Frame(int node, int count, @Nullable Frame outer, int id) {
      this.node = node;
      this.count = count;
      this.outer = outer;
      this.depth = depth(outer) + 1;
      this.id = id;
    }
  }

  private static int depth(@Nullable Frame frame) {
    return frame == null ? 0 : frame.depth;
  }

  private record FrameKey(int node, int count, int outer) {}

  /** Is a set of places. */
  static final class State {
    private final int[] nodes;
    private final @Nullable Frame[] frames;
    private final boolean end;
    private @Nullable State @Nullable [] next; // by byte; null where not asked for yet
    int walk; // the last walk that met it, for TokenMasks
    @Nullable BitSet mask; // for TokenMasks

    private State(int[] nodes, @Nullable Frame[] frames, boolean end) {
      this.nodes = nodes;
      this.frames = frames;
      this.end = end;
    }

    /** Returns whether the text may end here. */
    boolean isEnd() {
      return end;
    }

    /** Returns whether the text must end here. */
    boolean isLast() {
      return nodes.length == 0;
    }

    /** Returns the number of places. */
    int size() {
      return nodes.length;
    }
  }

  /** Compares states by their places. */
  private record StateKey(int[] nodes, int[] frames, boolean end) {
    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof StateKey key
          && end == key.end
          && Arrays.equals(nodes, key.nodes)
          && Arrays.equals(frames, key.frames);
    }

    @Override
    public int hashCode() {
      return 31 * Arrays.hashCode(nodes) + Arrays.hashCode(frames);
    }
  }

  private final Network network;
  private final int[] needs;
  private final Map<FrameKey, Frame> frames = new HashMap<>();
  private final Map<StateKey, State> states = new HashMap<>();
  private final State dead = new State(new int[0], new Frame[0], false);
  private final State start;
  private int nextFrame = 1;
  private int places; // of all states

  // Of one closure: the places found, those still to be looked at, and a hash set of both.
  private int[] foundNodes = new int[64];
  private @Nullable Frame[] foundFrames = new Frame[64];
  private int found;
  private boolean foundEnd;
  private int[] openNodes = new int[64];
  private @Nullable Frame[] openFrames = new Frame[64];
  private int open;
  private long[] seen = new long[256];
  private int[] seenStamp = new int[256];
  private int stamp;
  private int seenCount;

  /**
   * @param needs as {@link Network#needs} gives it; that of {@code first} is not above {@link
   *     Network#DEEPEST}
   * @param first where a text begins
   */
  Automaton(Network network, int[] needs, int first) {
    this.network = network;
    this.needs = needs;
    begin();
    visit(first, null);
    close();
    start = state();
  }

  State start() {
    return start;
  }

  /** Returns the state after a byte; null where no text goes on so. */
  @Nullable State next(State state, int b) {
    State[] known = state.next;
    if (known == null) {
      known = new State[256];
      state.next = known;
    }
    State next = known[b];
    if (next == null) {
      next = step(state, b);
      known[b] = next;
    }
    return next == dead ? null : next;
  }

  /** Returns the state after a byte if it was asked for before and a text goes on so; else null. */
  @Nullable State known(State state, int b) {
    State[] known = state.next;
    State next = known == null ? null : known[b];
    return next == dead ? null : next;
  }

  /** Forgets states where there are many; those in use go on as before. */
  boolean trim() {
    boolean many =
        states.size() > MOST_STATES || places > MOST_KEPT_PLACES || frames.size() > MOST_FRAMES;
    if (many) {
      forget();
    }
    return many;
  }

  /** Forgets all states and masks. */
  void forget() {
    for (State state : states.values()) {
      state.next = null;
      state.mask = null;
    }
    states.clear();
    frames.clear();
    places = 0;
  }

  private State step(State state, int b) {
    begin();
    for (int i = 0; i < state.nodes.length; i++) {
      for (int edge = network.firstEdge(state.nodes[i]); edge >= 0; edge = network.nextEdge(edge)) {
        if (network.reads(edge, b)) {
          visit(network.target(edge), state.frames[i]);
        }
      }
      close(); // keeps the order of the places
    }
    return found == 0 && !foundEnd ? dead : state();
  }

  private State state() {
    int[] nodes = Arrays.copyOf(foundNodes, found);
    @Nullable Frame[] at = Arrays.copyOf(foundFrames, found);
    int[] ids = new int[found];
    for (int i = 0; i < found; i++) {
      Frame frame = at[i];
      ids[i] = frame == null ? 0 : frame.id;
    }
    StateKey key = new StateKey(nodes, ids, foundEnd);
    State known = states.get(key);
    if (known == null) {
      known = new State(nodes, at, foundEnd);
      states.put(key, known);
      places += found;
    }
    return known;
  }

  private void begin() {
    found = 0;
    foundEnd = false;
    open = 0;
    stamp++;
    seenCount = 0;
  }

  /** Has a place looked at, unless it was or leads to no end. */
  private void visit(int node, @Nullable Frame frame) {
    if (needs[node] > Network.DEEPEST - depth(frame)
        || !add((long) node << 32 | (frame == null ? 0 : frame.id) & 0xFFFFFFFFL)) {
      return;
    }
    if (open == openNodes.length) {
      openNodes = Arrays.copyOf(openNodes, 2 * open);
      openFrames = Arrays.copyOf(openFrames, 2 * open);
    }
    openNodes[open] = node;
    openFrames[open++] = frame;
  }

  /** Adds to the hash set; returns whether it was not there. */
  private boolean add(long key) {
    if (2 * seenCount >= seen.length) {
      long[] old = seen;
      int[] oldStamp = seenStamp;
      seen = new long[2 * old.length];
      seenStamp = new int[2 * old.length];
      for (int i = 0; i < old.length; i++) {
        if (oldStamp[i] == stamp) {
          int at = slot(old[i]);
          seen[at] = old[i];
          seenStamp[at] = stamp;
        }
      }
    }
    int at = slot(key);
    if (seenStamp[at] == stamp) {
      return false;
    }
    seen[at] = key;
    seenStamp[at] = stamp;
    seenCount++;
    return true;
  }

  /** Returns where a key is, or a free place for it. */
  private int slot(long key) {
    long hash = key * 0x9E3779B97F4A7C15L;
    int at = (int) (hash >>> 40) & seen.length - 1;
    while (seenStamp[at] == stamp && seen[at] != key) {
      at = at + 1 & seen.length - 1;
    }
    return at;
  }

  /** Follows all that reads nothing. */
  private void close() {
    while (open > 0 && found < MOST_PLACES) {
      int node = openNodes[--open];
      Frame frame = openFrames[open];
      boolean reads = false;
      for (int edge = network.firstEdge(node); edge >= 0; edge = network.nextEdge(edge)) {
        if (network.isEmpty(edge)) {
          visit(network.target(edge), frame);
        } else {
          reads = true;
        }
      }
      if (reads) {
        if (found == foundNodes.length) {
          foundNodes = Arrays.copyOf(foundNodes, 2 * found);
          foundFrames = Arrays.copyOf(foundFrames, 2 * found);
        }
        foundNodes[found] = node;
        foundFrames[found++] = frame;
      }
      switch (network.kind(node)) {
        case PLAIN -> {}
        case CALL -> {
          int after = network.after(node);
          // A call at the end of a rule leaves nothing to come back to.
          boolean last = network.kind(after) == Kind.END;
          visit(network.called(node).start(), last ? frame : frame(after, 0, frame));
        }
        case END -> {
          if (frame == null) {
            foundEnd = true;
          } else {
            visit(frame.node, frame.outer);
          }
        }
        case ENTER -> round(network.loop(node), network.loopIndex(node), 0, frame);
        case BACK -> {
          Frame loop = Objects.requireNonNull(frame);
          round(network.loop(node), network.loopIndex(node), loop.count, loop.outer);
        }
      }
    }
    open = 0;
  }

  /** Begins another round of a loop, or leaves it. */
  private void round(Loop loop, int index, int done, @Nullable Frame outer) {
    if (done < loop.most()) {
      // Without a limit, rounds above the least are alike.
      int count = loop.most() == Network.NEVER ? Math.min(done + 1, loop.least()) : done + 1;
      visit(loop.body(), frame(-1 - index, count, outer));
    }
    if (done >= loop.least()) {
      visit(loop.exit(), outer);
    }
  }

  private Frame frame(int node, int count, @Nullable Frame outer) {
    FrameKey key = new FrameKey(node, count, outer == null ? 0 : outer.id);
    Frame known = frames.get(key);
    if (known == null) {
      known = new Frame(node, count, outer, nextFrame++);
      frames.put(key, known);
    }
    return known;
  }
}
