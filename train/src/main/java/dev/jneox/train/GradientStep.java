package dev.jneox.train;

/**
 * Computes a loss and adds its gradient to a model's {@link Parameters}. There are two, which tests
 * hold against each other: {@link AutogradStep}, the reference, which runs on any device, and
 * {@link CpuStep}, the fast one of the CPU. Both do every {@link dev.jneox.model.ModelSpec}.
 */
public interface GradientStep extends AutoCloseable {
  /**
   * Sequences of equal length with, for every position, the id that follows.
   *
   * @param inputs {@code [sequences * length]} ids
   * @param labels {@code [sequences * length]} ids, or a negative number where nothing is to be
   *     predicted
   * @param weights how much each position counts, or null where all count 1
   */
  record Batch(int[] inputs, int[] labels, float[] weights, int sequences, int length) {
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

    /** Next-token prediction over rows of {@code length + 1} ids. */
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

    /** The sum of the weights of the positions that predict something. */
    double count() {
      double count = 0;
      for (int i = 0; i < labels.length; i++) {
        count += labels[i] < 0 ? 0 : weights == null ? 1 : weights[i];
      }
      return count;
    }
  }

  /**
   * Hears when the backward pass has computed the whole gradient of a part of the model, so that it
   * can be sent while the pass goes on. Called in the order of the methods, on the thread that
   * computes; what is called takes its time from the step.
   */
  interface ReadyListener {
    /** Hears nothing. */
    ReadyListener NONE = new ReadyListener() {};

    /** The final norm and the head are ready; of a tied head only its bias. */
    default void head() {}

    /** A block is ready; the last comes first. */
    default void block(int block) {}

    /** The embedding is ready, with learned positions and a tied head: that is all. */
    default void embedding() {}
  }

  /**
   * Makes the fastest step for a model where its parameters are: {@link CpuStep} in host memory,
   * {@link AutogradStep} on a device.
   *
   * @param recompute whether the backward pass runs each layer's forward pass again instead of
   *     keeping its activations (GPT-NeoX's {@code checkpoint_activations})
   */
  static GradientStep of(Parameters parameters, boolean recompute) {
    return parameters.onHost()
        ? new CpuStep(parameters, recompute)
        : new AutogradStep(parameters, recompute);
  }

  /**
   * The mean loss over the batch, in nats; {@code scale} times its gradient is added to the
   * parameters'.
   *
   * @param scale the loss scale divided by the number of micro-batches
   * @param listener hears when parts of the gradient are ready
   */
  double gradient(Batch batch, double scale, ReadyListener listener);

  /** The same without a listener. */
  default double gradient(Batch batch, double scale) {
    return gradient(batch, scale, ReadyListener.NONE);
  }

  /** The mean loss alone. */
  double loss(Batch batch);

  /**
   * Makes this and every later computation end soon with {@link Stopped}; any thread may call it.
   */
  default void stop() {}

  /** Thrown by a computation that was stopped; gradients are then undefined, weights as before. */
  final class Stopped extends RuntimeException {
    private static final long serialVersionUID = 1;

    Stopped() {
      super("stopped", null, false, false);
    }
  }

  @Override
  void close();
}
