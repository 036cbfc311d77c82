package dev.jneox.train;

import dev.jneox.torch.Collectives;
import dev.jneox.torch.TensorParallel;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Computes a loss and adds its gradient to a model's {@link Parameters}. {@link CpuStep} is the
 * fast implementation for the CPU. {@link AutogradStep} runs on any device and is the reference
 * that tests compare it with. Both take every {@link dev.jneox.model.ModelSpec}.
 */
public interface GradientStep extends AutoCloseable {
  /**
   * Holds sequences of equal length and the id that follows each position.
   *
   * @param inputs {@code [sequences * length]} ids
   * @param labels {@code [sequences * length]} ids; a negative number leaves the position out of
   *     the loss
   * @param weights {@code [sequences * length]} factors of the positions' losses; null where all
   *     are 1
   */
  record Batch(int[] inputs, int[] labels, float @Nullable [] weights, int sequences, int length) {
    /**
     * Checks that the arrays have one length.
     *
     * @throws IllegalArgumentException when they do not
     */
    public Batch {
      if (inputs.length != sequences * length
          || labels.length != inputs.length
          || weights != null && weights.length != inputs.length) {
        throw new IllegalArgumentException(
            "a batch of "
                + sequences
                + " x "
                + length
                + " with "
                + inputs.length
                + " inputs and "
                + labels.length
                + " labels");
      }
    }

    /**
     * Makes a batch of next-token prediction.
     *
     * @param samples {@code [sequences, length + 1]} ids
     */
    public static Batch of(int[][] samples) {
      int length = samples[0].length - 1;
      int[] inputs = new int[samples.length * length];
      int[] labels = new int[inputs.length];
      for (int s = 0; s < samples.length; s++) {
        System.arraycopy(samples[s], 0, inputs, s * length, length);
        System.arraycopy(samples[s], 1, labels, s * length, length);
      }
      return new Batch(inputs, labels, null, samples.length, length);
    }

    /** Returns the sum of the weights of the positions that have a label. */
    double count() {
      double count = 0;
      for (int i = 0; i < labels.length; i++) {
        count += labels[i] < 0 ? 0 : weights == null ? 1 : weights[i];
      }
      return count;
    }
  }

  /**
   * Hears when the backward pass has the whole gradient of a part of the model, which can then be
   * sent while the pass goes on. The step calls the methods in their order here, on its own thread,
   * and waits for them.
   */
  interface ReadyListener {
    /** Does nothing. */
    ReadyListener NONE = new ReadyListener() {};

    /** Called for the final norm and the head; of a tied head only for its bias. */
    default void head() {}

    /** Called for each block, from the last to the first. */
    default void block(int block) {}

    /** Called last, for the embedding with learned positions and a tied head. */
    default void embedding() {}
  }

  /**
   * Makes the fastest step for the memory that holds the parameters: {@link CpuStep} for host
   * memory, {@link AutogradStep} for a device.
   *
   * @param recompute whether the backward pass runs each layer's forward pass again instead of
   *     keeping its activations (GPT-NeoX's {@code checkpoint_activations})
   */
  static GradientStep of(Parameters parameters, boolean recompute) {
    return of(parameters, recompute, Collectives.ALONE, Collectives.ALONE);
  }

  /**
   * Makes the step of one rank. Every rank calls its methods with the same batches; each computes
   * its part and returns the loss of the whole.
   *
   * @param parameters of this rank's {@link dev.jneox.dist.Shard}
   * @param tensor the ranks that have the other parts of each matrix
   * @param pipeline the stages, in order
   * @see #of(Parameters, boolean)
   */
  static GradientStep of(
      Parameters parameters, boolean recompute, Collectives tensor, Collectives pipeline) {
    TensorParallel ranks = new TensorParallel(tensor);
    StageStep stage =
        parameters.onHost()
            ? new CpuStep(parameters, recompute, ranks)
            : new AutogradStep(parameters, recompute, ranks);
    return pipeline.size() == 1 ? stage : new PipelineStep(stage, parameters, pipeline);
  }

  /**
   * Computes the mean loss over the batch, in nats per token, and adds {@code scale} times its
   * gradient to the parameters' gradients.
   *
   * @param scale the loss scale divided by the number of micro-batches
   * @param listener hears when parts of the gradient are ready
   * @throws Stopped after {@link #stop}
   */
  double gradient(Batch batch, double scale, ReadyListener listener);

  /**
   * Computes the mean of the losses of a step's micro-batches, and adds {@code scale} times the
   * gradient of each. In a pipeline they are under way at the same time. Every gradient is zero
   * before, as after an update: stages that share a matrix add theirs once.
   *
   * @param batches of one shape
   * @param scale the loss scale divided by the number of micro-batches
   * @param listener hears in the last micro-batch when parts of the gradient are ready
   * @throws Stopped after {@link #stop}
   */
  default double gradient(List<Batch> batches, double scale, ReadyListener listener) {
    double loss = 0;
    int last = batches.size() - 1;
    for (int m = 0; m <= last; m++) {
      ReadyListener hears = m == last ? listener : ReadyListener.NONE;
      loss += gradient(batches.get(m), scale, hears) / batches.size();
    }
    return loss;
  }

  /**
   * Computes the mean loss and adds its gradient, without a listener.
   *
   * @see #gradient(Batch, double, ReadyListener)
   */
  default double gradient(Batch batch, double scale) {
    return gradient(batch, scale, ReadyListener.NONE);
  }

  /**
   * Computes the mean loss over the batch, in nats per token, without a gradient.
   *
   * @throws Stopped after {@link #stop}
   */
  double loss(Batch batch);

  /**
   * Makes the present and every later computation throw {@link Stopped}; any thread may call it. A
   * rank that stops alone leaves the others waiting: ranks agree between two steps instead.
   */
  default void stop() {}

  /** Says that a computation was stopped. Gradients are then undefined, weights unchanged. */
  final class Stopped extends RuntimeException {
    private static final long serialVersionUID = 1;

    Stopped() {
      super("stopped", null, false, false);
    }
  }

  @Override
  void close();
}
