package dev.jneox.train;

import dev.jneox.dist.Buckets.Bucket;
import dev.jneox.dist.Ranks;
import dev.jneox.torch.Collectives;
import dev.jneox.torch.FlatTensor;
import dev.jneox.torch.Values;
import java.util.ArrayList;
import java.util.List;

/**
 * Keeps the copies of a model equal that several processes train, each on its part of a batch.
 *
 * <p>The gradients are summed in fp32, bucket by bucket, while the backward pass of the last
 * micro-batch goes on. With ZeRO stage 1 each rank then has the sum of its share of each bucket
 * alone, updates the weights there, and {@link #shareWeights} tells them to the others. One process
 * exchanges nothing.
 */
final class DataParallel {
  private record Sum(Collectives.Pending pending, List<Values> values) {}

  private final Ranks ranks;
  private final Traffic traffic = new Traffic();
  private final Collectives group;
  private final Collectives world;
  private final Parameters parameters;
  private final int layers;
  private final List<Sum> sums = new ArrayList<>();
  private int next; // bucket whose sum was not begun yet

  DataParallel(Ranks ranks, Parameters parameters) {
    this.ranks = ranks;
    this.group = traffic.counted(ranks.data());
    this.world = traffic.counted(ranks.world());
    this.parameters = parameters;
    this.layers = parameters.spec().layers();
  }

  Ranks ranks() {
    return ranks;
  }

  /** Returns the number of copies. */
  int size() {
    return group.size();
  }

  /** Returns the number of this copy. */
  int rank() {
    return group.rank();
  }

  boolean isAlone() {
    return ranks.size() == 1;
  }

  /** Returns the count of what this rank exchanges. */
  Traffic traffic() {
    return traffic;
  }

  private boolean isSharded() {
    return parameters.copy().sharded();
  }

  /** Begins the sums of gradients as they get whole. */
  GradientStep.ReadyListener listener() {
    if (size() == 1) {
      return GradientStep.ReadyListener.NONE;
    }
    return new GradientStep.ReadyListener() {
      @Override
      public void head() {
        ready(0);
      }

      @Override
      public void block(int block) {
        ready(layers - block);
      }

      @Override
      public void embedding() {
        ready(layers + 1);
      }
    };
  }

  private void ready(int part) {
    List<Bucket> buckets = parameters.buckets();
    FlatTensor gradients = parameters.gradients().tensor();
    for (; next < buckets.size() && buckets.get(next).ready() <= part; next++) {
      Bucket bucket = buckets.get(next);
      Values whole = Values.of(gradients, bucket.from(), bucket.to() - bucket.from());
      if (isSharded()) {
        Values mine = share(gradients, bucket);
        sums.add(new Sum(group.reduceScatter(whole, mine), List.of(whole, mine)));
      } else {
        sums.add(new Sum(group.allReduce(whole, Collectives.Reduction.SUM), List.of(whole)));
      }
    }
  }

  private Values share(FlatTensor flat, Bucket bucket) {
    long from = bucket.share(rank(), size());
    return Values.of(flat, from, bucket.share(rank() + 1, size()) - from);
  }

  /** Begins the sums that no listener heard of, and waits for all. */
  void awaitSums() {
    if (size() > 1) {
      ready(layers + 1); // a stage has not all parts, and no bucket of those that it lacks
    }
    next = 0;
    sums.forEach(sum -> sum.pending.await());
    sums.forEach(sum -> sum.values.forEach(Values::close));
    sums.clear();
  }

  /** Returns whether sums were begun and have failed or were not awaited: they may still write. */
  boolean isSumming() {
    return !sums.isEmpty();
  }

  /** Tells every rank the numbers of all copies, and returns them by copy. */
  double[][] exchange(double... mine) {
    return Ranks.exchange(group, mine);
  }

  /** Tells every rank of the run the numbers of all, and returns them by rank. */
  double[][] exchangeAll(double... mine) {
    return Ranks.exchange(world, mine);
  }

  /** Gives every rank the weights that the others have updated. */
  void shareWeights() {
    if (!isSharded()) {
      return;
    }
    gather(parameters.weights().tensor());
    parameters.clearGradients(); // those outside of its share, which were summed in part
    parameters.refresh();
  }

  private void gather(FlatTensor flat) {
    for (Bucket bucket : parameters.buckets()) {
      try (Values mine = share(flat, bucket);
          Values whole = Values.of(flat, bucket.from(), bucket.to() - bucket.from())) {
        group.allGather(mine, whole).await();
      }
    }
  }

  /**
   * Returns a moment of all parameters: where each rank has a share, gathered into the gradients,
   * which are zeros between steps. All ranks call it; {@link Parameters#clearGradients} ends it.
   */
  Parameters.Flat whole(Parameters.Flat moment) {
    if (!isSharded()) {
      return moment;
    }
    FlatTensor into = parameters.gradients().tensor();
    for (Parameters.Own own : parameters.own()) {
      into.copy(own.from(), moment.tensor(), own.moments(), own.end() - own.from());
    }
    gather(into);
    return parameters.gradients();
  }
}
