package dev.jneox.corpus;

import dev.jneox.data.Xxh64;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.jspecify.annotations.Nullable;

/** Makes a row of {@link Rows#BANDS} for each band of each document that has a shingle. */
final class Signatures implements MapPartitionsFunction<Row, Row> {
  private final MinHashDedup settings;

  Signatures(MinHashDedup settings) {
    this.settings = settings;
  }

  @Override
  public Iterator<Row> call(Iterator<Row> documents) {
    MinHash minHash = new MinHash(settings.bands() * settings.rows(), settings.seed());
    Shingles shingles = new Shingles(settings.ngram());
    return new FlatIterator<>(
        documents,
        document -> bands(document.getLong(0), document.getString(1), minHash, shingles));
  }

  private List<Row> bands(long id, String text, MinHash minHash, Shingles shingles) {
    int n = shingles.read(settings.skipHeaders() ? SourceHeader.without(text) : text);
    if (n == 0) {
      return List.of();
    }
    long[] signature = minHash.signature(shingles.hashes(), n);
    List<Row> bands = new ArrayList<>(settings.bands());
    for (int band = 0; band < settings.bands(); band++) {
      long[] key = key(band, signature, settings.rows());
      bands.add(RowFactory.create(key[0], key[1], id));
    }
    return bands;
  }

  /** Returns a 128-bit hash of a band's number and its part of the signature. */
  static long[] key(int band, long[] signature, int rows) {
    ByteBuffer bytes = ByteBuffer.allocate(8 * rows + 5).putInt(band);
    for (int i = band * rows; i < (band + 1) * rows; i++) {
      bytes.putLong(signature[i]);
    }
    int n = bytes.position();
    return new long[] {Xxh64.of(bytes.array(), 0, n), Xxh64.of(bytes.array(), 0, n + 1)};
  }

  /**
   * Links the documents of a band that have the same key to the one with the smallest id: a star,
   * whose size does not grow with the square of the group. Reads rows sorted by key and id; gives
   * rows of {@link Rows#PAIRS}.
   *
   * @param cap documents of a group that are linked at most; 0 for all
   * @param keys a folder for the keys of this build's documents; empty for none
   */
  record Stars(int cap, String keys) implements MapPartitionsFunction<Row, Row> {
    @Override
    public Iterator<Row> call(Iterator<Row> bands) {
      Group group = new Group(cap, keys.isEmpty() ? null : new KeyIndex.Writer(Path.of(keys)));
      return new FlatIterator<>(bands, group::row, group::last);
    }
  }

  /** Is the group that is being read. */
  private static final class Group {
    private final int cap;
    private final KeyIndex.@Nullable Writer keys;
    private long k1;
    private long k2;
    private long first;
    private long size;
    private boolean written;

    Group(int cap, KeyIndex.@Nullable Writer keys) {
      this.cap = cap;
      this.keys = keys;
    }

    List<Row> row(Row row) {
      List<Row> pairs = new ArrayList<>(1);
      long id = row.getLong(2);
      if (size == 0 || row.getLong(0) != k1 || row.getLong(1) != k2) {
        pairs.addAll(end());
        k1 = row.getLong(0);
        k2 = row.getLong(1);
        first = id;
        size = 1;
        written = false;
      } else if (id == Rows.EARLIER) {
        return pairs; // two indexes have the key
      } else if (++size <= cap || cap == 0) {
        pairs.add(RowFactory.create(first, id));
      }
      if (keys != null && !written && id != Rows.EARLIER) {
        keys.add(k1, k2);
        written = true;
      }
      return pairs;
    }

    private List<Row> end() {
      return cap > 0 && size > cap
          ? List.of(RowFactory.create(Rows.CAPPED, size - cap))
          : List.of();
    }

    List<Row> last() {
      if (keys != null) {
        keys.end();
      }
      return end();
    }
  }
}
