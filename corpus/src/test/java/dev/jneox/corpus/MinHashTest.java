package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class MinHashTest {
  /**
   * The numbers are those of NumPy: {@code g = RandomState(1)}, {@code g.randint(1, p,
   * dtype=uint64)} and {@code g.randint(0, p, dtype=uint64)} 112 times in turn, {@code p = 2**61 -
   * 1}, and {@code min((h * a + b) % p)} of uint64 over the four hashes.
   */
  @Test
  void signaturesAreThoseOfNumPyAndDatatrove() {
    MinHash minHash = new MinHash(112, 1);
    long[] one = minHash.signature(new long[] {0}, 1);
    assertThat(one).startsWith(1758426461858698312L, 965365488286768773L, 1703346441743126657L);
    assertThat(one[111]).isEqualTo(1097409548522419201L);
    long[] hashes = {0, 1, Long.MIN_VALUE + 12345, -1};
    long[] signature = minHash.signature(hashes, 4);
    assertThat(signature).startsWith(227752507563283765L, 963255529217743611L, 808572647313843835L);
    assertThat(signature[111]).isEqualTo(986787297595777509L);
    long all = 0;
    for (long number : signature) {
      all ^= number;
    }
    assertThat(all).isEqualTo(0x1ff6d283e109c8faL);
  }

  /** Against the plain formula, with the division that the fast one has not. */
  @Test
  void theReductionIsTheRemainder() {
    long prime = (1L << 61) - 1;
    MinHash minHash = new MinHash(8, 1);
    long[] b = minHash.signature(new long[] {0}, 1);
    Random random = new Random(5);
    for (int i = 0; i < 20_000; i++) {
      long hash = random.nextLong();
      long[] signature = minHash.signature(new long[] {hash}, 1);
      for (int k = 0; k < 8; k++) {
        assertThat(signature[k]).isBetween(0L, prime - 1);
        assertThat(signature[k]).isEqualTo(Long.remainderUnsigned(hash * A[k] + b[k], prime));
      }
    }
  }

  /** The first coefficients {@code a} as NumPy draws them. */
  private static final long[] A = {
    775169054918279404L,
    2109959069025162L,
    401325382989534145L,
    1130051441076870728L,
    401538927472639258L,
    815244983797985638L,
    1465635305079316733L,
    505211975917066639L
  };

  /** Sets of a known similarity share a band as often as the formula says. */
  @Test
  void bandsFollowTheCurve() {
    assertThat(share(0.5)).isCloseTo(0.0537, within(0.02));
    assertThat(share(0.7)).isCloseTo(0.565, within(0.045));
    assertThat(share(0.8)).isCloseTo(0.924, within(0.025));
  }

  /**
   * Returns the share of 2000 pairs of sets of this similarity that share a band; 3 sigma below.
   */
  private static double share(double similarity) {
    MinHashDedup shape = (MinHashDedup) MinHashDedup.of(new Settings(Path.of("p.yml"), "", null));
    MinHash minHash = new MinHash(112, 1);
    Random random = new Random(11);
    int common = 200;
    int own = (int) Math.round(common * (1 - similarity) / similarity / 2);
    int found = 0;
    for (int pair = 0; pair < 2000; pair++) {
      long[] a = new long[common + own];
      long[] b = new long[common + own];
      for (int i = 0; i < common + own; i++) {
        a[i] = random.nextLong();
        b[i] = i < common ? a[i] : random.nextLong();
      }
      found += shareBand(minHash.signature(a, a.length), minHash.signature(b, b.length)) ? 1 : 0;
    }
    double exact = (double) common / (common + 2 * own);
    assertThat(shape.probability(similarity)).isCloseTo(shape.probability(exact), within(0.02));
    return found / 2000.0;
  }

  private static boolean shareBand(long[] a, long[] b) {
    for (int band = 0; band < 14; band++) {
      long[] left = Signatures.key(band, a, 8);
      long[] right = Signatures.key(band, b, 8);
      if (left[0] == right[0] && left[1] == right[1]) {
        return true;
      }
    }
    return false;
  }

  @Test
  void shinglesAreNormalisedNgrams() {
    assertThat(ngrams("Élan, the 3.14 (THREE)  dogs' Größe!", 3))
        .containsExactlyInAnyOrder(
            "elan the 0", "the 0 0", "0 0 three", "0 three dogs", "three dogs große");
    assertThat(ngrams("one two", 3)).isEmpty();
    assertThat(ngrams("漢字a1です", 2)).containsExactlyInAnyOrder("漢 字", "字 a0", "a0 て", "て す");
  }

  private static Set<String> ngrams(String text, int n) {
    Shingles shingles = new Shingles(n);
    int count = shingles.read(text);
    Set<String> ngrams = new HashSet<>();
    for (int i = 0; i < count; i++) {
      ngrams.add(shingles.ngram(i));
    }
    return ngrams;
  }
}
