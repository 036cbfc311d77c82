package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.data.BatchOrder;
import dev.jneox.data.ElementType;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.IndexedDatasetWriter;
import dev.jneox.data.Npy;
import dev.jneox.data.Span;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainingDataTest {
  @TempDir private Path dir;

  private Path data(String name, int documents) {
    Path prefix = dir.resolve(name);
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(prefix, 61)) {
      for (int d = 0; d < documents; d++) {
        int[] ids = new int[16];
        ids[0] = d % 61;
        ids[9] = 2 * d % 61;
        writer.add(ids, 0, ids.length);
      }
      writer.commit();
    }
    return prefix;
  }

  private TrainingData open(String... sets) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "seq_length=8",
                "train_micro_batch_size_per_gpu=4",
                "eval_iters=1",
                "eval_interval=100"));
    all.addAll(List.of(sets));
    return TrainingData.open(NeoxConfigTest.config(all.toArray(String[]::new)), Progress.silent());
  }

  private void refused(String message, String... sets) {
    assertThatThrownBy(() -> open(sets).close())
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
  }

  @Test
  void aSplitWithCopiesOnBothSidesGetsAWarning() {
    Path prefix = data("corpus", 50);
    assertThat(warning(prefix)).isEmpty();
    ids(prefix, 50); // no document twice
    assertThat(warning(prefix)).isEmpty();
    ids(prefix, 25); // two copies of each
    assertThat(warning(prefix))
        .hasValueSatisfying(
            line -> assertThat(line).startsWith("split: 10 documents").contains("held_out"));
  }

  private Optional<String> warning(Path prefix) {
    try (TrainingData opened = open("data_path=" + prefix, "split=40,5,5", "train_iters=1")) {
      return opened.warning();
    }
  }

  private static void ids(Path prefix, int different) {
    try (Arena arena = Arena.ofConfined()) {
      Npy ids = Npy.allocate(arena, ElementType.I64, 50);
      for (int d = 0; d < 50; d++) {
        ids.data().setAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, d, d % different);
      }
      ids.write(Path.of(prefix + ".documents.npy"));
    }
  }

  @Test
  void anEmptyPartOfAMixIsNamed() {
    Path full = data("full", 50);
    Path empty = data("empty", 0);
    String both = "[" + full + ", " + empty + "]";
    String one = "[" + full + "]";
    refused(
        empty + ": holds no documents: leave it out of train_data_paths",
        "train_data_paths=" + both,
        "valid_data_paths=" + one,
        "test_data_paths=" + one);
    refused(
        empty + ": holds no documents: leave it out of valid_data_paths",
        "train_data_paths=" + one,
        "valid_data_paths=" + both,
        "valid_data_weights=[1, 0]",
        "test_data_paths=" + one);
    refused(
        empty + ": holds no documents",
        "train_data_paths=" + both,
        "valid_data_paths=" + one,
        "test_data_paths=" + one,
        "weight_by_num_documents=true");
  }

  /** Beyond one pass over the data, through accumulation and a blend. */
  @Test
  void theOrderNamesTheTokensThatTheStepsRead() {
    Path first = data("first", 30);
    Path second = data("second", 17);
    String both = "[" + first + ", " + second + "]";
    try (TrainingData data =
        open(
            "train_data_paths=" + both,
            "valid_data_paths=" + both,
            "test_data_paths=" + both,
            "train_data_weights=[2, 1]",
            "train_micro_batch_size_per_gpu=3",
            "gradient_accumulation_steps=2",
            "train_iters=5")) {
      BatchOrder order = data.order();
      assertThat(order.micro()).isEqualTo(3);
      assertThat(order.accumulation()).isEqualTo(2);
      long steps = data.train().length() / 6 + 5;
      for (long step = 0; step < steps; step++) {
        for (int m = 0; m < 2; m++) {
          GradientStep.Batch batch = TrainingData.batch(order, order.batch(step, m), 61, -1);
          for (int row = 0; row < 3; row++) {
            for (Span span : order.spans(step, 3 * m + row)) {
              IndexedDataset source = data.train().sources().get(span.source());
              int[] document = source.get(span.document());
              for (int k = 0; k < span.length(); k++) {
                int position = span.position() + k;
                int id = document[span.offset() + k];
                if (position < 8) {
                  assertThat(batch.inputs()[8 * row + position]).isEqualTo(id);
                }
                if (position > 0) {
                  assertThat(batch.labels()[8 * row + position - 1]).isEqualTo(id);
                }
                BatchOrder.Read read = new BatchOrder.Read(step, 3 * m + row, position);
                assertThat(order.reads(order.origin(read), steps)).contains(read);
              }
            }
          }
        }
      }
    }
  }

  /** The test part is read after the last step: that it is too short is known before the first. */
  @Test
  void aPartBelowOneMicroBatchIsNamedAtOnce() {
    Path prefix = data("d", 2000);
    refused(
        prefix
            + ": the test part of split 969,30,1 has 3 sequences of 64 tokens, fewer than one"
            + " micro-batch of 4: ",
        "data_path=" + prefix,
        "seq_length=64");
    open("data_path=" + prefix, "seq_length=64", "eval_iters=0").close();
    refused(
        data("few", 1) + ": the train part of split 1 has 3 sequences",
        "data_path=" + dir.resolve("few"),
        "split=\"1\"",
        "train_iters=1",
        "seq_length=32",
        "eval_iters=0");
  }

  /**
   * Two runs on the same data begin together: one makes the index, the other waits and reads it.
   */
  @Test
  void twoRunsMayBuildTheOrderOfTheSameDataAtOnce() throws Exception {
    Path prefix = data("shared", 3000);
    List<Future<int[]>> samples = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
      for (int t = 0; t < 4; t++) {
        samples.add(
            pool.submit(
                () -> {
                  try (TrainingData data = open("data_path=" + prefix)) {
                    return data.train().sample(7);
                  }
                }));
      }
    }
    for (Future<int[]> sample : samples) {
      assertThat(sample.get()).isEqualTo(samples.getFirst().get());
    }
  }
}
