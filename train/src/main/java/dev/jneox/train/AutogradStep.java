package dev.jneox.train;

import dev.jneox.model.ParamId;
import dev.jneox.torch.CausalLM;
import dev.jneox.torch.Hooks;
import dev.jneox.torch.Tensors;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * The loss of {@link CausalLM} and autograd's gradient of it, in fp32: slow, and right by
 * construction.
 */
public final class AutogradStep implements GradientStep {
  private final CausalLM model;

  public AutogradStep(Parameters parameters) {
    Map<ParamId, Tensor> leaves = new LinkedHashMap<>();
    for (Parameters.Slot slot : parameters.slots()) {
      Tensor leaf = parameters.weight(slot.id()).detach().requires_grad_(true);
      // autograd adds into a gradient that is there already.
      leaf.mutable_grad().put(parameters.gradient(slot.id()));
      leaves.put(slot.id(), leaf);
    }
    model = new CausalLM(parameters.spec(), leaves);
  }

  @Override
  public double gradient(Batch batch, double scale, ReadyListener listener) {
    double mean;
    try (PointerScope _ = new PointerScope()) {
      Tensor loss = lossOf(batch);
      loss.mul(new Scalar(scale)).backward();
      mean = loss.item_double();
    }
    // Autograd does not say when a layer is done: all are ready at the end.
    listener.head();
    for (int l = model.spec().layers() - 1; l >= 0; l--) {
      listener.block(l);
    }
    listener.embedding();
    return mean;
  }

  @Override
  public double loss(Batch batch) {
    try (PointerScope _ = new PointerScope();
        NoGradGuard _ = new NoGradGuard()) {
      return lossOf(batch).item_double();
    }
  }

  private Tensor lossOf(Batch batch) {
    Tensor ids = Tensors.of(batch.inputs(), batch.sequences(), batch.length());
    Tensor logits =
        model.logits(model.hidden(ids, null, Hooks.NONE)).view(batch.inputs().length, -1);
    float[] weights = new float[batch.labels().length];
    int[] labels = batch.labels().clone();
    double count = batch.count();
    for (int i = 0; i < labels.length; i++) {
      weights[i] =
          labels[i] < 0 ? 0 : (float) ((batch.weights() == null ? 1 : batch.weights()[i]) / count);
      labels[i] = Math.max(labels[i], 0);
    }
    Tensor losses =
        torch.log_softmax(logits, 1).gather(1, Tensors.of(labels, labels.length, 1)).view(-1);
    return losses.mul(Tensors.of(weights, weights.length)).sum().neg();
  }

  @Override
  public void close() {
    model.close();
  }
}
