package dev.jneox.train;

import dev.jneox.format.neox.YamlTree;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Checks and converts the value of a configuration key. Values are those of {@link YamlTree}: Long,
 * Double, Boolean, String, List, Map. As in GPT-NeoX, a key of type float takes a whole number, but
 * one of type int takes no fraction.
 */
sealed interface KeyType {
  /**
   * Returns the value in its stored form (Integer, Double, Boolean, String, List, Map), or null
   * where it does not fit.
   */
  @Nullable Object fit(Object value);

  /** Returns what messages say is expected, such as "a whole number >= 1". */
  String expected();

  /** Parses a type as {@code neox-keys.txt} writes it. */
  static KeyType parse(String text) {
    return switch (text) {
      case "bool" -> new Flag();
      case "string" -> new Text();
      case "ints" -> new Items(new Whole(new Bounds(0, false, Integer.MAX_VALUE, false, " >= 0")));
      case "floats" -> new Items(new Real(Bounds.of("")));
      case "strings" -> new Items(new Text());
      case "dict" -> new Mapping();
      case "any" -> new Anything();
      default -> {
        if (text.startsWith("int")) {
          yield new Whole(Bounds.of(text.substring(3)));
        }
        if (text.startsWith("float")) {
          yield new Real(Bounds.of(text.substring(5)));
        }
        yield new Choice(List.of(text.split("\\|")));
      }
    };
  }

  /**
   * Bounds a number.
   *
   * @param low least value
   * @param aboveLow whether {@code low} itself is excluded
   * @param high largest value
   * @param belowHigh whether {@code high} itself is excluded
   * @param text of a message, such as {@code " >= 0 and < 1"}
   */
  record Bounds(double low, boolean aboveLow, double high, boolean belowHigh, String text) {
    private static final Pattern FORM =
        Pattern.compile("(?:>(=?)([0-9.e-]+))?(?:<(=?)([0-9.e-]+))?");

    /** Parses bounds such as {@code >=0<1}. */
    static Bounds of(String text) {
      Matcher m = FORM.matcher(text);
      if (!m.matches()) {
        throw new IllegalArgumentException("bounds " + text);
      }
      boolean low = m.group(2) != null;
      boolean high = m.group(4) != null;
      String lowText = low ? " >" + m.group(1) + " " + m.group(2) : "";
      String highText = high ? " <" + m.group(3) + " " + m.group(4) : "";
      return new Bounds(
          low ? Double.parseDouble(m.group(2)) : Double.NEGATIVE_INFINITY,
          low && m.group(1).isEmpty(),
          high ? Double.parseDouble(m.group(4)) : Double.POSITIVE_INFINITY,
          high && m.group(3).isEmpty(),
          lowText + (low && high ? " and" : "") + highText);
    }

    boolean hold(double x) {
      return (aboveLow ? x > low : x >= low) && (belowHigh ? x < high : x <= high);
    }
  }

  record Whole(Bounds bounds) implements KeyType {
    @Override
    public @Nullable Object fit(Object value) {
      return value instanceof Long n && n == n.intValue() && bounds.hold(n) ? n.intValue() : null;
    }

    @Override
    public String expected() {
      return "a whole number" + bounds.text();
    }
  }

  record Real(Bounds bounds) implements KeyType {
    @Override
    public @Nullable Object fit(Object value) {
      double x =
          value instanceof Long n ? n.doubleValue() : value instanceof Double d ? d : Double.NaN;
      return Double.isFinite(x) && bounds.hold(x) ? x : null;
    }

    @Override
    public String expected() {
      return "a number" + bounds.text();
    }
  }

  record Flag() implements KeyType {
    @Override
    public @Nullable Object fit(Object value) {
      return value instanceof Boolean ? value : null;
    }

    @Override
    public String expected() {
      return "true or false";
    }
  }

  record Text() implements KeyType {
    @Override
    public @Nullable Object fit(Object value) {
      return value instanceof String ? value : null;
    }

    @Override
    public String expected() {
      return "text";
    }
  }

  record Choice(List<String> words) implements KeyType {
    @Override
    public @Nullable Object fit(Object value) {
      if (value instanceof String s) {
        for (String word : words) {
          if (word.toLowerCase(Locale.ROOT).equals(s.toLowerCase(Locale.ROOT))) {
            return word;
          }
        }
      }
      return null;
    }

    @Override
    public String expected() {
      return "one of " + String.join(", ", words);
    }
  }

  record Items(KeyType of) implements KeyType {
    @Override
    public @Nullable Object fit(Object value) {
      if (!(value instanceof List<?> list)) {
        return null;
      }
      List<Object> fitted = new ArrayList<>();
      for (Object item : list) {
        Object one = item == null ? null : of.fit(item);
        if (one == null) {
          return null;
        }
        fitted.add(one);
      }
      return List.copyOf(fitted);
    }

    @Override
    public String expected() {
      return "a list, each item " + of.expected();
    }
  }

  record Mapping() implements KeyType {
    @Override
    public @Nullable Object fit(Object value) {
      return value instanceof Map ? value : null;
    }

    @Override
    public String expected() {
      return "a mapping";
    }
  }

  record Anything() implements KeyType {
    @Override
    public @Nullable Object fit(Object value) {
      return value;
    }

    @Override
    public String expected() {
      return "any value";
    }
  }
}
