package dev.jneox.grammar;

import dev.jneox.grammar.Automaton.State;
import dev.jneox.infer.TokenConstraint;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Finds the ids that a form allows at each place, and keeps them by the automaton's state. The
 * automaton is shared by all sequences of the form, under a lock.
 */
final class TokenMasks implements TokenConstraint {
  /**
   * The most work of a walk, in places of states that it meets for the first time and a sixteenth
   * of those that it steps from. After it, longer tokens are left out; those of one byte never are.
   */
  private static final int MOST_WORK = 20_000;

  /** Bytes of masks that are kept. */
  private static final long MOST_BYTES = 32 << 20;

  private static final BitSet NONE = new BitSet();

  private final TokenTrie trie;
  private final Automaton automaton;
  private final ReentrantLock lock = new ReentrantLock();
  private @Nullable BitSet startMask;
  private long maskBytes;
  private int walks;
  private int[] nodes = new int[1024]; // of the trie, reached with the states beside them
  private @Nullable State[] states = new State[1024];

  TokenMasks(TokenTrie trie, Automaton automaton) {
    this.trie = trie;
    this.automaton = automaton;
  }

  @Override
  public Cursor begin() {
    return new Cursor() {
      private @Nullable State state = automaton.start(); // null after an end
      private boolean atStart = true;

      @Override
      public BitSet allowed() {
        if (state == null || state.isLast()) {
          return NONE;
        }
        lock.lock();
        try {
          return mask(state, atStart);
        } finally {
          lock.unlock();
        }
      }

      @Override
      public void accept(int id) {
        if (trie.ends().get(id)) {
          state = null;
          return;
        }
        lock.lock();
        try {
          for (byte b : trie.bytes(id, atStart)) {
            state = state == null ? null : automaton.next(state, b & 0xFF);
          }
        } finally {
          lock.unlock();
        }
        atStart = false;
        if (state == null) {
          throw new IllegalStateException("id " + id + " was not allowed");
        }
      }

      @Override
      public @Nullable BitSet acceptKnown(int id) {
        State next = state;
        if (next == null || trie.ends().get(id) || !lock.tryLock()) { // a walk may hold it
          return null;
        }
        try {
          for (byte b : trie.bytes(id, atStart)) {
            next = automaton.known(next, b & 0xFF);
            if (next == null) {
              return null;
            }
          }
          BitSet mask = next.isLast() ? NONE : next.mask;
          if (mask != null) {
            state = next;
            atStart = false;
          }
          return mask;
        } finally {
          lock.unlock();
        }
      }
    };
  }

  /** Returns the ids allowed in a state that is not the last. */
  private BitSet mask(State state, boolean atStart) {
    if (atStart) {
      startMask = startMask == null ? walk(state, true) : startMask;
      return startMask;
    }
    BitSet known = state.mask;
    if (known != null) {
      return known;
    }
    if (automaton.trim() || maskBytes > MOST_BYTES) {
      automaton.forget();
      maskBytes = 0;
    }
    BitSet mask = walk(state, false);
    state.mask = mask;
    maskBytes += mask.size() / 8;
    return mask;
  }

  /** Walks the trie, shorter tokens first. The result does not depend on the cached masks. */
  private BitSet walk(State start, boolean atStart) {
    TokenTrie.Level level = trie.level(atStart);
    BitSet allowed = new BitSet(trie.ids());
    if (start.isEnd()) {
      allowed.or(trie.ends());
    }
    walks++;
    int work = 0;
    int waiting = 1;
    nodes[0] = 0;
    states[0] = start;
    for (int i = 0; i < waiting; i++) {
      int node = nodes[i];
      State state = Objects.requireNonNull(states[i]);
      if (work > MOST_WORK && node != 0) {
        break;
      }
      for (int child = level.children[node]; child < level.children[node + 1]; child++) {
        work += state.size() >> 4;
        State next = automaton.next(state, level.bytes[child] & 0xFF);
        if (next == null) {
          continue;
        }
        for (int at = level.idsFrom[child]; at < level.idsFrom[child + 1]; at++) {
          allowed.set(level.ids[at]);
        }
        if (level.children[child] == level.children[child + 1]) {
          continue;
        }
        if (next.walk != walks) {
          next.walk = walks;
          work += next.size();
        }
        if (waiting == nodes.length) {
          nodes = Arrays.copyOf(nodes, 2 * waiting);
          states = Arrays.copyOf(states, 2 * waiting);
        }
        nodes[waiting] = child;
        states[waiting++] = next;
      }
    }
    Arrays.fill(states, 0, waiting, null);
    return allowed;
  }
}
