package dev.jneox.corpus;

import java.io.Serializable;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Names one component of a corpus.
 *
 * @param name how reports and the documents' {@code meta.pile_set_name} call it
 * @param paths files, folders (all readable files in them, deep) and globs, absolute
 * @param weight epochs: how often each of its documents is written; of a fraction, that share of
 *     the documents once more
 * @param forced the format of all files; null where the ending of each name says it
 */
public record Source(String name, List<String> paths, double weight, @Nullable Format forced)
    implements Serializable {
  /** Copies the paths. */
  public Source {
    paths = List.copyOf(paths);
  }

  /** Returns the format of all files, where the pipeline says it. */
  public Optional<Format> format() {
    return Optional.ofNullable(forced);
  }
}
