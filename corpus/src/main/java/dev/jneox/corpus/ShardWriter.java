package dev.jneox.corpus;

import dev.jneox.data.ElementType;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.IndexedDatasetWriter;
import dev.jneox.data.Npy;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.StorageException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;

/**
 * Writes each partition, sorted rows of {@link Rows#WRITTEN}, as a shard that appears whole or not
 * at all: JSON lines under their final names, or Megatron's pair of files with the documents' ids
 * beside it, which {@link #merge} joins. Gives rows of {@link Rows#SHARDS}.
 */
final class ShardWriter implements MapPartitionsFunction<Row, Row> {
  private static final String IDS = ".ids";
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final String folder;
  private final int shards;
  private final int heldOutShards;
  private final int vocabSize;

  /**
   * Writes into {@code folder}.
   *
   * @param vocabSize one more than the largest token id; 0 for JSON lines
   */
  ShardWriter(Path folder, int shards, int heldOutShards, int vocabSize) {
    this.folder = folder.toString();
    this.shards = shards;
    this.heldOutShards = heldOutShards;
    this.vocabSize = vocabSize;
  }

  private Path path(boolean heldOut, int shard) {
    int of = heldOut ? heldOutShards : shards;
    String name = "%s-%05d-of-%05d".formatted(heldOut ? "held_out" : "train", shard, of);
    return Path.of(folder, vocabSize == 0 ? name + ".jsonl" : name);
  }

  @Override
  public Iterator<Row> call(Iterator<Row> rows) {
    if (!rows.hasNext()) {
      return List.<Row>of().iterator();
    }
    Row first = rows.next();
    int shard = first.getInt(0);
    Path path = path(shard >= shards, shard >= shards ? shard - shards : shard);
    Map<Integer, long[]> counts = new TreeMap<>();
    try {
      if (vocabSize == 0) {
        lines(path, first, rows, counts);
      } else {
        tokens(path, first, rows, counts);
      }
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be written", e);
    }
    List<Row> stated = new ArrayList<>();
    counts.forEach((source, n) -> stated.add(RowFactory.create(shard, source, n[0], n[1], n[2])));
    return stated.iterator();
  }

  private static void count(Map<Integer, long[]> counts, Row row, long tokens) {
    int source = (int) (row.getLong(2) >>> Rows.LINE_BITS);
    long[] n = counts.computeIfAbsent(source, s -> new long[3]);
    n[0]++;
    n[1] += tokens;
    n[2] += row.<byte[]>getAs(4).length;
  }

  private static void lines(Path path, Row first, Iterator<Row> rest, Map<Integer, long[]> counts)
      throws IOException {
    try (AtomicFile file = new AtomicFile(path)) {
      try (OutputStream out =
          new BufferedOutputStream(Files.newOutputStream(file.path()), 1 << 18)) {
        for (Row row = first; ; row = rest.next()) {
          out.write(row.<byte[]>getAs(4));
          count(counts, row, 0);
          if (!rest.hasNext()) {
            break;
          }
        }
      }
      file.commit();
    }
  }

  private void tokens(Path path, Row first, Iterator<Row> rest, Map<Integer, long[]> counts)
      throws IOException {
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(path, vocabSize);
        AtomicFile file = new AtomicFile(Path.of(path + IDS))) {
      try (OutputStream out =
          new BufferedOutputStream(Files.newOutputStream(file.path()), 1 << 16)) {
        byte[] id = new byte[8];
        int[] ids = new int[1 << 12];
        for (Row row = first; ; row = rest.next()) {
          ByteBuffer content = ByteBuffer.wrap(row.<byte[]>getAs(4)).order(ByteOrder.LITTLE_ENDIAN);
          int n = content.remaining() / 4;
          ids = ids.length < n ? new int[n] : ids;
          content.asIntBuffer().get(ids, 0, n);
          writer.add(ids, 0, n);
          MemorySegment.ofArray(id).set(LONG, 0, row.getLong(2));
          out.write(id);
          count(counts, row, n);
          if (!rest.hasNext()) {
            break;
          }
        }
      }
      file.commit();
      writer.commit();
    }
  }

  /**
   * Joins Megatron's shards in order and deletes them. Beside {@code NAME.bin} and {@code NAME.idx}
   * {@code NAME.documents.npy} has the id of each document, 64 bits: its source's index shifted by
   * 40, and its line.
   */
  void merge(Path out, boolean heldOut) {
    Path prefix = out.resolve(heldOut ? "held_out" : "train");
    List<Path> written = new ArrayList<>();
    for (int shard = 0; shard < (heldOut ? heldOutShards : shards); shard++) {
      Path path = path(heldOut, shard);
      if (Files.exists(IndexedDataset.idx(path))) { // of a small corpus some have no document
        written.add(path);
      }
    }
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(prefix, vocabSize);
        Arena arena = Arena.ofConfined()) {
      long documents = 0;
      for (Path path : written) {
        documents += Files.size(Path.of(path + IDS)) / 8;
      }
      Npy ids = Npy.allocate(arena, ElementType.I64, documents);
      long at = 0;
      for (Path path : written) {
        IndexedDataset shard = IndexedDataset.open(path);
        for (int d = 0; d < shard.sequences(); d++) {
          int[] tokens = shard.get(d);
          writer.add(tokens, 0, tokens.length);
        }
        MemorySegment bytes = MemorySegment.ofArray(Files.readAllBytes(Path.of(path + IDS)));
        MemorySegment.copy(bytes, 0, ids.data(), at, bytes.byteSize());
        at += bytes.byteSize();
        Files.delete(IndexedDataset.bin(path));
        Files.delete(IndexedDataset.idx(path));
        Files.delete(Path.of(path + IDS));
      }
      ids.write(Path.of(prefix + ".documents.npy"));
      writer.commit();
    } catch (IOException e) {
      throw StorageException.of(prefix, "cannot be written", e);
    }
  }
}
