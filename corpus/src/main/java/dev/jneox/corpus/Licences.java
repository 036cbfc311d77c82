package dev.jneox.corpus;

import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.get_json_object;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.when;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.spark.sql.Column;

/**
 * Counts documents by licence: what {@code meta.licence} of a document says where the pipeline
 * states this licence, else the licence of its source where that is one. Other values of {@code
 * meta.licence} are not counted apart, so that the table does not grow with the corpus.
 */
final class Licences {
  private final List<SortedMap<String, List<String>>> stated = new ArrayList<>();
  private final List<TreeMap<String, long[]>> counts = new ArrayList<>();

  Licences(Pipeline pipeline) {
    PackageLock lock = PackageLock.beside(pipeline.file());
    for (Source source : pipeline.sources()) {
      TreeMap<String, List<String>> versioned = new TreeMap<>();
      source
          .licences()
          .forEach(
              (licence, packages) ->
                  versioned.put(
                      licence, packages.stream().map(name -> versioned(lock, name)).toList()));
      stated.add(versioned);
      counts.add(new TreeMap<>());
    }
  }

  private static String versioned(PackageLock lock, String text) {
    return PackageName.of(text)
        .filter(name -> name.version().isEmpty())
        .flatMap(lock::entry)
        .map(entry -> text + " " + entry.version())
        .orElse(text);
  }

  /** Returns the licence of a row with the column {@code meta}; an empty string for none. */
  Column column() {
    Object[] all =
        stated.stream().map(Map::keySet).flatMap(java.util.Set::stream).distinct().toArray();
    if (all.length == 0) {
      return lit("");
    }
    Column licence = coalesce(get_json_object(col("meta"), "$.licence"), lit(""));
    return when(licence.isin(all), licence).otherwise(lit(""));
  }

  /** Counts documents of a source whose column says {@code licence}. */
  void add(int source, String licence, long documents, long bytes) {
    SortedMap<String, List<String>> own = stated.get(source);
    String of = own.containsKey(licence) ? licence : own.size() == 1 ? own.firstKey() : "";
    long[] sums = counts.get(source).computeIfAbsent(of, key -> new long[2]);
    sums[0] += documents;
    sums[1] += bytes;
  }

  /** Returns the licences of a source; none where the pipeline states none. */
  List<Facts.Licence> of(int source) {
    if (stated.get(source).isEmpty()) {
      return List.of();
    }
    return counts.get(source).entrySet().stream()
        .map(
            entry ->
                new Facts.Licence(
                    entry.getKey(),
                    stated.get(source).getOrDefault(entry.getKey(), List.of()),
                    entry.getValue()[0],
                    entry.getValue()[1]))
        .toList();
  }
}
