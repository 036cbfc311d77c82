package dev.jneox.tokenizer;

import java.util.Arrays;

/**
 * Is a trie over 16-bit symbols: UTF-16 units or bytes. All edges are in one open-addressing table,
 * so that a trie of many nodes with few children stays small. Node 0 is the root.
 */
final class Trie {
  /** The most nodes, because node and child share a long with the symbol. */
  static final int LARGEST = 1 << 24;

  /** (node, symbol, child) in 24, 16 and 24 bits; no child is 0, so that 0 marks a free slot. */
  private long[] edges = new long[64];

  private int shift = 64 - 6;
  private int nodes = 1;

  /** Returns the number of nodes, the root included. */
  int size() {
    return nodes;
  }

  /** Returns the child of a node by a symbol, 0 where there is none. */
  int child(int node, int symbol) {
    long key = (long) node << 16 | symbol;
    for (int at = place(key); edges[at] != 0; at = at + 1 & edges.length - 1) {
      if (edges[at] >>> 24 == key) {
        return (int) edges[at] & LARGEST - 1;
      }
    }
    return 0;
  }

  /**
   * Returns the child of a node by a symbol, and creates it if necessary.
   *
   * @throws ArithmeticException beyond {@link #LARGEST} nodes
   */
  int grow(int node, int symbol) {
    int child = child(node, symbol);
    if (child != 0) {
      return child;
    }
    if (nodes == LARGEST) {
      throw new ArithmeticException("a trie of more than " + LARGEST + " nodes");
    }
    if (nodes >= edges.length / 2) {
      long[] old = edges;
      edges = new long[2 * old.length];
      shift--;
      for (long edge : old) {
        if (edge != 0) {
          insert(edge);
        }
      }
    }
    insert(((long) node << 16 | symbol) << 24 | nodes);
    return nodes++;
  }

  private void insert(long edge) {
    int at = place(edge >>> 24);
    while (edges[at] != 0) {
      at = at + 1 & edges.length - 1;
    }
    edges[at] = edge;
  }

  private int place(long key) {
    return (int) (key * 0x9E3779B97F4A7C15L >>> shift);
  }

  /** Visits every edge once, in any order. */
  void edges(Edge visitor) {
    Arrays.stream(edges)
        .filter(edge -> edge != 0)
        .forEach(
            edge ->
                visitor.accept(
                    (int) (edge >>> 40), (int) (edge >>> 24) & 0xFFFF, (int) edge & LARGEST - 1));
  }

  /** Receives each edge of {@link #edges(Edge)}. */
  interface Edge {
    void accept(int node, int symbol, int child);
  }
}
