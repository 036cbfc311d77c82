package dev.jneox.eval;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Brings values of JSON, YAML and Parquet into one form: whole numbers are Longs. */
final class JsonValues {
  private JsonValues() {}

  static @Nullable Object of(@Nullable Object value) {
    return switch (value) {
      case Integer number -> (long) number;
      case Short number -> (long) number;
      case Byte number -> (long) number;
      case BigInteger number ->
          number.bitLength() < Long.SIZE ? (Object) number.longValue() : number;
      case Float number -> (double) number;
      case List<?> list -> {
        List<@Nullable Object> values = new ArrayList<>(list.size());
        for (Object each : list) {
          values.add(of(each));
        }
        yield values;
      }
      case Map<?, ?> map -> map(map);
      case null, default -> value;
    };
  }

  /** Tells whether a text in a value, or the name of a field, has a surrogate without its other. */
  static boolean hasHalfPair(@Nullable Object value) {
    return switch (value) {
      case String text -> text.codePoints().anyMatch(JsonValues::isSurrogate);
      case List<?> list -> list.stream().anyMatch(JsonValues::hasHalfPair);
      case Map<?, ?> map ->
          map.entrySet().stream()
              .anyMatch(entry -> hasHalfPair(entry.getKey()) || hasHalfPair(entry.getValue()));
      case null, default -> false;
    };
  }

  private static boolean isSurrogate(int character) {
    return character >= Character.MIN_SURROGATE && character <= Character.MAX_SURROGATE;
  }

  static Map<String, @Nullable Object> map(Map<?, ? extends @Nullable Object> map) {
    Map<String, @Nullable Object> values = new LinkedHashMap<>();
    map.forEach((key, value) -> values.put(String.valueOf(key), of(value)));
    return values;
  }
}
