package dev.jneox.model;

/** Names the places in a model that have parameters, in the order of the forward pass. */
public enum Part {
  /** The token embedding, {@code [V, H]}. */
  EMBEDDING,
  /** The learned position embedding, {@code [positions, H]}. */
  POSITIONS,
  /** The norm that attention reads, and the feed-forward layer too where both share one. */
  ATTENTION_NORM,
  /** The norm that the feed-forward layer reads where it does not share attention's. */
  FEED_FORWARD_NORM,
  /** The query projection. */
  QUERY,
  /** The key projection. */
  KEY,
  /** The value projection. */
  VALUE,
  /** The output projection of attention. */
  ATTENTION_OUT,
  /** The gate of a gated feed-forward layer. */
  GATE,
  /** The first matrix of the feed-forward layer, {@code [F, H]}. */
  UP,
  /** The last matrix of the feed-forward layer, {@code [H, F]}. */
  DOWN,
  /** The norm before the head. */
  FINAL_NORM,
  /** The output head, {@code [V, H]}; absent where it is tied to the embedding. */
  HEAD;

  /** Returns whether each block has a part of its own. */
  public boolean isOfBlock() {
    return switch (this) {
      case EMBEDDING, POSITIONS, FINAL_NORM, HEAD -> false;
      default -> true;
    };
  }

  /** Returns whether this is a norm. */
  public boolean isNorm() {
    return this == ATTENTION_NORM || this == FEED_FORWARD_NORM || this == FINAL_NORM;
  }

  /** Returns whether the product of this part is added to the residual stream. */
  public boolean writesResidual() {
    return this == ATTENTION_OUT || this == DOWN;
  }

  /** Returns whether the rows are looked up by token or position. */
  public boolean isTable() {
    return this == EMBEDDING || this == POSITIONS;
  }

  /** Returns whether this is the query, key or value projection. */
  public boolean isQueryKeyValue() {
    return this == QUERY || this == KEY || this == VALUE;
  }
}
