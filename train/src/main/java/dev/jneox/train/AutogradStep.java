package dev.jneox.train;

import dev.jneox.torch.AutogradModel;
import dev.jneox.torch.Libtorch;

/**
 * Computes the loss of {@link dev.jneox.torch.CausalLM} and its gradient by libtorch's autograd, on
 * any device. Linear maps are in the precision of {@link Parameters#compute}, all else is in fp32.
 * On the CPU it is slow, and the reference for {@link CpuStep}.
 */
public final class AutogradStep implements GradientStep {
  private final AutogradModel model;
  private final int layers;
  private final boolean recompute;
  private volatile boolean stopped;

  /**
   * Makes the step for a model.
   *
   * @param parameters which the step reads and whose gradients it adds to
   * @param recompute whether the backward pass runs each layer's forward pass again instead of
   *     keeping its activations (GPT-NeoX's {@code checkpoint_activations})
   */
  public AutogradStep(Parameters parameters, boolean recompute) {
    this.layers = parameters.spec().layers();
    this.recompute = recompute;
    model =
        new AutogradModel(
            parameters.spec(),
            parameters.compute(),
            id -> parameters.slot(id).offset(),
            parameters.weights().tensor(),
            parameters.gradients().tensor());
  }

  @Override
  public double gradient(Batch batch, double scale, ReadyListener listener) {
    AutogradModel.Keep keep = recompute ? AutogradModel.Keep.INPUTS : AutogradModel.Keep.ALL;
    try (AutogradModel.Pass pass = pass(batch, keep)) {
      double loss = forward(pass, batch);
      goOnUnlessStopped();
      pass.backwardHead(scale);
      listener.head();
      for (int l = layers - 1; l >= 0; l--) {
        goOnUnlessStopped();
        pass.backwardBlock(l);
        listener.block(l);
      }
      pass.backwardEmbedding();
      listener.embedding();
      return loss;
    } catch (RuntimeException e) {
      throw Libtorch.explained(e);
    }
  }

  @Override
  public double loss(Batch batch) {
    try (AutogradModel.Pass pass = pass(batch, AutogradModel.Keep.NOTHING)) {
      return forward(pass, batch);
    } catch (RuntimeException e) {
      throw Libtorch.explained(e);
    }
  }

  private AutogradModel.Pass pass(Batch batch, AutogradModel.Keep keep) {
    goOnUnlessStopped();
    return model.pass(batch.inputs(), batch.sequences(), batch.length(), keep);
  }

  private double forward(AutogradModel.Pass pass, Batch batch) {
    for (int l = 0; l < layers; l++) {
      goOnUnlessStopped();
      pass.forwardBlock(l);
    }
    int[] labels = batch.labels().clone();
    float[] given = batch.weights();
    float[] weights = new float[labels.length];
    double count = batch.count();
    for (int i = 0; i < labels.length; i++) {
      weights[i] = labels[i] < 0 ? 0 : (float) ((given == null ? 1 : given[i]) / count);
      labels[i] = Math.max(labels[i], 0);
    }
    return pass.loss(labels, weights);
  }

  @Override
  public void stop() {
    stopped = true;
  }

  private void goOnUnlessStopped() {
    if (stopped) {
      throw new Stopped();
    }
  }

  @Override
  public void close() {
    model.close();
  }
}
