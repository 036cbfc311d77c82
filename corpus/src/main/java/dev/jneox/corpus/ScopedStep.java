package dev.jneox.corpus;

import dev.jneox.io.InputException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/**
 * Is a step with the sources whose documents it looks at; those of the others pass it by.
 *
 * @param step that is done
 * @param sources names of the sources that it looks at, in the order of the pipeline
 * @param others names of the other sources
 */
public record ScopedStep(Step step, List<String> sources, List<String> others)
    implements Serializable {
  /** Copies the lists. */
  public ScopedStep {
    sources = List.copyOf(sources);
    others = List.copyOf(others);
  }

  /**
   * Reads the options {@code only} and {@code except} that every step has.
   *
   * @param all names of the sources of the pipeline
   * @throws InputException where both are given, one names a source that there is not, or no source
   *     is left
   */
  static ScopedStep of(Step step, Settings options, List<String> all) {
    List<String> only = names("only", options, all);
    List<String> except = names("except", options, all);
    if (!only.isEmpty() && !except.isEmpty()) {
      throw options.wrong("except", "only or except, not both", except);
    }
    List<String> sources = new ArrayList<>(only.isEmpty() ? all : only);
    sources.removeAll(except);
    if (sources.isEmpty()) {
      throw options.wrong("except", "a source at least that is left", except);
    }
    return new ScopedStep(
        step,
        all.stream().filter(sources::contains).toList(),
        all.stream().filter(name -> !sources.contains(name)).toList());
  }

  private static List<String> names(String key, Settings options, List<String> all) {
    List<String> names = options.texts(key, List.of());
    for (String name : names) {
      if (!all.contains(name)) {
        throw options.wrong(key, "names of sources", name + Settings.meant(name, all));
      }
    }
    if (names.isEmpty() && options.value(key) != null) {
      throw options.wrong(key, "names of sources", names);
    }
    return names;
  }

  /** Returns what the step does, with its options and sources, in a few words. */
  String describe() {
    if (others.isEmpty()) {
      return step.describe();
    }
    return step.describe()
        + (others.size() < sources.size()
            ? "; not in " + String.join(", ", others)
            : "; only in " + String.join(", ", sources));
  }

  /** Returns whether it looks at the documents of a source. */
  boolean reads(String source) {
    return !others.contains(source);
  }
}
