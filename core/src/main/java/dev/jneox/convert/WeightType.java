package dev.jneox.convert;

import dev.jneox.weights.Dtype;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/** Lists the types that the weights of a model can be written in. */
public enum WeightType {
  /** Single precision. */
  F32,
  /** bfloat16. */
  BF16,
  /** Half precision. */
  F16,
  /** 32 integers of 8 bits and a scale of 16. */
  Q8_0,
  /** 32 integers of 4 bits and a scale of 16. */
  Q4_0;

  /** Returns whether values are integers with scales. */
  public boolean isQuantised() {
    return this == Q8_0 || this == Q4_0;
  }

  /**
   * Returns the same type in safetensors.
   *
   * @throws IllegalArgumentException for a quantised type
   */
  public Dtype dtype() {
    return Dtype.valueOf(name());
  }

  /** Returns the type in which most of a model is stored; empty when it cannot be written. */
  public static Optional<WeightType> of(StoredModel model) {
    Map<WeightType, Long> elements = new EnumMap<>(WeightType.class);
    for (StoredTensor tensor : model.tensors()) {
      named(tensor.type())
          .ifPresent(type -> elements.merge(type, tensor.expression().elements(), Long::sum));
    }
    return elements.entrySet().stream()
        .max(Map.Entry.comparingByValue())
        .filter(most -> most.getValue() > model.spec().parameterCount() / 2)
        .map(Map.Entry::getKey);
  }

  private static Optional<WeightType> named(String name) {
    for (WeightType type : values()) {
      if (type.name().equals(name)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }
}
