package dev.jneox.corpus;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.jspecify.annotations.Nullable;

/**
 * Makes the written form of documents, as many copies as their source has epochs, each with its
 * place in the order: the hash of seed, id and copy. Of a fraction of an epoch, the documents whose
 * hash is below it have one copy more. Held-out documents have one copy. Reads {@code id, text,
 * meta, h1}; gives rows of {@link Rows#WRITTEN}.
 */
final class Mixing implements MapPartitionsFunction<Row, Row> {
  private static final ConcurrentHashMap<String, Tokenizer> TOKENIZERS = new ConcurrentHashMap<>();

  private final List<String> names;
  private final double[] weights;
  private final long seed;
  private final double[] heldOut;
  private final int shards;
  private final int heldOutShards;
  private final @Nullable String tokenizer;
  private final @Nullable String endOfDocument;

  /**
   * Divides documents between shards by their place in the order.
   *
   * @param shards of the training documents, 0 to {@code shards - 1}
   * @param heldOutShards of the held-out documents, which follow
   */
  Mixing(Pipeline pipeline, int shards, int heldOutShards) {
    Output output = pipeline.output();
    this.names = pipeline.sources().stream().map(Source::name).toList();
    this.weights = pipeline.sources().stream().mapToDouble(Source::weight).toArray();
    this.seed = output.seed();
    this.heldOut = pipeline.sources().stream().mapToDouble(Source::heldOut).toArray();
    this.shards = shards;
    this.heldOutShards = heldOutShards;
    Path path = output.tokenizer();
    this.tokenizer = path == null ? null : path.toString();
    this.endOfDocument = output.endOfDocument();
  }

  /** Returns the tokenizer of a file, loaded once a process. */
  static Tokenizer tokenizer(String path) {
    return TOKENIZERS.computeIfAbsent(path, name -> Tokenizer.load(Path.of(name)));
  }

  /** Returns the id of the token that ends a document. */
  static int end(Pipeline pipeline, Tokenizer tokenizer, String token) {
    return tokenizer
        .id(token)
        .orElseThrow(
            () ->
                InputException.in(
                    pipeline.file(),
                    "output.end_of_document",
                    "a token of the tokenizer, or '' for none",
                    token));
  }

  static boolean isHeldOut(long hash, double share) {
    return (hash >>> 11) * 0x1p-53 < share;
  }

  @Override
  public Iterator<Row> call(Iterator<Row> documents) {
    String path = tokenizer;
    if (path == null) {
      return new FlatIterator<>(documents, row -> copies(row, line(row)));
    }
    Tokenizer loaded = tokenizer(path);
    int end = endOfDocument == null ? -1 : loaded.id(endOfDocument).orElseThrow();
    return new FlatIterator<>(documents, row -> copies(row, ids(loaded, row.getString(1), end)));
  }

  private List<Row> copies(Row row, byte[] content) {
    long id = row.getLong(0);
    int source = (int) (id >>> Rows.LINE_BITS);
    List<Row> copies = new ArrayList<>(2);
    if (isHeldOut(row.getLong(3), heldOut[source])) {
      long key = Rows.mix(Rows.mix(seed) + id);
      copies.add(
          row(shards + (int) Math.unsignedMultiplyHigh(key, heldOutShards), key, id, 0, content));
      return copies;
    }
    double weight = weights[source];
    double share = (Rows.mix(Rows.mix(seed + 1) + id) >>> 11) * 0x1p-53;
    for (int copy = 0; copy + share < weight; copy++) {
      long key = Rows.mix(Rows.mix(Rows.mix(seed) + id) + copy);
      copies.add(row((int) Math.unsignedMultiplyHigh(key, shards), key, id, copy, content));
    }
    return copies;
  }

  private static Row row(int shard, long key, long id, int copy, byte[] content) {
    return RowFactory.create(shard, key ^ Long.MIN_VALUE, id, copy, content);
  }

  private static byte[] ids(Tokenizer tokenizer, String text, int end) {
    int[] ids = tokenizer.encode(text);
    ByteBuffer bytes =
        ByteBuffer.allocate(4 * (ids.length + (end < 0 ? 0 : 1))).order(ByteOrder.LITTLE_ENDIAN);
    for (int id : ids) {
      bytes.putInt(id);
    }
    if (end >= 0) {
      bytes.putInt(end);
    }
    return bytes.array();
  }

  /**
   * Returns a line of JSON: the meta of the source with the source's name and the document's id.
   */
  private byte[] line(Row row) {
    long id = row.getLong(0);
    String meta = row.getString(2);
    ByteArrayOutputStream out = new ByteArrayOutputStream(row.getString(1).length() + 200);
    try (JsonGenerator json = JsonObject.LINES.createGenerator(out)) {
      json.writeStartObject();
      json.writeStringField("text", row.getString(1));
      json.writeObjectFieldStart("meta");
      json.writeStringField("pile_set_name", names.get((int) (id >>> Rows.LINE_BITS)));
      json.writeNumberField("document", id);
      if (!meta.isEmpty()) {
        json.writeRaw("," + meta.substring(1, meta.length() - 1));
      }
      json.writeEndObject();
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    out.write('\n');
    return out.toByteArray();
  }
}
