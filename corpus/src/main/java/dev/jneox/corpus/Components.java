package dev.jneox.corpus;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.least;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.min;
import static org.apache.spark.sql.functions.sum;
import static org.apache.spark.sql.functions.xxhash64;

import java.util.Arrays;
import java.util.Iterator;
import java.util.function.UnaryOperator;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;

/**
 * Finds the connected components of a graph over ids: for each id that is not the smallest of its
 * component, the smallest.
 */
final class Components {
  private long[] ids = new long[0];
  private int[] parents = new int[0];

  /**
   * Joins pairs in memory, 32 bytes for each: union-find, where the smaller id is the root.
   *
   * @param from one end of each pair
   * @param to the other
   */
  Components(long[] from, long[] to) {
    long[] all = Arrays.copyOf(from, from.length + to.length);
    System.arraycopy(to, 0, all, from.length, to.length);
    Arrays.sort(all);
    int n = 0;
    for (int i = 0; i < all.length; i++) {
      if (i == 0 || all[i] != all[i - 1]) {
        all[n++] = all[i];
      }
    }
    ids = Arrays.copyOf(all, n);
    parents = new int[n];
    Arrays.setAll(parents, i -> i);
    for (int k = 0; k < from.length; k++) {
      int a = root(Arrays.binarySearch(ids, from[k]));
      int b = root(Arrays.binarySearch(ids, to[k]));
      parents[Math.max(a, b)] = Math.min(a, b); // ids ascend, so the root is the smallest
    }
  }

  private int root(int at) {
    int i = at;
    while (parents[i] != i) {
      parents[i] = parents[parents[i]];
      i = parents[i];
    }
    return i;
  }

  /** Returns the ids of all pairs, ascending. */
  long[] ids() {
    return ids;
  }

  /** Returns the smallest id of the component of id number {@code i}. */
  long smallest(int i) {
    return ids[root(i)];
  }

  /** Reads pairs of a data set of two columns. */
  static Components of(Dataset<Row> pairs, int n) {
    long[] from = new long[n];
    long[] to = new long[n];
    int k = 0;
    for (Iterator<Row> rows = pairs.toLocalIterator(); rows.hasNext(); k++) {
      Row row = rows.next();
      from[k] = row.getLong(0);
      to[k] = row.getLong(1);
    }
    return new Components(from, to);
  }

  /**
   * Joins pairs without a limit of memory: large-star and small-star in turn until nothing changes
   * (Kiveris and others, Connected Components in MapReduce and Beyond, 2014).
   *
   * @param pairs the columns {@code u} and {@code v}
   * @param keep stores the pairs of a round: what follows does not compute them again
   * @return the columns {@code u}, an id, and {@code v}, the smallest of its component
   */
  static Dataset<Row> byStars(Dataset<Row> pairs, UnaryOperator<Dataset<Row>> keep) {
    Dataset<Row> edges = pairs.where(col("u").notEqual(col("v"))).select("u", "v");
    Row before = null;
    while (true) {
      edges = keep.apply(smallStar(largeStar(edges)));
      Row now =
          edges
              .agg(count(lit(1)), sum(xxhash64(col("u"), col("v")).bitwiseAND(lit(0xFFFF_FFFFL))))
              .first();
      if (now.equals(before)) {
        return edges;
      }
      before = now;
    }
  }

  /** Links each larger neighbour of a node to the smallest of the node and its neighbours. */
  private static Dataset<Row> largeStar(Dataset<Row> edges) {
    Dataset<Row> both =
        edges.select("u", "v").union(edges.select(col("v").as("u"), col("u").as("v")));
    Dataset<Row> centres =
        both.groupBy("u").agg(min("v").as("m")).select(col("u"), least(col("u"), col("m")).as("m"));
    return both.join(centres, "u")
        .where(col("v").gt(col("u")))
        .select(col("v").as("u"), col("m").as("v"))
        .where(col("u").notEqual(col("v")))
        .distinct();
  }

  /** Links a node and its smaller neighbours to the smallest of them. */
  private static Dataset<Row> smallStar(Dataset<Row> edges) {
    // Every edge of largeStar leads from the larger to the smaller end.
    Dataset<Row> centres = edges.groupBy("u").agg(min("v").as("m"));
    Dataset<Row> neighbours = edges.join(centres, "u").select(col("v").as("u"), col("m").as("v"));
    return neighbours
        .union(centres.select(col("u"), col("m").as("v")))
        .where(col("u").notEqual(col("v")))
        .distinct();
  }
}
