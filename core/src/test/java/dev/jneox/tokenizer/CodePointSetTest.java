package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.Random;
import org.junit.jupiter.api.Test;

class CodePointSetTest {
  private static final int ALL = Character.MAX_CODE_POINT + 1;

  private static CodePointSet set(BitSet members) {
    CodePointSet set = CodePointSet.NONE;
    for (int first = members.nextSetBit(0); first >= 0; ) {
      int end = members.nextClearBit(first);
      set = set.union(CodePointSet.range(first, end - 1));
      first = members.nextSetBit(end);
    }
    return set;
  }

  private static BitSet random(Random random) {
    BitSet members = new BitSet();
    for (int i = random.nextInt(20); i > 0; i--) {
      int first = random.nextInt(random.nextBoolean() ? 40 : ALL);
      members.set(first, Math.min(ALL, first + 1 + random.nextInt(9)));
    }
    return members;
  }

  @Test
  void setsAreJoinedAsTheirMembersAre() {
    for (int seed = 0; seed < 500; seed++) {
      Random random = new Random(seed);
      BitSet one = random(random);
      BitSet other = random(random);
      BitSet both = (BitSet) one.clone();
      both.and(other);
      BitSet either = (BitSet) one.clone();
      either.or(other);
      BitSet none = (BitSet) one.clone();
      none.flip(0, ALL);
      assertThat(set(one).intersection(set(other)).ranges()).isEqualTo(set(both).ranges());
      assertThat(set(one).union(set(other)).ranges()).isEqualTo(set(either).ranges());
      assertThat(set(one).complement().ranges()).isEqualTo(set(none).ranges());
    }
  }
}
