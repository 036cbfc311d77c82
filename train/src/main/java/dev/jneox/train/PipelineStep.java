package dev.jneox.train;

import dev.jneox.dist.Ranks;
import dev.jneox.dist.Schedule;
import dev.jneox.dist.Shard;
import dev.jneox.io.InputException;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.torch.Collectives;
import dev.jneox.torch.Collectives.Pending;
import dev.jneox.torch.FlatTensor;
import dev.jneox.torch.Values;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import org.jspecify.annotations.Nullable;

/**
 * Takes the micro-batches of a step through one stage of a pipeline, as {@link Schedule} orders
 * them. Stages send each other the residual stream and its gradient. A send is posted at once and
 * awaited as late as its memory is needed, so that no stage waits for another one's receive.
 */
final class PipelineStep implements GradientStep {
  private final StageStep stage;
  private final Shard shard;
  private final Parameters parameters;
  private final Collectives group;
  private StepTrace trace = new StepTrace();

  /**
   * Makes the step of one stage.
   *
   * @param parameters that {@code stage} reads
   * @param group the stages, in order
   */
  PipelineStep(StageStep stage, Parameters parameters, Collectives group) {
    this.stage = stage;
    this.shard = stage.shard();
    this.parameters = parameters;
    this.group = group;
  }

  /** Has a trace record the passes of micro-batches. */
  void trace(StepTrace trace) {
    this.trace = trace;
  }

  /** Is a send under way, with the memory that it reads. */
  private record Sent(Pending pending, Values values) {
    void await() {
      try (values) {
        pending.await();
      }
    }
  }

  /** Holds a micro-batch on its way through a chunk of this stage. */
  private final class Journey {
    final StageStep.Flight flight;
    final int place; // of the chunk in the pipeline
    private final boolean first;
    private final boolean last;
    private @Nullable Sent sent;

    Journey(Batch batch, int chunk, boolean backward) {
      Shard.Chunk blocks = shard.chunks().get(chunk);
      place = chunk * shard.stages() + shard.stage();
      first = blocks.first() == 0;
      last = blocks.end() == shard.model().layers();
      flight = stage.begin(batch, chunk, backward);
    }

    void forward(int micro) {
      if (!first) {
        receive(flight.input(), place - 1, 2 * place);
      }
      long start = System.nanoTime();
      flight.forward();
      trace.add(StepTrace.Span.FORWARD, start, micro);
      if (!last) {
        sent = send(flight.output(), place + 1, 2 * (place + 1));
      }
    }

    double backward(int micro, double scale, ReadyListener listener) {
      settle(); // the gradient may lie where the output was
      if (!last) {
        receive(flight.outputGradient(), place + 1, 2 * place + 1);
      }
      long start = System.nanoTime();
      double loss = flight.backward(scale, listener);
      trace.add(StepTrace.Span.BACKWARD, start, micro);
      if (!first) {
        sent = send(flight.inputGradient(), place - 1, 2 * (place - 1) + 1);
      }
      return loss;
    }

    private Sent send(Values values, int to, int tag) {
      return new Sent(group.send(values, to % shard.stages(), tag), values);
    }

    private void receive(Values values, int from, int tag) {
      try (values) {
        group.receive(values, from % shard.stages(), tag).await();
      }
    }

    /** Waits until what was sent has left the flight's memory. */
    void settle() {
      if (sent != null) {
        sent.await();
        sent = null;
      }
    }

    void end() {
      settle();
      flight.close();
    }
  }

  @Override
  public double gradient(List<Batch> batches, double scale, ReadyListener listener) {
    int chunks = shard.chunks().size();
    if (!Schedule.fits(shard.stages(), chunks, batches.size())) {
      throw new InputException(
          "gradient_accumulation_steps: expected a multiple of the %d stages of an interleaved pipeline, found %d"
              .formatted(shard.stages(), batches.size()));
    }
    Map<Integer, Journey> underWay = new HashMap<>(); // by micro-batch and chunk
    Queue<Journey> leaving = new ArrayDeque<>();
    // Chunks make the pipeline a ring, in which each could wait for the next one's receive.
    int patience = chunks == 1 ? 0 : shard.stages();
    ReadyListener atEnd = withoutSharedEmbedding(listener);
    double loss = 0;
    try {
      for (Schedule.Action action :
          Schedule.of(shard.stage(), shard.stages(), chunks, batches.size())) {
        int micro = action.microBatch();
        int key = micro * chunks + action.chunk();
        switch (action.direction()) {
          case FORWARD -> {
            end(leaving, patience);
            Journey journey = new Journey(batches.get(micro), action.chunk(), true);
            underWay.put(key, journey);
            journey.forward(micro);
          }
          case BACKWARD -> {
            Journey journey = Objects.requireNonNull(underWay.get(key));
            boolean whole = micro == batches.size() - 1;
            loss +=
                journey.backward(micro, scale, whole ? atEnd : ReadyListener.NONE) / batches.size();
            underWay.remove(key);
            leaving.add(journey);
          }
        }
      }
      end(leaving, 0);
    } catch (RuntimeException | Error e) {
      free(underWay.values());
      free(leaving);
      throw e;
    }
    if (shard.sharesEmbedding()) {
      addSharedGradient();
      listener.embedding();
    }
    return ofLastStage(loss);
  }

  /** Ends the oldest, which waits until their gradients are received, until {@code most} remain. */
  private static void end(Queue<Journey> leaving, int most) {
    while (leaving.size() > most) {
      leaving.peek().end();
      leaving.remove();
    }
  }

  /** Gives the memory back after a failure, without waiting for what was sent. */
  private static void free(Collection<Journey> journeys) {
    journeys.forEach(journey -> journey.flight.close());
  }

  /** The gradient of a shared matrix is whole only when both stages' are added. */
  private ReadyListener withoutSharedEmbedding(ReadyListener listener) {
    if (!shard.sharesEmbedding()) {
      return listener;
    }
    return new ReadyListener() {
      @Override
      public void head() {
        listener.head();
      }

      @Override
      public void block(int block) {
        listener.block(block);
      }
    };
  }

  /** Adds the other stage's gradient of the matrix that a tied head shares with the embedding. */
  private void addSharedGradient() {
    int other = shard.hasEmbedding() ? shard.stages() - 1 : 0;
    int tag = 2 * shard.stages() * shard.chunks().size();
    Parameters.Slot slot = parameters.slot(ParamId.weight(Part.EMBEDDING));
    FlatTensor gradients = parameters.gradients().tensor();
    try (FlatTensor theirs = FlatTensor.zeros(parameters.device(), slot.size());
        Values own = Values.of(gradients, slot.offset(), slot.size());
        Values received = Values.of(theirs, 0, slot.size())) {
      Pending sent = group.send(own, other, tag);
      group.receive(received, other, tag).await();
      sent.await();
      gradients.add(slot.offset(), theirs, slot.size());
    }
  }

  /** Returns the number that the last stage has. */
  private double ofLastStage(double number) {
    return Ranks.exchange(group, number)[shard.stages() - 1][0];
  }

  @Override
  public double gradient(Batch batch, double scale, ReadyListener listener) {
    return gradient(List.of(batch), scale, listener);
  }

  @Override
  public double loss(Batch batch) {
    double loss = 0;
    List<Journey> journeys = new ArrayList<>();
    try {
      for (int chunk = 0; chunk < shard.chunks().size(); chunk++) {
        Journey journey = new Journey(batch, chunk, false);
        journeys.add(journey);
        journey.forward(0);
        if (journey.last) {
          loss = journey.flight.loss();
        }
        journey.settle();
      }
    } finally {
      free(journeys);
    }
    return ofLastStage(loss);
  }

  @Override
  public void stop() {
    stage.stop();
  }

  @Override
  public void close() {
    stage.close();
  }
}
