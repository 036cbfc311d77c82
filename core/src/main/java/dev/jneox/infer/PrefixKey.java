package dev.jneox.infer;

import java.util.Objects;

/**
 * Names everything beside the ids that changes keys and values: adapter, edits, rotary scaling,
 * type. Two requests share the pages of a common prefix only if their keys are equal. The engine
 * compares the value and gives it no meaning.
 */
public record PrefixKey(String value) {
  /** For the model as it is. */
  public static final PrefixKey NONE = new PrefixKey("");

  /** Refuses null. */
  public PrefixKey {
    Objects.requireNonNull(value);
  }
}
