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

  /** What a parameter does to its input. */
  public enum Kind {
    WEIGHT,
    BIAS
  }

  public ParamId {
    if (part.isOfBlock() != block >= 0) {
      throw new IllegalArgumentException(part + " in block " + block);
    }
  }

  /** The weight of a part of the model as a whole. */
  public static ParamId weight(Part part) {
    return new ParamId(MODEL, part, Kind.WEIGHT);
  }

  /** The weight of a part of a block. */
  public static ParamId weight(int block, Part part) {
    return new ParamId(block, part, Kind.WEIGHT);
  }

  /** The bias of a part of the model as a whole. */
  public static ParamId bias(Part part) {
    return new ParamId(MODEL, part, Kind.BIAS);
  }

  /** The bias of a part of a block. */
  public static ParamId bias(int block, Part part) {
    return new ParamId(block, part, Kind.BIAS);
  }

  /** The same place, another kind. */
  public ParamId as(Kind kind) {
    return new ParamId(block, part, kind);
  }

  /** The same kind in the same block, another part. */
  public ParamId of(Part part) {
    return new ParamId(block, part, kind);
  }

  public boolean isBias() {
    return kind == Kind.BIAS;
  }

  /** For messages: {@code blocks.3.attention_out.weight}. */
  @Override
  public String toString() {
    String name = part.name().toLowerCase(Locale.ROOT) + "." + kind.name().toLowerCase(Locale.ROOT);
    return block == MODEL ? name : "blocks." + block + "." + name;
  }
}
