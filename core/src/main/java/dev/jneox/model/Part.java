package dev.jneox.model;

/** Names the places in a model that have parameters, in the order of the forward pass. */
public enum Part {
  EMBEDDING,
  POSITIONS,
  ATTENTION_NORM,
  /** The norm that the feed-forward layer reads, where it is not attention's. */
  FEED_FORWARD_NORM,
  QUERY,
  KEY,
  VALUE,
  ATTENTION_OUT,
  GATE,
  UP,
  DOWN,
  FINAL_NORM,
  HEAD;

  /** Whether each block has its own. */
  public boolean isOfBlock() {
    return switch (this) {
      case EMBEDDING, POSITIONS, FINAL_NORM, HEAD -> false;
      default -> true;
    };
  }

  /** Whether it is a norm. */
  public boolean isNorm() {
    return this == ATTENTION_NORM || this == FEED_FORWARD_NORM || this == FINAL_NORM;
  }

  /** Whether its product is added to the residual stream. */
  public boolean writesResidual() {
    return this == ATTENTION_OUT || this == DOWN;
  }

  /** Whether single rows of it are read, by token or position. */
  public boolean isTable() {
    return this == EMBEDDING || this == POSITIONS;
  }

  /** Whether it is query, key or value. */
  public boolean isQueryKeyValue() {
    return this == QUERY || this == KEY || this == VALUE;
  }
}
