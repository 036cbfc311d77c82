package dev.jneox.corpus;

import java.io.Serializable;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Names one component of a corpus.
 *
 * @param name how reports and the documents' {@code meta.pile_set_name} call it
 * @param paths files, folders (all readable files in them, deep) and globs, absolute
 * @param weight epochs: how often each of its documents is written; of a fraction, that share of
 *     the documents once more
 * @param heldOut share of its documents that are held out of training, 0 to 0.5
 * @param forced the format of all files; null where the ending of each name says it
 * @param textField the key of the text in JSON lines, or its column in Parquet
 * @param licences of the text as the pipeline states them, SPDX expressions, each with the packages
 *     of which it is
 */
public record Source(
    String name,
    List<String> paths,
    double weight,
    double heldOut,
    @Nullable Format forced,
    String textField,
    SortedMap<String, List<String>> licences)
    implements Serializable {
  /** The key of the text where a pipeline names none. */
  static final String TEXT = "text";

  /** Copies the paths. */
  public Source {
    paths = List.copyOf(paths);
    licences = Collections.unmodifiableSortedMap(new TreeMap<>(licences));
  }

  /** Returns the format of all files, where the pipeline says it. */
  public Optional<Format> format() {
    return Optional.ofNullable(forced);
  }
}
