package dev.jneox.train;

import dev.jneox.dist.Layout;
import dev.jneox.dist.Piece;
import dev.jneox.dist.Shard;
import dev.jneox.model.ParamId;
import dev.jneox.torch.Collectives;
import dev.jneox.torch.ThreadCollectives;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;

/** Runs the ranks of a layout as threads of this process. */
public final class RankThreads {
  /** Does the work of one rank. */
  public interface Work<T> {
    T run(Shard shard, Collectives tensor, Collectives pipeline) throws Exception;
  }

  private RankThreads() {}

  /**
   * Returns what each rank returned, the tensor ranks of a stage one after the other. A rank that
   * fails leaves its groups, as a process that ends would.
   */
  public static <T> List<T> run(Layout layout, Work<T> work) throws Exception {
    List<ThreadCollectives.Group> ofStage = new ArrayList<>();
    List<ThreadCollectives.Group> ofTensorRank = new ArrayList<>();
    for (int stage = 0; stage < layout.stages(); stage++) {
      ofStage.add(new ThreadCollectives.Group("tensor", layout.tensor()));
    }
    for (int rank = 0; rank < layout.tensor(); rank++) {
      ofTensorRank.add(new ThreadCollectives.Group("pipeline", layout.stages()));
    }
    List<Thread> threads = new ArrayList<>();
    List<AtomicReference<T>> results = new ArrayList<>();
    AtomicReference<Exception> failure = new AtomicReference<>();
    for (int stage = 0; stage < layout.stages(); stage++) {
      for (int rank = 0; rank < layout.tensor(); rank++) {
        Shard shard = layout.shard(rank, stage);
        Collectives tensor = ofStage.get(stage).rank(rank);
        Collectives pipeline = ofTensorRank.get(rank).rank(stage);
        AtomicReference<T> result = new AtomicReference<>();
        results.add(result);
        threads.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      try {
                        result.set(work.run(shard, tensor, pipeline));
                      } catch (Exception | AssertionError e) {
                        Exception cause = e instanceof Exception x ? x : new Exception(e);
                        if (!failure.compareAndSet(null, cause)) {
                          failure.get().addSuppressed(cause);
                        }
                        tensor.close();
                        pipeline.close();
                      }
                    }));
      }
    }
    for (Thread thread : threads) {
      thread.join();
    }
    if (failure.get() != null) {
      throw failure.get();
    }
    return results.stream().map(AtomicReference::get).toList();
  }

  /** Returns what one rank has of one of the flat arrays. */
  static Map<ParamId, float[]> values(Parameters parameters, Parameters.Flat flat) {
    Map<ParamId, float[]> values = new LinkedHashMap<>();
    parameters.slots().forEach(slot -> values.put(slot.id(), flat.floats(slot.id())));
    return values;
  }

  /** Puts together what ranks have, each value from the rank that owns it. */
  public static Map<ParamId, float[]> gathered(Layout layout, List<Map<ParamId, float[]>> ofRanks) {
    Map<ParamId, float[]> whole = new LinkedHashMap<>();
    layout
        .model()
        .parameters()
        .forEach(
            param -> {
              float[] missing = new float[Math.toIntExact(param.elements())];
              Arrays.fill(missing, Float.NaN);
              whole.put(param.id(), missing);
            });
    for (int r = 0; r < ofRanks.size(); r++) {
      Shard shard = layout.shard(r % layout.tensor(), r / layout.tensor());
      Map<ParamId, float[]> values = ofRanks.get(r);
      for (Piece place : shard.places()) {
        ParamId id = place.whole().id();
        if (shard.owns(id)) {
          for (Piece.Range range : place.ranges()) {
            System.arraycopy(
                values.get(id),
                (int) range.inPart(),
                whole.get(id),
                (int) range.inWhole(),
                (int) range.length());
          }
        }
      }
    }
    return whole;
  }
}
