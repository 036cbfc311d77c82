package dev.jneox.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HoldOutTest {
  @TempDir private Path folder;

  private Path write(int[]... documents) {
    Path prefix = folder.resolve("all");
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(prefix, 8)) {
      for (int[] ids : documents) {
        writer.add(ids, 0, ids.length);
      }
      writer.commit();
    }
    return prefix;
  }

  @Test
  void theLastOfSoManyDocumentsIsHeldOut() {
    Path all = write(new int[] {1}, new int[] {2, 2}, new int[] {3}, new int[] {4}, new int[] {5});
    HoldOut split = HoldOut.of(all, 2, 8).orElseThrow();
    IndexedDataset training = IndexedDataset.open(split.training());
    assertThat(training.sequences()).isEqualTo(3);
    assertThat(training.get(2)).containsExactly(5);
    IndexedDataset validation = IndexedDataset.open(split.validation());
    assertThat(validation.sequences()).isEqualTo(2);
    assertThat(validation.get(0)).containsExactly(2, 2);
    assertThat(HoldOut.of(all, 6, 8)).isEmpty();
  }

  @Test
  void sizesAreThoseOfTheSequences() {
    IndexedDataset data = IndexedDataset.open(write(new int[] {1}, new int[] {2, 2, 2, 2}));
    assertThat(data.sizes()).isEqualTo(new IndexedDataset.Sizes(1, 2.5, 4));
  }

  @Test
  void aUnigramModelHasTheLossOfItsFrequencies() {
    Path all = write(new int[] {1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2});
    IndexedDataset data = IndexedDataset.open(all);
    try (Arena arena = Arena.ofShared()) {
      SampleIndex index =
          SampleIndex.build(data, SampleIndex.Spec.all(data, 2, 3, 1), arena, Progress.silent());
      GptDataset samples = new GptDataset(data, index, 3);
      long n = samples.length();
      assertThat(n).isPositive();
      double[] counts = {1, 1, 1, 1};
      double total = 4;
      for (int i = 0; i < n; i++) {
        int[] ids = samples.sample(i);
        for (int t = 1; t < 4; t++) {
          counts[ids[t]]++;
          total++;
        }
      }
      double sum = 0;
      int[] first = samples.sample(0);
      for (int t = 1; t < 4; t++) {
        sum -= Math.log(counts[first[t]] / total);
      }
      UnigramCounts unigram = new UnigramCounts(4).add(samples, 1000);
      assertThat(unigram.loss(samples, 1)).isCloseTo(sum / 3, within(1e-12));
      assertThat(unigram.loss(samples, 0)).isNaN();
    }
  }

  @Tag("slow")
  @Test
  void aVocabularyIsLearnedFromDocuments() throws IOException {
    Path text = Files.writeString(folder.resolve("a.txt"), "int max int max int");
    LearnedVocabulary learned = learn(text);
    assertThat(learned.bpe().merges()).isNotEmpty();
    assertThat(learned.bpe().documents()).isEqualTo(1);
    assertThat(learned.skipped().bad()).isZero();
    Path once = Files.writeString(folder.resolve("b.txt"), "abc");
    assertThatThrownBy(() -> learn(once))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("pairs of letters that occur twice");
    Path empty = Files.writeString(folder.resolve("c.txt"), "");
    assertThatThrownBy(() -> learn(empty)).isInstanceOf(InputException.class);
  }

  private static LearnedVocabulary learn(Path input) {
    return LearnedVocabulary.of(
        List.of(input), 262, false, bytes -> Progress.silent(), merges -> Progress.silent());
  }
}
