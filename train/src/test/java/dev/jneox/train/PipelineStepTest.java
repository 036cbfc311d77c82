package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import dev.jneox.dist.Layout;
import dev.jneox.dist.Partition;
import dev.jneox.dist.Schedule;
import dev.jneox.dist.Shard;
import dev.jneox.model.ModelSpec;
import dev.jneox.torch.Device;
import dev.jneox.torch.FlatTensor;
import dev.jneox.torch.Values;
import dev.jneox.weights.Dtype;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The exchanges of a pipeline whose chunks compute nothing but count. */
@Tag("slow")
class PipelineStepTest {
  /**
   * Adds 1 to the number that passes a chunk, in both directions. The forward pass takes a time,
   * the backward pass twice that.
   */
  private record Counting(Shard shard, long millis, LongAdder worked) implements StageStep {
    @Override
    public Flight begin(Batch batch, int chunk, boolean backward) {
      return new CountingFlight(batch, shard.chunks().get(chunk), this);
    }

    @Override
    public void close() {}
  }

  private static final class CountingFlight implements StageStep.Flight {
    private final GradientStep.Batch batch;
    private final Shard.Chunk chunk;
    private final int layers;
    private final FlatTensor number = FlatTensor.zeros(Device.CPU, 1);

    private final Counting step;

    CountingFlight(GradientStep.Batch batch, Shard.Chunk chunk, Counting step) {
      this.batch = batch;
      this.chunk = chunk;
      this.layers = step.shard.model().layers();
      this.step = step;
    }

    private void pass(int times) {
      if (step.millis > 0) {
        long start = System.nanoTime();
        LockSupport.parkNanos(times * step.millis * 1_000_000);
        step.worked.add(System.nanoTime() - start);
      }
    }

    private float change(float add) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment memory = arena.allocate(4, 64);
        number.read(0, memory);
        float now = memory.get(ValueLayout.JAVA_FLOAT, 0) + add;
        memory.set(ValueLayout.JAVA_FLOAT, 0, now);
        number.write(0, memory);
        return now;
      }
    }

    private Values values() {
      return Values.of(number, 0, 1);
    }

    @Override
    public Values input() {
      return values();
    }

    @Override
    public Values output() {
      return values();
    }

    @Override
    public Values outputGradient() {
      return values();
    }

    @Override
    public Values inputGradient() {
      return values();
    }

    @Override
    public void forward() {
      pass(1);
      change(chunk.first() == 0 ? batch.inputs()[0] + 1 : 1);
    }

    @Override
    public double loss() {
      return change(0);
    }

    @Override
    public double backward(double scale, GradientStep.ReadyListener listener) {
      pass(2);
      double loss = chunk.end() == layers ? loss() : 0;
      double passed = change(1);
      if (chunk.first() == 0) {
        assertThat(passed).isEqualTo(batch.labels()[0]);
        listener.embedding();
      }
      return loss;
    }

    @Override
    public void close() {
      number.close();
    }
  }

  /** No two stages wait for each other, and each micro-batch's numbers reach its own. */
  @ParameterizedTest
  @CsvSource({"1", "2", "3"})
  void stagesExchangeWithoutWaitingForEver(int chunks) {
    assertTimeoutPreemptively(
        Duration.ofMinutes(2),
        () -> {
          for (int stages = 2; stages <= 8; stages++) {
            for (int micro = 1; micro <= 16; micro++) {
              if (Schedule.fits(stages, chunks, micro)) {
                exchange(stages, chunks, micro);
              }
            }
          }
        });
  }

  private static void exchange(int stages, int chunks, int micro) throws Exception {
    ModelSpec spec = ModelSpec.neox(8, 8, stages * chunks, 1, 8);
    Layout layout = Layout.of(spec, 1, stages, chunks, Partition.UNIFORM);
    int places = stages * chunks;
    double mean = 0;
    GradientStep.Batch[] batches = new GradientStep.Batch[micro];
    for (int m = 0; m < micro; m++) {
      int id = 100 * m;
      batches[m] = new GradientStep.Batch(new int[] {id}, new int[] {id + 2 * places}, null, 1, 1);
      mean += (id + places) / (double) micro;
    }
    List<Double> losses =
        RankThreads.run(
            layout,
            (shard, _, pipeline) -> {
              try (Parameters parameters = new Parameters(shard, Dtype.F32, Device.CPU);
                  GradientStep step =
                      new PipelineStep(
                          new Counting(shard, 0, new LongAdder()),
                          parameters,
                          new RendezvousSends(pipeline))) {
                assertThat(step.loss(batches[micro - 1])).isEqualTo(100 * (micro - 1) + places);
                return step.gradient(List.of(batches), 1, GradientStep.ReadyListener.NONE);
              }
            });
    assertThat(losses).isEqualTo(Collections.nCopies(stages, losses.getFirst()));
    assertThat(losses.getFirst()).isCloseTo(mean, within(1e-6));
  }

  /** The bubble of 1F1B is (p-1)/m of the work; what is beyond is the cost of the exchanges. */
  @Test
  @Tag("soak")
  void theBubbleIsThatOfTheFormula() throws Exception {
    int stages = 4;
    int micro = 8;
    double best = Double.MAX_VALUE;
    for (int turn = 0; turn < 5; turn++) { // other programs make a turn longer
      double share = bubble(stages, micro) / ((stages - 1.0) / micro);
      System.out.printf("bubble: %.4f of that of the formula%n", share);
      best = Math.min(best, share);
    }
    assertThat(best).isBetween(0.95, 1.05);
  }

  /** The time beyond the work as a share of the work, of the stage in which it is longest. */
  private static double bubble(int stages, int micro) throws Exception {
    ModelSpec spec = ModelSpec.neox(8, 8, stages, 1, 8);
    Layout layout = Layout.of(spec, 1, stages, 1, Partition.UNIFORM);
    GradientStep.Batch batch = new GradientStep.Batch(new int[] {0}, new int[] {8}, null, 1, 1);
    List<GradientStep.Batch> batches = Collections.nCopies(micro, batch);
    return Collections.max(
        RankThreads.run(
            layout,
            (shard, _, pipeline) -> {
              Counting counting = new Counting(shard, 40, new LongAdder());
              try (Parameters parameters = new Parameters(shard, Dtype.F32, Device.CPU);
                  GradientStep step = new PipelineStep(counting, parameters, pipeline)) {
                pipeline.barrier();
                long start = System.nanoTime();
                step.gradient(batches, 1, GradientStep.ReadyListener.NONE);
                long seconds = System.nanoTime() - start;
                return (double) seconds / counting.worked.sum() - 1;
              }
            }));
  }
}
