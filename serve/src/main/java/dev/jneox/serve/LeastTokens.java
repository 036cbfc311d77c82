package dev.jneox.serve;

import dev.jneox.infer.TokenConstraint;
import java.util.BitSet;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Keeps an answer from ending before it has a number of tokens, beside the form that it may have.
 * Where that form leaves nothing but an end, the answer ends all the same.
 *
 * @param least tokens before which none of {@code ends} is drawn
 * @param ends ids that end the answer
 * @param ids number of ids in the vocabulary
 */
record LeastTokens(int least, Set<Integer> ends, int ids, Optional<TokenConstraint> form)
    implements TokenConstraint {
  @Override
  public Cursor begin() {
    Optional<Cursor> inner = form.map(TokenConstraint::begin);
    BitSet all = new BitSet(ids);
    all.set(0, ids);
    return new Cursor() {
      private int drawn;

      @Override
      public BitSet allowed() {
        return open(inner.map(Cursor::allowed).orElse(all));
      }

      private BitSet open(BitSet allowed) {
        if (drawn >= least) {
          return allowed;
        }
        BitSet open = (BitSet) allowed.clone();
        ends.forEach(open::clear);
        return open;
      }

      @Override
      public @Nullable BitSet acceptKnown(int id) {
        BitSet next = inner.isPresent() ? inner.get().acceptKnown(id) : all;
        if (next == null) {
          return null;
        }
        drawn++;
        return open(next);
      }

      @Override
      public void accept(int id) {
        drawn++;
        inner.ifPresent(cursor -> cursor.accept(id));
      }
    };
  }
}
