package dev.jneox.grammar;

import dev.jneox.io.InputException;
import dev.jneox.tokenizer.CodePointSet;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Describes texts as a nondeterministic automaton over characters (Thompson 1968), in which two
 * forms of the same text can be joined: a pattern and a length.
 */
final class Nfa {
  /** The most states. */
  static final int LARGEST = 30_000;

  /** The most edges. */
  static final int MOST_EDGES = Network.LARGEST;

  /** The most pairs of edges that are looked at to join two forms. */
  private static final int MOST_PAIRS = 2_000_000;

  /** The most pairs of sets whose common characters are kept meanwhile. */
  private static final int MOST_KEPT = 10_000;

  /** Writes the characters of a set into a network. */
  interface Characters {
    void write(int from, CodePointSet set, int to);
  }

  /**
   * Is a step to another state.
   *
   * @param set null for one that reads nothing
   */
  private record Edge(@Nullable CodePointSet set, int target) {}

  private static final int START = 0;
  private static final int END = 1;

  private final List<List<Edge>> states = new ArrayList<>();
  private int edges;

  private Nfa() {
    state();
    state();
  }

  private int state() {
    if (states.size() >= LARGEST) {
      throw tooLarge(LARGEST + " characters with its repetitions written out");
    }
    states.add(new ArrayList<>(2));
    return states.size() - 1;
  }

  private static InputException tooLarge(String most) {
    return new InputException(
        "expected a pattern of at most " + most + ", found a longer one: take smaller counts");
  }

  private void edge(int from, @Nullable CodePointSet set, int to) {
    Network.checkInterrupt();
    if (++edges > MOST_EDGES) {
      throw tooLarge(MOST_EDGES + " alternatives with its repetitions written out");
    }
    states.get(from).add(new Edge(set, to));
  }

  static Nfa of(Regex regex) {
    Nfa nfa = new Nfa();
    nfa.add(START, regex, END);
    return nfa;
  }

  /** Builds the automaton of texts of some number of characters. */
  static Nfa ofLength(int least, int most) {
    return of(new Regex.Repeat(new Regex.One(CodePointSet.ALL), least, most));
  }

  private void add(int from, Regex regex, int to) {
    switch (regex) {
      case Regex.One one -> edge(from, one.set(), to);
      case Regex.All all -> {
        int at = from;
        for (Regex part : all.parts()) {
          int next = state();
          add(at, part, next);
          at = next;
        }
        edge(at, null, to);
      }
      case Regex.Any any -> any.choices().forEach(choice -> add(from, choice, to));
      case Regex.Repeat repeat -> {
        int at = from;
        for (int i = 0; i < repeat.least(); i++) {
          int next = state();
          add(at, repeat.body(), next);
          at = next;
        }
        if (repeat.most() == Regex.NO_LIMIT) {
          int round = state();
          edge(at, null, round);
          int done = state();
          add(round, repeat.body(), done);
          edge(done, null, round);
          edge(round, null, to);
          return;
        }
        for (int i = repeat.least(); i < repeat.most(); i++) {
          edge(at, null, to);
          int next = state();
          add(at, repeat.body(), next);
          at = next;
        }
        edge(at, null, to);
      }
    }
  }

  /** Returns the automaton of the texts that both have. */
  Nfa and(Nfa other) {
    Nfa both = new Nfa();
    Map<Long, Integer> pairs = new HashMap<>();
    Map<List<CodePointSet>, CodePointSet> common = new HashMap<>(); // sets equal themselves alone
    ArrayDeque<long[]> open = new ArrayDeque<>();
    long looked = 0;
    pairs.put(pair(START, START), START);
    pairs.put(pair(END, END), END);
    open.add(new long[] {START, START, START});
    while (!open.isEmpty()) {
      long[] next = open.remove();
      int mine = (int) next[0];
      int others = (int) next[1];
      int from = (int) next[2];
      for (Edge edge : states.get(mine)) {
        if (edge.set == null) {
          both.edge(from, null, both.pair(edge.target, others, pairs, open));
          continue;
        }
        looked += other.states.get(others).size();
        if (looked > MOST_PAIRS) {
          throw tooLarge("some thousand alternatives beside another pattern");
        }
        Network.checkInterrupt();
        if (common.size() > MOST_KEPT) {
          common.clear();
        }
        for (Edge second : other.states.get(others)) {
          if (second.set != null) {
            CodePointSet set =
                common.computeIfAbsent(
                    List.of(edge.set, second.set),
                    two -> two.getFirst().intersection(two.getLast()));
            if (!set.isEmpty()) {
              both.edge(from, set, both.pair(edge.target, second.target, pairs, open));
            }
          }
        }
      }
      for (Edge second : other.states.get(others)) {
        if (second.set == null) {
          both.edge(from, null, both.pair(mine, second.target, pairs, open));
        }
      }
    }
    return both;
  }

  private static long pair(int one, int other) {
    return (long) one << 32 | other;
  }

  private int pair(int one, int other, Map<Long, Integer> pairs, ArrayDeque<long[]> open) {
    Integer known = pairs.get(pair(one, other));
    if (known != null) {
      return known;
    }
    int state = state();
    pairs.put(pair(one, other), state);
    open.add(new long[] {one, other, state});
    return state;
  }

  /** Returns whether there is a text. */
  boolean hasText() {
    BitSet start = new BitSet();
    start.set(START);
    return spread(start, true).get(END);
  }

  /** Returns whether a text belongs to the form. */
  boolean matches(String text) {
    BitSet at = new BitSet();
    at.set(START);
    at = spread(at, false);
    for (int codePoint : text.codePoints().toArray()) {
      Network.checkInterrupt();
      BitSet next = new BitSet();
      for (int state = at.nextSetBit(0); state >= 0; state = at.nextSetBit(state + 1)) {
        for (Edge edge : states.get(state)) {
          if (edge.set != null && edge.set.contains(codePoint)) {
            next.set(edge.target);
          }
        }
      }
      at = spread(next, false);
    }
    return at.get(END);
  }

  /** Adds all that is reached: without a character, or by any. */
  private BitSet spread(BitSet from, boolean reading) {
    BitSet reached = new BitSet();
    ArrayDeque<Integer> open = new ArrayDeque<>();
    from.stream().forEach(open::add);
    reached.or(from);
    while (!open.isEmpty()) {
      for (Edge edge : states.get(open.remove())) {
        if ((reading || edge.set == null) && !reached.get(edge.target)) {
          reached.set(edge.target);
          open.add(edge.target);
        }
      }
    }
    return reached;
  }

  /** Adds the form to a network. */
  void write(Network network, int from, int to, Characters characters) {
    int[] nodes = new int[states.size()];
    for (int i = 0; i < nodes.length; i++) {
      nodes[i] = network.node();
    }
    network.empty(from, nodes[START]);
    network.empty(nodes[END], to);
    for (int i = 0; i < nodes.length; i++) {
      for (Edge edge : states.get(i)) {
        if (edge.set == null) {
          network.empty(nodes[i], nodes[edge.target]);
        } else {
          characters.write(nodes[i], edge.set, nodes[edge.target]);
        }
      }
    }
  }
}
