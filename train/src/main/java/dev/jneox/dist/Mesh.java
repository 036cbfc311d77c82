package dev.jneox.dist;

import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * Places the processes of a run by the part of the model and of the batch that each has. Ranks
 * count as in Megatron and GPT-NeoX: tensor parts fastest, then copies of the model, then stages.
 *
 * @param pipeline stages that the layers are split into
 * @param data copies of the model, each with a part of the batch
 * @param tensor pieces that each matrix is split into
 */
public record Mesh(int pipeline, int data, int tensor) {
  /** One process. */
  public static final Mesh ALONE = new Mesh(1, 1, 1);

  /**
   * The place of a process, each number from 0.
   *
   * @param pipeline its stage
   * @param data its copy of the model
   * @param tensor its piece of each matrix
   */
  public record Place(int pipeline, int data, int tensor) {}

  /**
   * Checks that all three are positive.
   *
   * @throws IllegalArgumentException when one is not
   */
  public Mesh {
    if (pipeline < 1 || data < 1 || tensor < 1) {
      throw new IllegalArgumentException(
          "pipeline " + pipeline + ", data " + data + ", tensor " + tensor);
    }
  }

  /** Returns the number of processes. */
  public int size() {
    return Math.multiplyExact(Math.multiplyExact(pipeline, data), tensor);
  }

  /** Returns the rank of a place. */
  public int rank(Place place) {
    Objects.checkIndex(place.pipeline, pipeline);
    Objects.checkIndex(place.data, data);
    Objects.checkIndex(place.tensor, tensor);
    return place.tensor + tensor * (place.data + data * place.pipeline);
  }

  /** Returns the place of a rank. */
  public Place place(int rank) {
    Objects.checkIndex(rank, size());
    return new Place(rank / tensor / data, rank / tensor % data, rank % tensor);
  }

  /** Returns the ranks that have the other pieces of the same matrices for the same samples. */
  public List<Integer> tensorGroup(int rank) {
    Place p = place(rank);
    return IntStream.range(0, tensor)
        .mapToObj(t -> rank(new Place(p.pipeline, p.data, t)))
        .toList();
  }

  /** Returns the ranks that have the same part of the model for other samples. */
  public List<Integer> dataGroup(int rank) {
    Place p = place(rank);
    return IntStream.range(0, data)
        .mapToObj(d -> rank(new Place(p.pipeline, d, p.tensor)))
        .toList();
  }

  /** Returns the ranks that have the other stages of the same copy. */
  public List<Integer> pipelineGroup(int rank) {
    Place p = place(rank);
    return IntStream.range(0, pipeline)
        .mapToObj(s -> rank(new Place(s, p.data, p.tensor)))
        .toList();
  }
}
