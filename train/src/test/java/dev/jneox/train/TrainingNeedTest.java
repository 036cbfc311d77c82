package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.dist.Shard;
import dev.jneox.io.MemoryException;
import dev.jneox.torch.Device;
import dev.jneox.torch.TensorParallel;
import dev.jneox.weights.Dtype;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@SuppressWarnings("restricted") // calls native code, which the launcher allows
@Tag("slow")
class TrainingNeedTest {
  private static final long GB = 1_000_000_000;

  /** Fields of {@code struct mallinfo2}: bytes in blocks mapped on their own, and in all others. */
  private static final int MAPPED = 4;

  private static final int IN_USE = 7;

  @TempDir private Path dir;

  private static TrainingNeed need(String... sets) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "hidden_size=256",
                "num_attention_heads=8",
                "seq_length=256",
                "max_position_embeddings=256",
                "num_layers=6"));
    all.addAll(List.of(sets));
    NeoxConfig config = NeoxConfigTest.config(all.toArray(String[]::new));
    return TrainingNeed.of(config, config.model().shape(2000, 0));
  }

  /** The arithmetic against what a step really takes of memory. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "precision=fp32",
        "precision=bfloat16",
        "checkpoint_activations=true",
        "gpt_j_residual=true",
        "gpt_j_tied=true",
        "activation=swiglu",
        "num_kv_heads=2"
      })
  @EnabledOnOs(OS.LINUX) // glibc says how much it has given out
  void activationsTakeWhatIsComputed(String set) throws InterruptedException {
    TrainingNeed need =
        need("train_micro_batch_size_per_gpu=32", set, "gpt_j_residual=" + set.startsWith("gpt_j"));
    boolean recompute = need.config().run().recompute() > 0;
    long computed = need.activationBytes(32, recompute) - need.activationBytes(1, recompute);
    long taken = taken(need, recompute);
    for (int again = 0; again < 2 && Math.abs(taken - computed) > computed * 0.06; again++) {
      taken = taken(need, recompute); // what other tests left may have gone meanwhile
    }
    assertThat(taken).isCloseTo(computed, Percentage.withPercentage(6));
  }

  /** Returns the bytes that a step of 32 sequences takes beyond those of one sequence. */
  private static long taken(TrainingNeed need, boolean recompute) throws InterruptedException {
    try (Parameters parameters =
            new Parameters(need.model(), need.config().precision().format().dtype());
        GradientStep step = GradientStep.of(parameters, recompute)) {
      step.gradient(batch(1), 1); // code is loaded, parameters are touched
      settle();
      long before = allocated();
      step.gradient(batch(32), 1);
      settle();
      return allocated() - before;
    }
  }

  /** The first of two stages has two micro-batches under way, through half of the layers. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void aStageTakesWhatIsComputed() throws InterruptedException {
    NeoxConfig config = need("pipe_parallel_size=2", "gradient_accumulation_steps=4").config();
    Shard first = config.layout(config.model().shape(2000, 0)).shard(0, 0);
    TrainingNeed need = new TrainingNeed(config, first, 4);
    try (Parameters parameters = new Parameters(first, Dtype.F32, Device.CPU);
        CpuStep step = new CpuStep(parameters, false, TensorParallel.ALONE)) {
      assertThat(4 * parameters.weights().memory().byteSize())
          .isCloseTo(need.parameterBytes(), Percentage.withPercentage(1));
      goThrough(step, batch(1));
      settle();
      long before = allocated();
      goThrough(step, batch(32));
      settle();
      long taken = allocated() - before;
      long computed = need.activationBytes(32, false) - need.activationBytes(1, false);
      assertThat(taken).isCloseTo(computed, Percentage.withPercentage(6));
    }
  }

  private static void goThrough(CpuStep step, GradientStep.Batch batch) {
    try (StageStep.Flight one = step.begin(batch, 0, true);
        StageStep.Flight two = step.begin(batch, 0, true)) {
      one.forward();
      two.forward();
      one.backward(1, GradientStep.ReadyListener.NONE);
      two.backward(1, GradientStep.ReadyListener.NONE);
    }
  }

  @Test
  void aRankOfSeveralNeedsItsPart() {
    TrainingNeed whole = need();
    TrainingNeed part = need("model_parallel_size=2", "pipe_parallel_size=2");
    assertThat(part.parameterBytes()).isLessThan(whole.parameterBytes() / 3);
    assertThat(part.checkpointBytes())
        .isCloseTo(whole.checkpointBytes(), Percentage.withPercentage(20)); // padded rows
  }

  /**
   * Matrices are freed by the collector: those of other tests must not go while this one measures.
   */
  private static void settle() throws InterruptedException {
    long last = -1;
    for (int same = 0; same < 3; ) {
      System.gc();
      Thread.sleep(100);
      long now = allocated() >> 20;
      same = now == last ? same + 1 : 0;
      last = now;
    }
  }

  private static GradientStep.Batch batch(int sequences) {
    return GradientStep.Batch.of(new int[sequences][257]);
  }

  /**
   * Bytes that the C library has given out: libtorch's tensors and our arenas, by {@code struct
   * mallinfo2 mallinfo2(void)} of glibc.
   */
  private static long allocated() {
    Linker linker = Linker.nativeLinker();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info =
          (MemorySegment)
              linker
                  .downcallHandle(
                      linker.defaultLookup().findOrThrow("mallinfo2"),
                      FunctionDescriptor.of(
                          MemoryLayout.structLayout(
                              MemoryLayout.sequenceLayout(10, ValueLayout.JAVA_LONG))))
                  .invokeExact((SegmentAllocator) arena);
      return info.getAtIndex(ValueLayout.JAVA_LONG, MAPPED)
          + info.getAtIndex(ValueLayout.JAVA_LONG, IN_USE);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void parametersTakeTheirFourArraysAndTheRoundedOne() {
    assertThat(need("precision=fp32").parameterBytes())
        .isEqualTo(16 * need().model().parameterCount());
    TrainingNeed half = need("precision=fp16");
    assertThat(half.parameterBytes())
        .isEqualTo((16 + half.carrierBytes()) * half.model().parameterCount());
  }

  @Test
  void recomputingMayBeEnough() {
    assertThatThrownBy(
            () -> need("train_micro_batch_size_per_gpu=1000").checkMemory(20 * GB, 8 * GB))
        .isInstanceOf(MemoryException.class)
        .hasMessageMatching(".*: at most [\\d,]+ fit, 1,000 with checkpoint_activations true; .*");
  }

  @Test
  void aMicroBatchThatDoesNotFitSaysWhichOneDoes() {
    TrainingNeed need = need("train_micro_batch_size_per_gpu=4000");
    assertThatThrownBy(() -> need.checkMemory(20 * GB, 8 * GB))
        .isInstanceOf(MemoryException.class)
        .hasMessageStartingWith(
            "--set train_micro_batch_size_per_gpu=4000: train_micro_batch_size_per_gpu: "
                + "a micro-batch of 4,000 sequences of 256 tokens takes ")
        .hasMessageMatching(
            ".* of memory in all, 20\\.0 GB are free: at most [\\d,]+ fit, [\\d,]+ with"
                + " checkpoint_activations true; gradient_accumulation_steps makes up for a smaller"
                + " one");
  }

  /** What a refusal proposes is accepted, and one more is not. */
  @ParameterizedTest
  @ValueSource(longs = {2, 5, 20, 100})
  void theProposedMicroBatchIsTheLargestThatFits(long gigabytes) {
    String message = "";
    try {
      need("train_micro_batch_size_per_gpu=100000").checkMemory(gigabytes * GB, 16 * GB);
    } catch (MemoryException e) {
      message = e.getMessage();
    }
    assertThat(message).contains("at most ");
    int most =
        Integer.parseInt(message.replaceAll(".*at most ([\\d,]+) fit.*", "$1").replace(",", ""));
    need("train_micro_batch_size_per_gpu=" + most).checkMemory(gigabytes * GB, 16 * GB);
    assertThatThrownBy(
            () ->
                need("train_micro_batch_size_per_gpu=" + (most + 1))
                    .checkMemory(gigabytes * GB, 16 * GB))
        .isInstanceOf(MemoryException.class);
  }

  @Test
  void aModelThatDoesNotFitAndAHeapThatIsTooSmallAreSaid() {
    assertThatThrownBy(() -> need("num_layers=4000").checkMemory(20 * GB, 8 * GB))
        .isInstanceOfSatisfying(
            MemoryException.class,
            e -> {
              assertThat(e.needed().orElseThrow()).isGreaterThan(20 * GB);
              assertThat(e.free()).hasValue(20 * GB);
            })
        .hasMessageContaining("parameters take")
        .hasMessageContaining("20.0 GB of memory are free: train a smaller model");
    assertThatThrownBy(
            () -> need("train_micro_batch_size_per_gpu=4000").checkMemory(500 * GB, GB / 4))
        .isInstanceOfSatisfying(
            MemoryException.class,
            e -> {
              assertThat(e.needed().orElseThrow()).isBetween(GB / 4 + 1, 500 * GB);
              assertThat(e.free()).hasValue(GB / 4);
            })
        .hasMessageContaining("of Java's heap, which may have 250.0 MB (-Xmx in JNEOX_JAVA_OPTS)");
  }

  /** The memory of this machine is not what a GPU has. */
  @Test
  void onADeviceTheMemoryOfTheMachineDoesNotCount() {
    TrainingNeed need = need("train_micro_batch_size_per_gpu=4000000");
    assertThatThrownBy(() -> need.check(Device.CPU, 1)).isInstanceOf(MemoryException.class);
    need.check(new Device(Device.Kind.CUDA, 0), 1);
  }

  @Test
  void theEstimateHasEachPartOfMemoryAndTheDisk() {
    TrainingNeed need =
        need(
            "save=" + dir,
            "checkpoint_factor=10",
            "keep_last_n_checkpoints=2",
            "precision=fp32",
            "train_micro_batch_size_per_gpu=4");
    long weights = 4 * need.model().parameterCount();
    assertThat(need.estimate(Device.CPU, 1, 0, 100))
        .hasSize(3)
        .satisfies(
            lines -> {
              assertThat(lines.get(0))
                  .startsWith("memory: about ")
                  .endsWith(" for Java and libtorch");
              assertThat(lines.get(1))
                  .contains(
                      "  weights %.1f MB, gradients %.1f MB, optimizer %.1f MB, activations "
                          .formatted(weights / 1e6, weights / 1e6, 2 * weights / 1e6));
              assertThat(lines.get(2))
                  .startsWith(
                      "disk: %.1f MB a checkpoint, up to 3 at a time: %.1f MB of "
                          .formatted(
                              need.checkpointBytes() / 1e6, 3 * need.checkpointBytes() / 1e6));
            });
    assertThat(need.estimate(Device.CPU, 4, 0, 100).getFirst())
        .matches(
            "memory: about ([0-9.]+) .B for each of 4 processes, .* for Java and libtorch each");
    assertThat(need.estimate(new Device(Device.Kind.CUDA, 0), 1, 0, 100).getFirst())
        .startsWith("memory of cuda:0: weights ");
    assertThat(need().estimate(Device.CPU, 1, 0, 100)).as("nothing is saved").hasSize(2);
  }

  @Test
  void moreCheckpointsThanTheDiskHoldsAreAWarning() {
    TrainingNeed every =
        need(
            "save=" + dir,
            "checkpoint_factor=1",
            "num_layers=12",
            "hidden_size=1024",
            "train_iters=1000000");
    assertThat(every.warning(0, 1_000_000))
        .hasValueSatisfying(
            line ->
                assertThat(line)
                    .contains("the checkpoints of this run take", "keep_last_n_checkpoints"));
    TrainingNeed few =
        need(
            "save=" + dir,
            "checkpoint_factor=1",
            "keep_last_n_checkpoints=2",
            "train_iters=1000000");
    assertThat(few.warning(0, 1_000_000)).isEmpty();
    assertThat(need().warning(0, 100)).isEmpty();
  }
}
