package dev.jneox.template;

import java.util.List;

/**
 * Is Python's tuple, which prints in parentheses and equals no list.
 *
 * @param group whether it is a group of the filter {@code groupby}, whose elements have names
 */
record Tuple(List<Object> elements, boolean group) {
  static Tuple of(Object... elements) {
    return new Tuple(List.of(elements), false);
  }
}
