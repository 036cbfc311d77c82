package dev.jneox.corpus;

import static org.apache.spark.sql.types.DataTypes.BinaryType;
import static org.apache.spark.sql.types.DataTypes.IntegerType;
import static org.apache.spark.sql.types.DataTypes.LongType;
import static org.apache.spark.sql.types.DataTypes.StringType;

import dev.jneox.data.CorpusComponents;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.StructType;
import org.jspecify.annotations.Nullable;

/** Defines the tables between the stages of a build. */
final class Rows {
  /** The bits of an id below the index of the source. */
  static final int LINE_BITS = CorpusComponents.LINE_BITS;

  /** The rule of a row that counts the records of a part: in its column {@code line}. */
  static final String COUNT = "";

  /** The rule of a record that is no document. Its text says why. */
  static final String MALFORMED = "malformed";

  /** Divides a rule into the name of the step and the step's own rule. */
  static final String IN = ": ";

  /** Characters of a removed document that are kept for the report. */
  static final int EXCERPT = 300;

  /**
   * What reading gives: {@code rule} is null where the document stays. {@code h1} and {@code h2}
   * are the first 16 bytes of the SHA-256 of the text; {@code counts} is what steps have counted.
   */
  static final StructType READ =
      new StructType()
          .add("part", IntegerType)
          .add("line", LongType)
          .add("rule", StringType)
          .add("text", StringType)
          .add("bytes", LongType)
          .add("meta", StringType)
          .add("language", StringType)
          .add("h1", LongType)
          .add("h2", LongType)
          .add("counts", StringType);

  /** The same with the id of the document instead of its place. */
  static final StructType DOCUMENTS =
      new StructType()
          .add("id", LongType)
          .add("rule", StringType)
          .add("text", StringType)
          .add("bytes", LongType)
          .add("meta", StringType)
          .add("language", StringType)
          .add("h1", LongType)
          .add("h2", LongType)
          .add("counts", StringType);

  /** How many records the parts before one have, in its source. */
  static final StructType BASES = new StructType().add("part", IntegerType).add("base", LongType);

  /** A document in a band: the 128-bit hash of the band's numbers. */
  static final StructType BANDS =
      new StructType().add("k1", LongType).add("k2", LongType).add("id", LongType);

  /** The id of documents of earlier builds, in pairs: it is smaller than all others. */
  static final long EARLIER = -1;

  /** The first of a pair that counts documents over the cap. */
  static final long CAPPED = Long.MIN_VALUE;

  /** Two documents that share a band; where {@code u} is CAPPED, {@code v} are over the cap. */
  static final StructType PAIRS = new StructType().add("u", LongType).add("v", LongType);

  /** A span of text in a document: the 128-bit hash of it, and where it begins. */
  static final StructType SPAN_KEYS = BANDS.add("at", IntegerType);

  /**
   * A span that has come before; where {@code n} is not 0 the first one of {@code n} equal ones.
   */
  static final StructType SPANS =
      new StructType().add("id", LongType).add("at", IntegerType).add("n", LongType);

  /** A document with the bytes that were cut out of it. */
  static final StructType CUT = DOCUMENTS.add("cut", LongType);

  /** A document as it is written. */
  static final StructType WRITTEN =
      new StructType()
          .add("shard", IntegerType)
          .add("key", LongType)
          .add("id", LongType)
          .add("copy", IntegerType)
          .add("content", BinaryType);

  /** What a shard has of a source. */
  static final StructType SHARDS =
      new StructType()
          .add("shard", IntegerType)
          .add("source", IntegerType)
          .add("documents", LongType)
          .add("tokens", LongType)
          .add("bytes", LongType);

  private Rows() {}

  /** Makes the last columns of a cleaned document, behind {@code place} and the rule. */
  static Row cleaned(List<?> place, Page page, @Nullable String rule) {
    byte[] bytes = page.text().getBytes(StandardCharsets.UTF_8);
    Object[] values = new Object[place.size() + 8];
    for (int i = 0; i < place.size(); i++) {
      values[i] = place.get(i);
    }
    int at = place.size();
    values[at] = rule;
    values[at + 1] = rule == null ? page.text() : excerpt(page.text());
    values[at + 2] = (long) bytes.length;
    values[at + 3] = rule == null ? page.meta() : "";
    values[at + 4] = page.language();
    ByteBuffer hash = ByteBuffer.wrap(rule == null ? sha256(bytes) : new byte[16]);
    values[at + 5] = hash.getLong();
    values[at + 6] = hash.getLong();
    values[at + 7] = rule == null ? page.counts() : "";
    return RowFactory.create(values);
  }

  static byte[] sha256(byte[] bytes) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(bytes);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }

  static String excerpt(String text) {
    if (text.length() <= EXCERPT) {
      return text;
    }
    int end = Character.isHighSurrogate(text.charAt(EXCERPT - 1)) ? EXCERPT - 1 : EXCERPT;
    return text.substring(0, end);
  }

  /** Returns 64 well mixed bits of a number (the finaliser of SplitMix64). */
  static long mix(long number) {
    long z = number + 0x9E3779B97F4A7C15L;
    z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return z ^ z >>> 31;
  }
}
