package dev.jneox.infer;

import java.util.BitSet;

/**
 * Restricts the ids that may be drawn for a request, so that its text keeps a form: a regular
 * expression, a grammar, a choice. Safe for many threads; each sequence has a {@link Cursor} of its
 * own.
 */
@FunctionalInterface
public interface TokenConstraint {
  /** Begins a sequence, of which nothing is drawn yet. */
  Cursor begin();

  /** Follows one sequence. Called by the engine's thread, which waits for it. */
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
  }
}
