package dev.jneox.model;

/**
 * Says how a parameter may be divided among the ranks of tensor parallelism (Shoeybi et al. 2019,
 * arXiv:1909.08053), and in what unit; never by how many ranks.
 *
 * @param unit rows or columns that stay together: a head's
 */
public record Split(Axis axis, int unit) {
  /** Says what is divided. */
  public enum Axis {
    /** Each rank has some of the rows: column-parallel layers and the vocabulary. */
    ROWS,
    /** Each rank has some of the columns: row-parallel layers. */
    COLUMNS,
    /**
     * The ranks' values sum to the whole: biases that every rank adds before the results are
     * summed.
     */
    SUM,
    /** Every rank has the whole. */
    NONE
  }

  static final Split NONE = new Split(Axis.NONE, 1);
  static final Split SUM = new Split(Axis.SUM, 1);

  static Split rows(int unit) {
    return new Split(Axis.ROWS, unit);
  }

  static Split columns(int unit) {
    return new Split(Axis.COLUMNS, unit);
  }
}
