package dev.jneox.grammar;

import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.tokenizer.CodePointSet;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * Describes texts as a recursive transition network (Woods 1970) over the bytes of their UTF-8.
 * Nodes have edges for ranges of bytes and edges that read nothing. A node may call a rule, whose
 * part of the text comes before what follows the node. Loops with bounds are counted when the
 * network runs, so that a long bound takes no more nodes than a short one.
 */
final class Network {
  /** The most nodes, and the most edges. */
  static final int LARGEST = 200_000;

  /** The most open calls and counted loops at any place of a text. */
  static final int DEEPEST = 64;

  /** Is the need of a node from which no end is reached. */
  static final int NEVER = Integer.MAX_VALUE;

  /** Says what a node does beside its edges. */
  enum Kind {
    /** Nothing. */
    PLAIN,
    /** Calls the rule {@code first} and goes on at {@code second}. */
    CALL,
    /** Ends a rule. */
    END,
    /** Begins to count for the loop {@code first}. */
    ENTER,
    /** Ends a round of the loop {@code first}. */
    BACK
  }

  /**
   * Is a part that is repeated.
   *
   * @param most {@link #NEVER} for no limit
   * @param body where a round begins
   * @param exit where the text goes on after the last one
   */
  record Loop(int least, int most, int body, int exit) {}

  /**
   * Is a part that may be called from several places.
   *
   * @param name of its place in the form; empty for a part that has none
   */
  record Rule(String name, int start, int end) {}

  private final List<Kind> kinds = new ArrayList<>();
  private int[] first = new int[64];
  private int[] second = new int[64];
  private int[] firstEdge = new int[64]; // -1 for none
  private int[] lastEdge = new int[64];
  private int[] nextEdge = new int[64];
  private int[] least = new int[64]; // -1 for an edge that reads nothing
  private int[] most = new int[64];
  private int[] target = new int[64];
  private int edges;
  private final List<Loop> loops = new ArrayList<>();
  private final List<Rule> rules = new ArrayList<>();

  // Building: a method adds all that leads from one node to another.

  int node() {
    return node(Kind.PLAIN, 0, 0);
  }

  private int node(Kind kind, int one, int two) {
    int node = kinds.size();
    check(node);
    if (node == first.length) {
      first = Arrays.copyOf(first, 2 * node);
      second = Arrays.copyOf(second, 2 * node);
      firstEdge = Arrays.copyOf(firstEdge, 2 * node);
      lastEdge = Arrays.copyOf(lastEdge, 2 * node);
    }
    kinds.add(kind);
    first[node] = one;
    second[node] = two;
    firstEdge[node] = -1;
    return node;
  }

  /**
   * Stops reading a form once the thread is interrupted.
   *
   * @throws CancelledException if the thread is interrupted
   */
  static void checkInterrupt() {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancelledException("interrupted while a form was read", null);
    }
  }

  private static void check(int size) {
    checkInterrupt();
    if (size >= LARGEST) {
      throw new InputException(
          "expected a form of at most "
              + LARGEST
              + " places, found a larger one: take smaller counts or fewer choices");
    }
  }

  /** Adds an edge that reads a byte from {@code low} to {@code high}. */
  void bytes(int from, int low, int high, int to) {
    int edge = edges++;
    check(edge);
    if (edge == target.length) {
      nextEdge = Arrays.copyOf(nextEdge, 2 * edge);
      least = Arrays.copyOf(least, 2 * edge);
      most = Arrays.copyOf(most, 2 * edge);
      target = Arrays.copyOf(target, 2 * edge);
    }
    least[edge] = low;
    most[edge] = high;
    target[edge] = to;
    nextEdge[edge] = -1;
    if (firstEdge[from] < 0) {
      firstEdge[from] = edge;
    } else {
      nextEdge[lastEdge[from]] = edge; // edges keep their order
    }
    lastEdge[from] = edge;
  }

  /** Adds an edge that reads nothing. */
  void empty(int from, int to) {
    bytes(from, -1, -1, to);
  }

  void text(int from, String text, int to) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    int at = from;
    for (int i = 0; i < utf8.length; i++) {
      int next = i == utf8.length - 1 ? to : node();
      bytes(at, utf8[i] & 0xFF, utf8[i] & 0xFF, next);
      at = next;
    }
    if (utf8.length == 0) {
      empty(from, to);
    }
  }

  /** Adds one of several texts; those that begin alike share their nodes. */
  void texts(int from, Iterable<String> texts, int to) {
    int root = node(); // with edges of this choice alone
    empty(from, root);
    for (String text : texts) {
      int at = root;
      for (byte each : text.getBytes(StandardCharsets.UTF_8)) {
        int b = each & 0xFF;
        int next = child(at, b);
        if (next < 0) {
          next = node();
          bytes(at, b, b, next);
        }
        at = next;
      }
      empty(at, to);
    }
  }

  private int child(int node, int b) {
    for (int edge = firstEdge[node]; edge >= 0; edge = nextEdge[edge]) {
      if (least[edge] == b) {
        return target[edge];
      }
    }
    return -1;
  }

  /** Adds the UTF-8 of one character of a set; surrogates have none. */
  void characters(int from, CodePointSet set, int to) {
    int[] tails = {to, -1, -1, -1};
    int[] ranges = set.ranges();
    int[] bounds = {0, 0x80, 0x800, 0xD800, 0xE000, 0x10000, 0x110000};
    for (int i = 0; i < ranges.length; i += 2) {
      for (int part = 0; part < bounds.length - 1; part++) {
        int low = Math.max(ranges[i], bounds[part]);
        int high = Math.min(ranges[i + 1], bounds[part + 1] - 1);
        if (low <= high && part != 3) {
          byte[] lows = Character.toString(low).getBytes(StandardCharsets.UTF_8);
          byte[] highs = Character.toString(high).getBytes(StandardCharsets.UTF_8);
          between(from, lows, highs, 0, tails);
        }
      }
    }
  }

  /** Adds the characters between two of the same length, from their byte {@code at} on. */
  private void between(int from, byte[] lows, byte[] highs, int at, int[] tails) {
    int low = lows[at] & 0xFF;
    int high = highs[at] & 0xFF;
    int rest = lows.length - 1 - at;
    if (rest == 0) {
      bytes(from, low, high, tails[0]);
      return;
    }
    if (low == high) {
      int next = node();
      bytes(from, low, low, next);
      between(next, lows, highs, at + 1, tails);
      return;
    }
    if (!all(lows, at + 1, 0x80)) {
      int next = node();
      bytes(from, low, low, next);
      between(next, lows, filled(highs, at + 1, 0xBF), at + 1, tails);
      low++;
    }
    boolean partial = !all(highs, at + 1, 0xBF);
    int last = partial ? high - 1 : high;
    if (low <= last) {
      bytes(from, low, last, tail(rest, tails));
    }
    if (partial) {
      int next = node();
      bytes(from, high, high, next);
      between(next, filled(lows, at + 1, 0x80), highs, at + 1, tails);
    }
  }

  /** Returns the node before {@code count} bytes that continue a character. */
  private int tail(int count, int[] tails) {
    if (tails[count] < 0) {
      int next = tail(count - 1, tails);
      tails[count] = node();
      bytes(tails[count], 0x80, 0xBF, next);
    }
    return tails[count];
  }

  private static boolean all(byte[] bytes, int from, int value) {
    for (int i = from; i < bytes.length; i++) {
      if ((bytes[i] & 0xFF) != value) {
        return false;
      }
    }
    return true;
  }

  private static byte[] filled(byte[] bytes, int from, int value) {
    byte[] filled = bytes.clone();
    Arrays.fill(filled, from, filled.length, (byte) value);
    return filled;
  }

  /** Adds a rule without content. */
  int rule(String name) {
    rules.add(new Rule(name, node(), node(Kind.END, 0, 0)));
    return rules.size() - 1;
  }

  int start(int rule) {
    return rules.get(rule).start();
  }

  int end(int rule) {
    return rules.get(rule).end();
  }

  String name(int rule) {
    return rules.get(rule).name();
  }

  int rules() {
    return rules.size();
  }

  void call(int from, int rule, int to) {
    empty(from, node(Kind.CALL, rule, to));
  }

  /**
   * Adds a loop and returns its body: an entry, and the node that ends a round. A round must read
   * something.
   */
  int[] loop(int from, int least, int most, int to) {
    int body = node();
    int back = node(Kind.BACK, loops.size(), 0);
    empty(from, node(Kind.ENTER, loops.size(), 0));
    loops.add(new Loop(least, most, body, to));
    return new int[] {body, back};
  }

  // Reading.

  int size() {
    return kinds.size();
  }

  Kind kind(int node) {
    return kinds.get(node);
  }

  Loop loop(int node) {
    return loops.get(first[node]);
  }

  int loopIndex(int node) {
    return first[node];
  }

  Rule called(int node) {
    return rules.get(first[node]);
  }

  /** Returns where the text goes on after a call. */
  int after(int call) {
    return second[call];
  }

  /** Returns the first edge of a node, or -1. */
  int firstEdge(int node) {
    return firstEdge[node];
  }

  /** Returns the edge of the same node that follows, or -1. */
  int nextEdge(int edge) {
    return nextEdge[edge];
  }

  boolean isEmpty(int edge) {
    return least[edge] < 0;
  }

  boolean reads(int edge, int b) {
    return least[edge] <= b && b <= most[edge];
  }

  int target(int edge) {
    return target[edge];
  }

  /**
   * Returns, for each node, how many more calls and loops must be open at once to reach the end of
   * its rule, or of its round of a loop; {@link #NEVER} where there is no such text.
   *
   * @param writable the bytes that the text may have
   */
  int[] needs(BitSet writable) {
    int[] needs = new int[size()];
    Arrays.fill(needs, NEVER);
    Dependents dependents = new Dependents(writable);
    // Knuth 1977: nodes are settled by rising need, each once. What depends on a node needs as much
    // as it, or one more.
    int[] open = new int[size()];
    int[] deeper = new int[size()];
    BitSet settled = new BitSet();
    int count = 0;
    int more = 0;
    for (int node = 0; node < size(); node++) {
      if (kind(node) == Kind.END || kind(node) == Kind.BACK) {
        needs[node] = 0;
        open[count++] = node;
      }
    }
    for (int level = 0; count > 0; level++) {
      while (count > 0) {
        int node = open[--count];
        settled.set(node);
        for (int at = dependents.first(node); at >= 0; at = dependents.next(at)) {
          int source = dependents.source(at);
          int need = needs[source] == NEVER ? need(source, level, settled, needs) : NEVER;
          if (need == NEVER) {
            continue;
          }
          needs[source] = need;
          if (need == level) {
            open[count++] = source;
          } else {
            deeper[more++] = source;
          }
        }
      }
      int[] next = deeper;
      deeper = open;
      open = next;
      count = more;
      more = 0;
    }
    return needs;
  }

  /**
   * Returns the need of a node one of whose dependencies was settled last; {@link #NEVER} where it
   * waits for another one.
   *
   * @param level the need of that dependency, at least those of all settled before
   */
  private int need(int node, int level, BitSet settled, int[] needs) {
    switch (kind(node)) {
      case CALL -> {
        int start = called(node).start();
        boolean ready = settled.get(start) && settled.get(after(node));
        return ready ? Math.max(deeper(needs[start], node), needs[after(node)]) : NEVER;
      }
      case ENTER -> {
        Loop loop = loop(node);
        if (loop.least() == 0) {
          return settled.get(loop.exit()) ? level : NEVER;
        }
        boolean ready = settled.get(loop.body()) && settled.get(loop.exit());
        return ready ? Math.max(1 + needs[loop.body()], needs[loop.exit()]) : NEVER;
      }
      default -> {
        return level;
      }
    }
  }

  /** Lists, for each node, those whose way to an end may lead over it. */
  private final class Dependents {
    private final int[] heads = new int[size()];
    private final int[] next;
    private final int[] sources;
    private int count;

    /**
     * @param readable the bytes whose edges count, with those that read nothing
     */
    Dependents(BitSet readable) {
      Arrays.fill(heads, -1);
      next = new int[edges + 2 * size()];
      sources = new int[next.length];
      for (int node = 0; node < size(); node++) {
        for (int edge = firstEdge[node]; edge >= 0; edge = nextEdge[edge]) {
          int b = least[edge] < 0 ? -1 : readable.nextSetBit(least[edge]);
          if (least[edge] < 0 || b >= 0 && b <= most[edge]) {
            add(target[edge], node);
          }
        }
        if (kind(node) == Kind.CALL) {
          add(called(node).start(), node);
          add(after(node), node);
        } else if (kind(node) == Kind.ENTER) {
          add(loop(node).body(), node);
          add(loop(node).exit(), node);
        }
      }
    }

    private void add(int on, int source) {
      next[count] = heads[on];
      sources[count] = source;
      heads[on] = count++;
    }

    int first(int node) {
      return heads[node];
    }

    int next(int at) {
      return next[at];
    }

    int source(int at) {
      return sources[at];
    }
  }

  private int deeper(int start, int call) {
    return kind(after(call)) == Kind.END ? start : start + 1;
  }

  /** Returns the bytes without which there is no text, of those that cannot be written. */
  BitSet missing(BitSet writable) {
    BitSet missing = new BitSet();
    for (int edge = 0; edge < edges; edge++) {
      if (least[edge] >= 0) {
        missing.set(least[edge], most[edge] + 1);
      }
    }
    missing.andNot(writable);
    return missing;
  }

  /** Returns the name of a rule that calls itself before it reads anything; empty for none. */
  String leftRecursive() {
    BitSet nullable = nullable();
    int[] seen = new int[rules.size()]; // 1 while it is looked into, 2 after
    for (int rule = 0; rule < rules.size(); rule++) {
      String found = leftRecursive(rule, nullable, seen, 0);
      if (!found.isEmpty()) {
        return found;
      }
    }
    return "";
  }

  private String leftRecursive(int rule, BitSet nullable, int[] seen, int depth) {
    if (seen[rule] == 2) {
      return "";
    }
    if (seen[rule] == 1 || depth > 500) {
      return name(rule);
    }
    seen[rule] = 1;
    for (int call : leftCalls(rule, nullable)) {
      String found = leftRecursive(first[call], nullable, seen, depth + 1);
      if (!found.isEmpty()) {
        return found;
      }
    }
    seen[rule] = 2;
    return "";
  }

  /** Returns the calls of a rule that are reached before a byte is read. */
  private List<Integer> leftCalls(int rule, BitSet nullable) {
    List<Integer> calls = new ArrayList<>();
    BitSet visited = new BitSet();
    List<Integer> open = new ArrayList<>(List.of(start(rule)));
    while (!open.isEmpty()) {
      int node = open.removeLast();
      if (visited.get(node)) {
        continue;
      }
      visited.set(node);
      for (int edge = firstEdge[node]; edge >= 0; edge = nextEdge[edge]) {
        if (isEmpty(edge)) {
          open.add(target[edge]);
        }
      }
      if (kind(node) == Kind.CALL) {
        calls.add(node);
        if (nullable.get(called(node).start())) {
          open.add(after(node));
        }
      } else if (kind(node) == Kind.ENTER) {
        open.add(loop(node).body());
        open.add(loop(node).exit());
      }
    }
    return calls;
  }

  /** Returns the nodes from which the end of a rule is reached without a byte. */
  private BitSet nullable() {
    Dependents dependents = new Dependents(new BitSet());
    BitSet nullable = new BitSet();
    int[] open = new int[size()];
    int count = 0;
    for (int node = 0; node < size(); node++) {
      if (kind(node) == Kind.END) {
        nullable.set(node);
        open[count++] = node;
      }
    }
    while (count > 0) {
      int node = open[--count];
      for (int at = dependents.first(node); at >= 0; at = dependents.next(at)) {
        int source = dependents.source(at);
        if (!nullable.get(source) && isNullable(source, nullable)) {
          nullable.set(source);
          open[count++] = source;
        }
      }
    }
    return nullable;
  }

  /** Returns whether a node is nullable, of whose dependencies one is. */
  private boolean isNullable(int node, BitSet nullable) {
    return switch (kind(node)) {
      case PLAIN -> true;
      case BACK -> false;
      case END -> true;
      case CALL -> nullable.get(called(node).start()) && nullable.get(after(node));
      case ENTER -> loop(node).least() == 0 && nullable.get(loop(node).exit());
    };
  }
}
