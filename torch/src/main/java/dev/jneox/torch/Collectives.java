package dev.jneox.torch;

/**
 * Exchanges numbers among the ranks of a group, as libtorch's c10d does. Every rank of the group
 * calls the same operations in the same order; {@link #send} and {@link #receive} are in order for
 * each pair of ranks and tag. An operation begins with the call and is done after {@link
 * Pending#await}.
 *
 * <p>A sum has the same bits on every rank, and the same bits whenever the same values are summed
 * in a group of the same size.
 */
public interface Collectives extends AutoCloseable {
  /** A group of one rank, in which no operation changes anything. */
  Collectives ALONE = new ThreadCollectives.Group("alone", 1).rank(0);

  /** Says how values of all ranks become one. */
  enum Reduction {
    /** Their sum; of bf16 and fp16 values it is rounded once at least. */
    SUM,
    /** The largest. */
    MAX
  }

  /** An operation under way. */
  interface Pending {
    /**
     * Waits until the operation is done.
     *
     * @throws dev.jneox.io.JneoxException naming group, rank and operation, when another rank is
     *     gone or does not answer in time
     */
    void await();
  }

  /** Returns the name of the group in messages, such as {@code tensor}. */
  String name();

  /** Returns the place of this process in the group, from 0. */
  int rank();

  /** Returns the number of ranks. */
  int size();

  /** Replaces the values of every rank by their reduction. */
  Pending allReduce(Values values, Reduction reduction);

  /**
   * Sums the values of all ranks and gives each rank one part: the {@code rank}th of {@code size}
   * equal ones.
   *
   * @param whole of {@code size} times the length of {@code part}; undefined afterwards
   */
  Pending reduceScatter(Values whole, Values part);

  /**
   * Gives every rank the parts of all, in the order of ranks.
   *
   * @param whole of {@code size} times the length of {@code part}, which may lie in its own place
   *     there
   */
  Pending allGather(Values part, Values whole);

  /** Replaces the values of every rank by those of {@code root}. */
  Pending broadcast(Values values, int root);

  /** Sends values to another rank, which receives them with the same tag. */
  Pending send(Values values, int to, int tag);

  /** Receives values of another rank. */
  Pending receive(Values values, int from, int tag);

  /** Waits until every rank has called this. */
  void barrier();

  /** Leaves the group; the others' operations then fail. */
  @Override
  void close();
}
