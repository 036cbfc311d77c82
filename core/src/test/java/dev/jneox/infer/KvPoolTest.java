package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.model.ModelSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

/** The pool and its sequences against lists of ids that are compared one by one. */
class KvPoolTest {
  private static final int POSITIONS = KvFormat.POSITIONS;
  private static final KvFormat FORMAT =
      KvFormat.of(ModelSpec.neox(8, 16, 1, 2, 512), KvPrecision.F32);
  private static final PrefixKey[] KEYS = {PrefixKey.NONE, new PrefixKey("adapter")};

  /** A sequence and what it was given. */
  private record Held(KvSequence sequence, PrefixKey key, int[] ids) {}

  /** Few different blocks, so that many sequences begin alike. */
  private static int[] ids(Random random) {
    int[] ids = new int[random.nextInt(5 * POSITIONS)];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = i % POSITIONS == 0 ? random.nextInt(2) : 1;
    }
    return ids;
  }

  /** Marks a page with what it holds, as keys and values would. */
  private static float mark(PrefixKey key, int[] ids, int page) {
    int hash = Arrays.hashCode(Arrays.copyOf(ids, (page + 1) * POSITIONS)) % 100_000;
    return key == PrefixKey.NONE ? hash : hash + 0.5f;
  }

  @Property(tries = 300)
  void aSequenceReadsThePagesOfItsOwnIdsAndNoneIsLost(@ForAll long seed) {
    Random random = new Random(seed);
    KvPool pool = new KvPool(FORMAT, 12);
    List<Held> live = new ArrayList<>();
    for (int turn = 0; turn < 60; turn++) {
      if (!live.isEmpty() && random.nextBoolean()) {
        live.remove(random.nextInt(live.size())).sequence.release();
      }
      PrefixKey key = KEYS[random.nextInt(2)];
      int[] ids = ids(random);
      KvSequence sequence = new KvSequence(pool, key);
      int most = random.nextInt(ids.length + 1);
      sequence.begin(ids, most);
      assertThat(sequence.length()).isLessThanOrEqualTo(most);
      for (Held other : live) {
        // What a living sequence has published is found.
        int common = other.key == key ? commonPages(other.ids, ids, most) : 0;
        assertThat(sequence.pageCount()).isGreaterThanOrEqualTo(common);
      }
      if (KvSequence.pages(ids.length) - sequence.pageCount() > pool.available()) {
        sequence.release();
        continue;
      }
      int shared = sequence.pageCount();
      sequence.reserve(ids.length);
      sequence.append(ids, sequence.length(), ids.length - sequence.length());
      for (int p = shared; p < ids.length / POSITIONS; p++) {
        sequence.page(p * POSITIONS).floats[0] = mark(key, ids, p);
      }
      sequence.publish();
      live.add(new Held(sequence, key, ids));
      Set<KvPage> inUse = new HashSet<>();
      for (Held held : live) {
        for (int p = 0; p < KvSequence.pages(held.ids.length); p++) {
          KvPage page = held.sequence.page(p * POSITIONS);
          inUse.add(page);
          if (p < held.ids.length / POSITIONS) {
            assertThat(page.floats[0]).isEqualTo(mark(held.key, held.ids, p));
          }
        }
      }
      assertThat(pool.available()).isEqualTo(12 - inUse.size());
      assertThat(pool.used()).isBetween(inUse.size(), 12);
    }
    live.forEach(held -> held.sequence.release());
    assertThat(pool.available()).isEqualTo(12);
    KvSequence all = new KvSequence(pool);
    all.reserve(12 * POSITIONS); // every page can be had again
    assertThatThrownBy(() -> all.reserve(12 * POSITIONS + 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("all 12 pages are in use");
  }

  private static int commonPages(int[] a, int[] b, int most) {
    int mismatch = Arrays.mismatch(a, b);
    int common = mismatch < 0 ? a.length : mismatch;
    return Math.min(common, most) / POSITIONS;
  }

  @Test
  void thePagesReadLeastRecentlyGoFirstAndTheEndOfASequenceBeforeItsBeginning() {
    KvPool pool = new KvPool(FORMAT, 4);
    int[] older = new int[2 * POSITIONS];
    int[] newer = new int[2 * POSITIONS];
    Arrays.fill(newer, 3);
    fill(pool, older).release();
    fill(pool, newer).release();
    read(pool, older, 2); // and so becomes the newer one
    KvSequence other = new KvSequence(pool);
    other.reserve(1);
    read(pool, newer, 1); // its second page went first, its first is now the newest
    other.reserve(POSITIONS + 1);
    read(pool, older, 1);
    other.reserve(2 * POSITIONS + 1);
    read(pool, newer, 0);
    read(pool, older, 1);
  }

  @Test
  void aPageMadeBeforehandIsGivenOnceAndNoneIsWantedBeyondTheLimit() {
    KvPool pool = new KvPool(FORMAT, 2);
    assertThat(pool.wantsSpare()).isTrue();
    pool.makeSpare();
    assertThat(pool.wantsSpare()).isFalse();
    assertThat(pool.used()).isZero();
    KvPage first = pool.take();
    assertThat(pool.wantsSpare()).isTrue();
    pool.makeSpare();
    KvPage second = pool.take();
    assertThat(second).isNotSameAs(first);
    assertThat(pool.wantsSpare()).isFalse();
    assertThat(pool.available()).isZero();
    pool.release(second);
    assertThat(pool.take()).isSameAs(second);
  }

  private static KvSequence fill(KvPool pool, int[] ids) {
    KvSequence sequence = new KvSequence(pool);
    sequence.reserve(ids.length);
    sequence.append(ids, 0, ids.length);
    sequence.publish();
    return sequence;
  }

  private static void read(KvPool pool, int[] ids, int pages) {
    KvSequence sequence = new KvSequence(pool);
    sequence.begin(ids, ids.length);
    assertThat(sequence.pageCount()).isEqualTo(pages);
    sequence.release();
  }

  @Test
  void twoThatFillTheSamePageKeepOneOfThem() {
    KvPool pool = new KvPool(FORMAT, 8);
    int[] ids = new int[2 * POSITIONS + 5];
    KvSequence first = new KvSequence(pool);
    KvSequence second = new KvSequence(pool);
    for (KvSequence sequence : List.of(first, second)) {
      sequence.reserve(ids.length);
      sequence.append(ids, 0, ids.length);
    }
    assertThat(pool.used()).isEqualTo(6);
    first.publish();
    second.publish();
    assertThat(pool.used()).isEqualTo(4);
    assertThat(second.page(POSITIONS)).isSameAs(first.page(POSITIONS));
    assertThat(second.page(2 * POSITIONS)).isNotSameAs(first.page(2 * POSITIONS));
  }
}
