package dev.jneox.corpus;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.collect_list;
import static org.apache.spark.sql.functions.sort_array;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;

/** Finds spans that a corpus has several times, by a shuffle of their keys: text is not sent. */
final class RepeatedSpans {
  /** The rule of a document of which nothing but white space is left. */
  private static final String NOTHING = "nothing else is left";

  private RepeatedSpans() {}

  /**
   * Finds what a step cuts out.
   *
   * @param documents the columns {@code id} and {@code text}
   * @param keep stores candidates: what follows does not compute them again
   * @return rows of {@link Rows#SPANS}
   */
  static Dataset<Row> of(
      Dataset<Row> documents,
      SpanDedup step,
      int partitions,
      Function<Dataset<Row>, Dataset<Row>> keep) {
    Dataset<Row> found = repeats(keys(documents, step::keys), partitions);
    if (!(step instanceof SubstringDedup runs)) {
      return found;
    }
    Dataset<Row> grams = places(keep.apply(found));
    return repeats(
        documents
            .join(grams, "id")
            .mapPartitions(
                function(
                    row ->
                        rows(
                            row.getLong(0), runs.runs(row.getString(1), integers(row.getList(2))))),
                Encoders.row(Rows.SPAN_KEYS)),
        partitions);
  }

  /** Returns the columns {@code id} and {@code places}, ascending, of spans of any kind. */
  static Dataset<Row> places(Dataset<Row> spans) {
    return spans.groupBy("id").agg(sort_array(collect_list("at")).as("places"));
  }

  private static Dataset<Row> keys(
      Dataset<Row> documents, SerializableFunction<String, List<SpanDedup.Key>> keys) {
    return documents.mapPartitions(
        function(row -> rows(row.getLong(0), keys.apply(row.getString(1)))),
        Encoders.row(Rows.SPAN_KEYS));
  }

  private static List<Row> rows(long id, List<SpanDedup.Key> keys) {
    return keys.stream().map(key -> RowFactory.create(key.k1(), key.k2(), id, key.at())).toList();
  }

  private static Dataset<Row> repeats(Dataset<Row> keys, int partitions) {
    MapPartitionsFunction<Row, Row> groups =
        rows -> {
          Group group = new Group();
          return new FlatIterator<>(rows, group::row, group::end);
        };
    return keys.repartition(partitions, col("k1"))
        .sortWithinPartitions("k1", "k2", "id", "at")
        .mapPartitions(groups, Encoders.row(Rows.SPANS));
  }

  private interface SerializableFunction<T, R> extends Function<T, R>, java.io.Serializable {}

  private static MapPartitionsFunction<Row, Row> function(
      SerializableFunction<Row, List<Row>> function) {
    return rows -> new FlatIterator<>(rows, function);
  }

  private static int[] integers(List<Integer> list) {
    return list.stream().mapToInt(Integer::intValue).toArray();
  }

  /** Is the group of equal keys that is being read, in the order of ids and places. */
  private static final class Group {
    private long k1;
    private long k2;
    private long id;
    private int at;
    private long size;

    List<Row> row(Row row) {
      if (size > 0 && row.getLong(0) == k1 && row.getLong(1) == k2) {
        size++;
        return List.of(RowFactory.create(row.getLong(2), row.getInt(3), 0L));
      }
      List<Row> first = end();
      k1 = row.getLong(0);
      k2 = row.getLong(1);
      id = row.getLong(2);
      at = row.getInt(3);
      size = 1;
      return first;
    }

    List<Row> end() {
      return size > 1 ? List.of(RowFactory.create(id, at, size)) : List.of();
    }
  }

  /**
   * Cuts spans out of documents: rows of {@link Rows#DOCUMENTS} without a rule and with {@code
   * places}, null for none, to rows of {@link Rows#CUT}.
   */
  record Cutting(SpanDedup step) implements MapPartitionsFunction<Row, Row> {
    @Override
    public java.util.Iterator<Row> call(java.util.Iterator<Row> documents) {
      return new FlatIterator<>(documents, row -> List.of(cut(row)));
    }

    private Row cut(Row row) {
      if (row.isNullAt(8)) {
        return RowFactory.create(
            row.getLong(0),
            null,
            row.getString(1),
            row.getLong(2),
            row.getString(3),
            row.getString(4),
            row.getLong(5),
            row.getLong(6),
            row.getString(7),
            0L);
      }
      SpanDedup.Cut cut = step.cut(row.getString(1), integers(row.getList(8)));
      String rule =
          cut.text().isBlank() ? NOTHING : cut.share() > step.maxShare() ? "repeated text" : null;
      Page page = new Page(rule == null ? cut.text() : row.getString(1), row.getString(3));
      page.language(row.getString(4));
      page.counts(row.getString(7));
      Row cleaned =
          Rows.cleaned(
              List.of(row.getLong(0)), page, rule == null ? null : step.name() + Rows.IN + rule);
      List<Object> values = new ArrayList<>();
      for (int i = 0; i < cleaned.size(); i++) {
        values.add(cleaned.get(i));
      }
      values.add(rule == null ? row.getLong(2) - cleaned.getLong(3) : 0L);
      return RowFactory.create(values.toArray());
    }
  }

  /**
   * Is a run of spans that follow each other and are repeated as often.
   *
   * @param id of the document that has them first
   * @param at place of the first one
   * @param spans that follow each other
   * @param times that the corpus has each
   */
  record Run(long id, int at, int spans, long times) {
    /** Joins spans, sorted by their number, document and place. */
    static List<Run> of(List<Row> rows, int most) {
      List<Run> runs = new ArrayList<>();
      for (Row row : rows) {
        Run last = runs.isEmpty() ? null : runs.getLast();
        if (last != null
            && last.id == row.getLong(0)
            && last.times == row.getLong(2)
            && last.at + last.spans == row.getInt(1)) {
          runs.set(runs.size() - 1, new Run(last.id, last.at, last.spans + 1, last.times));
        } else if (runs.size() == most) {
          break;
        } else {
          runs.add(new Run(row.getLong(0), row.getInt(1), 1, row.getLong(2)));
        }
      }
      return runs;
    }
  }
}
