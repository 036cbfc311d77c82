package dev.jneox.train;

import dev.jneox.dist.Shard;
import dev.jneox.torch.AutogradModel;
import dev.jneox.torch.Libtorch;
import dev.jneox.torch.TensorParallel;
import dev.jneox.torch.Values;
import java.util.function.Supplier;

/**
 * Computes the loss of {@link dev.jneox.torch.CausalLM} and its gradient by libtorch's autograd, on
 * any device. Linear maps are in the precision of {@link Parameters#compute}, all else is in fp32.
 * On the CPU it is slow, and the reference for {@link CpuStep}.
 */
@SuppressWarnings("exports") // of StageStep, which is for this package alone
public final class AutogradStep implements StageStep {
  private final AutogradModel model;
  private final Shard shard;
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
    this(parameters, recompute, TensorParallel.ALONE);
  }

  /**
   * Makes the step for what one rank has of a model.
   *
   * @param ranks those that have the other parts of each matrix
   * @see #AutogradStep(Parameters, boolean)
   */
  AutogradStep(Parameters parameters, boolean recompute, TensorParallel ranks) {
    this.shard = parameters.shard();
    this.recompute = recompute;
    model =
        new AutogradModel(
            shard.spec(),
            parameters.compute(),
            id -> parameters.has(id) ? parameters.slot(id).offset() : -1,
            parameters.weights().tensor(),
            parameters.gradients().tensor(),
            ranks);
  }

  @Override
  public Shard shard() {
    return shard;
  }

  @Override
  public Flight begin(Batch batch, int chunk, boolean backward) {
    goOnUnlessStopped();
    AutogradModel.Keep keep =
        backward
            ? recompute ? AutogradModel.Keep.INPUTS : AutogradModel.Keep.ALL
            : AutogradModel.Keep.NOTHING;
    Shard.Chunk blocks = shard.chunks().get(chunk);
    return explained(
        () ->
            new AutogradFlight(
                batch,
                blocks,
                model.pass(
                    batch.inputs(),
                    batch.sequences(),
                    batch.length(),
                    keep,
                    blocks.first(),
                    blocks.end())));
  }

  private static <T> T explained(Supplier<T> body) {
    try {
      return body.get();
    } catch (RuntimeException e) {
      throw Libtorch.explained(e);
    }
  }

  /** Goes through one chunk of blocks by a pass of the model. */
  private final class AutogradFlight implements Flight {
    private final Batch batch;
    private final Shard.Chunk blocks;
    private final AutogradModel.Pass pass;

    AutogradFlight(Batch batch, Shard.Chunk blocks, AutogradModel.Pass pass) {
      this.batch = batch;
      this.blocks = blocks;
      this.pass = pass;
    }

    @Override
    public Values input() {
      return pass.input();
    }

    @Override
    public Values output() {
      return pass.output();
    }

    @Override
    public Values outputGradient() {
      return pass.outputGradient();
    }

    @Override
    public Values inputGradient() {
      return pass.inputGradient();
    }

    @Override
    public void forward() {
      explained(
          () -> {
            for (int l = blocks.first(); l < blocks.end(); l++) {
              goOnUnlessStopped();
              pass.forwardBlock(l);
            }
            return true;
          });
    }

    @Override
    public double loss() {
      return explained(
          () -> {
            int[] labels = batch.labels().clone();
            float[] given = batch.weights();
            float[] weights = new float[labels.length];
            double count = batch.count();
            for (int i = 0; i < labels.length; i++) {
              weights[i] = labels[i] < 0 ? 0 : (float) ((given == null ? 1 : given[i]) / count);
              labels[i] = Math.max(labels[i], 0);
            }
            return pass.loss(labels, weights);
          });
    }

    @Override
    public double backward(double scale, ReadyListener listener) {
      return explained(
          () -> {
            double loss = 0;
            if (blocks.end() == shard.model().layers()) {
              loss = loss();
              goOnUnlessStopped();
              pass.backwardHead(scale);
              listener.head();
            }
            for (int l = blocks.end() - 1; l >= blocks.first(); l--) {
              goOnUnlessStopped();
              pass.backwardBlock(l);
              listener.block(l);
            }
            if (blocks.first() == 0) {
              pass.backwardEmbedding();
              listener.embedding();
            }
            return loss;
          });
    }

    @Override
    public void close() {
      pass.close();
    }
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
