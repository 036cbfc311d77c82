package dev.jneox.torch;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Predicate;
import org.bytedeco.pytorch.Tensor;

/**
 * Hooks that keep a copy of every value at the points whose names they want, in the order they
 * fire.
 */
final class Captured implements Hooks {
  final Map<String, Tensor> values = new LinkedHashMap<>();
  private final Predicate<String> wanted;

  Captured(Predicate<String> wanted) {
    this.wanted = wanted;
  }

  @Override
  public boolean wants(String name) {
    return wanted.test(name);
  }

  @Override
  public Tensor apply(String name, Tensor value) {
    if (values.put(name, value.detach().clone().retainReference()) != null) {
      throw new AssertionError(name + " fired twice");
    }
    return value;
  }

  Tensor get(String name) {
    return values.get(name);
  }
}
