package dev.jneox.train;

import dev.jneox.dist.Mesh;
import java.util.OptionalInt;

/**
 * States how many processes share a model and a batch.
 *
 * @param pipeline stages that the layers are split into
 * @param tensor pieces that each matrix is split into
 * @param data copies of the model, each with a part of the batch
 */
public record ParallelSection(int pipeline, int tensor, int data) {

  /**
   * Reads the keys. GPT-NeoX counts the machine's GPUs; here {@code running} processes are counted,
   * or where none run the configuration states their number, and without it there is one copy of
   * the model.
   */
  static ParallelSection of(Settings s, OptionalInt running) {
    int pipeline = Math.max(1, s.integer("pipe_parallel_size"));
    int tensor = Math.max(1, s.integer("model_parallel_size"));
    long copy = (long) pipeline * tensor;
    String key =
        s.given("global_num_gpus")
            ? "global_num_gpus"
            : s.given("world_size") ? "world_size" : "num_gpus";
    long world = s.maybeInteger(key).orElse(0);
    if (key.equals("num_gpus")) {
      world *= Math.max(1, s.maybeInteger("num_nodes").orElse(1));
    }
    if (running.isPresent()) {
      return running(s, key, world, running.getAsInt(), pipeline, tensor);
    }
    if (world <= 0) {
      world = copy;
    }
    if (world % copy != 0) {
      throw s.wrong(
          key,
          world
              + " processes cannot be split into "
              + pipeline
              + " pipeline x "
              + tensor
              + " tensor parts = "
              + copy);
    }
    return new ParallelSection(pipeline, tensor, Math.toIntExact(world / copy));
  }

  private static ParallelSection running(
      Settings s, String key, long stated, int running, int pipeline, int tensor) {
    if (stated > 0 && stated != running) {
      throw s.wrong(
          key,
          "states %d processes, and %d run: start them with jneox launch --nproc %d, or take %s out"
              .formatted(stated, running, stated, key));
    }
    int copy = pipeline * tensor;
    if (running % copy != 0) {
      int below = running / copy * copy;
      throw s.wrong(
          tensor == 1 ? "pipe_parallel_size" : "model_parallel_size",
          "%d processes cannot be split into %d pipeline x %d tensor parts = %d: start %s%d"
              .formatted(
                  running, pipeline, tensor, copy, below == 0 ? "" : below + " or ", below + copy));
    }
    return new ParallelSection(pipeline, tensor, running / copy);
  }

  /** Returns how the processes are placed. */
  public Mesh mesh() {
    return new Mesh(pipeline, data, tensor);
  }

  /** Returns the number of all processes. */
  public long processes() {
    return (long) pipeline * tensor * data;
  }

  @Override
  public String toString() {
    return processes()
        + " processes = "
        + pipeline
        + " pipeline x "
        + tensor
        + " tensor x "
        + data
        + " data";
  }
}
