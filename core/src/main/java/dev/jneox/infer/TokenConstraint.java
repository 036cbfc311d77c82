package dev.jneox.infer;

import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/**
 * Restricts the ids that may be drawn for a request, so that its text keeps a form: a regular
 * expression, a grammar, a choice. Safe for many threads; each sequence has a {@link Cursor} of its
 * own.
 */
@FunctionalInterface
public interface TokenConstraint {
  /** Begins a sequence, of which nothing is drawn yet. */
  Cursor begin();

  /**
   * Follows one sequence. Called by threads of the engine, one at a time, beside the steps of other
   * sequences; this one goes on when the next ids are known.
   */
  interface Cursor {
    /**
     * Returns the ids that may come next, those that end the text included where it may end here.
     * An empty set ends the sequence with {@link FinishReason#CONSTRAINT}, without another token.
     *
     * @return not to be changed, and valid until the next call
     */
    BitSet allowed();

    /** Takes the id that was drawn, one of those allowed. */
    void accept(int id);

    /**
     * Takes the id that was drawn and returns the ids that may come next, where both need no more
     * than a look-up. Saves the sequence a switch of threads. Called by the thread that all
     * sequences of an engine wait for: must not wait for another.
     *
     * @return as {@link #allowed}; null where it is not known, and nothing has changed
     */
    default @Nullable BitSet acceptKnown(int id) {
      return null;
    }
  }
}
