package dev.jneox.model;

import java.util.Locale;

/**
 * Identifies one parameter of a model. A tied head has none of its own: it is the embedding, placed
 * twice.
 *
 * @param block from 0; {@link #MODEL} for what belongs to the model as a whole
 */
public record ParamId(int block, Part part, Kind kind) {
  /** The block of parameters that belong to no block. */
  public static final int MODEL = -1;

  /** Says how a parameter acts on its input. */
  public enum Kind {
    /** Multiplies the input. */
    WEIGHT,
    /** Is added to the product. */
    BIAS
  }

  /** Checks that a part of the model has no block, and a part of a block has one. */
  public ParamId {
    if (part.isOfBlock() != block >= 0) {
      throw new IllegalArgumentException(part + " in block " + block);
    }
  }

  /** Returns the weight of a part of the model as a whole. */
  public static ParamId weight(Part part) {
    return new ParamId(MODEL, part, Kind.WEIGHT);
  }

  /** Returns the weight of a part of a block. */
  public static ParamId weight(int block, Part part) {
    return new ParamId(block, part, Kind.WEIGHT);
  }

  /** Returns the bias of a part of the model as a whole. */
  public static ParamId bias(Part part) {
    return new ParamId(MODEL, part, Kind.BIAS);
  }

  /** Returns the bias of a part of a block. */
  public static ParamId bias(int block, Part part) {
    return new ParamId(block, part, Kind.BIAS);
  }

  /** Returns the parameter of another kind in the same part. */
  public ParamId as(Kind kind) {
    return new ParamId(block, part, kind);
  }

  /** Returns the parameter of the same kind in another part of the same block. */
  public ParamId of(Part part) {
    return new ParamId(block, part, kind);
  }

  /** Returns whether this is a bias. */
  public boolean isBias() {
    return kind == Kind.BIAS;
  }

  /** Formats the id for messages: {@code blocks.3.attention_out.weight}. */
  @Override
  public String toString() {
    String name = part.name().toLowerCase(Locale.ROOT) + "." + kind.name().toLowerCase(Locale.ROOT);
    return block == MODEL ? name : "blocks." + block + "." + name;
  }
}
