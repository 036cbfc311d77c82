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
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The exchanges of a pipeline whose chunks compute nothing but count. */
@Tag("slow")
class PipelineStepTest {
  /** Adds 1 to the number that passes a chunk, in both directions. */
  private record Counting(Shard shard) implements StageStep {
    @Override
    public Flight begin(Batch batch, int chunk, boolean backward) {
      return new CountingFlight(batch, shard.chunks().get(chunk), shard.model().layers());
    }

    @Override
    public void close() {}
  }

  private static final class CountingFlight implements StageStep.Flight {
    private final GradientStep.Batch batch;
    private final Shard.Chunk chunk;
    private final int layers;
    private final FlatTensor number = FlatTensor.zeros(Device.CPU, 1);

    CountingFlight(GradientStep.Batch batch, Shard.Chunk chunk, int layers) {
      this.batch = batch;
      this.chunk = chunk;
      this.layers = layers;
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
      change(chunk.first() == 0 ? batch.inputs()[0] + 1 : 1);
    }

    @Override
    public double loss() {
      return change(0);
    }

    @Override
    public double backward(double scale, GradientStep.ReadyListener listener) {
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
                          new Counting(shard), parameters, new RendezvousSends(pipeline))) {
                assertThat(step.loss(batches[micro - 1])).isEqualTo(100 * (micro - 1) + places);
                return step.gradient(List.of(batches), 1, GradientStep.ReadyListener.NONE);
              }
            });
    assertThat(losses).isEqualTo(Collections.nCopies(stages, losses.getFirst()));
    assertThat(losses.getFirst()).isCloseTo(mean, within(1e-6));
  }
}
