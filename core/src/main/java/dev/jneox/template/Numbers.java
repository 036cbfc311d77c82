package dev.jneox.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Computes with Python's numbers: integers of any size (a {@code Long} where it fits, else a {@code
 * BigInteger}), floats, and booleans, which are the integers 0 and 1.
 */
final class Numbers {
  private static final BigInteger MIN = BigInteger.valueOf(Long.MIN_VALUE);
  private static final BigInteger MAX = BigInteger.valueOf(Long.MAX_VALUE);

  private Numbers() {}

  static boolean isNumber(Object value) {
    return isInteger(value) || value instanceof Double;
  }

  /** Returns whether a value is an integer, as which booleans count. */
  static boolean isInteger(Object value) {
    return value instanceof Long || value instanceof Boolean || value instanceof BigInteger;
  }

  static Object integer(BigInteger value) {
    if (value.bitLength() > Limits.BITS) {
      throw TemplateFault.expected(
          "integers of at most " + Limits.BITS + " bits", value.bitLength() + " bits");
    }
    return value.compareTo(MIN) >= 0 && value.compareTo(MAX) <= 0
        ? (Object) value.longValue()
        : value;
  }

  static BigInteger big(Object value) {
    return switch (value) {
      case BigInteger big -> big;
      case Boolean flag -> flag ? BigInteger.ONE : BigInteger.ZERO;
      case Long number -> BigInteger.valueOf(number);
      default -> throw new IllegalArgumentException(String.valueOf(value));
    };
  }

  static double real(Object value) {
    return switch (value) {
      case Double real -> real;
      case Boolean flag -> flag ? 1 : 0;
      case Long number -> number;
      case BigInteger big -> {
        double real = big.doubleValue();
        if (Double.isInfinite(real)) {
          throw TemplateFault.expected("an integer that a float can hold", "a larger one");
        }
        yield real;
      }
      default -> throw new IllegalArgumentException(String.valueOf(value));
    };
  }

  /** Returns an integer that counts or indexes something. */
  static long index(Object value, String what) {
    return switch (value) {
      case Long number -> number;
      case Boolean flag -> flag ? 1 : 0;
      case BigInteger big -> big.signum() < 0 ? Long.MIN_VALUE : Long.MAX_VALUE;
      default -> throw TemplateFault.expected("an integer as " + what, Values.type(value));
    };
  }

  static Object add(Object left, Object right) {
    if (left instanceof Double || right instanceof Double) {
      return real(left) + real(right);
    }
    if (left instanceof Long a && right instanceof Long b) {
      long sum = a + b;
      if (((a ^ sum) & (b ^ sum)) >= 0) {
        return sum;
      }
    }
    return integer(big(left).add(big(right)));
  }

  static Object subtract(Object left, Object right) {
    if (left instanceof Double || right instanceof Double) {
      return real(left) - real(right);
    }
    return integer(big(left).subtract(big(right)));
  }

  static Object multiply(Object left, Object right) {
    if (left instanceof Double || right instanceof Double) {
      return real(left) * real(right);
    }
    return integer(big(left).multiply(big(right)));
  }

  static Object divide(Object left, Object right) {
    requireDivisor(right);
    if (left instanceof Double || right instanceof Double) {
      return real(left) / real(right);
    }
    BigInteger a = big(left);
    BigInteger b = big(right);
    if (a.bitLength() <= 53 && b.bitLength() <= 53) {
      return a.doubleValue() / b.doubleValue();
    }
    // Rounded once: a quotient of 60 digits is nowhere near half way between two floats by chance.
    double quotient =
        new BigDecimal(a).divide(new BigDecimal(b), new MathContext(60)).doubleValue();
    if (Double.isInfinite(quotient)) {
      throw TemplateFault.expected("a quotient that a float can hold", "a larger one");
    }
    return quotient;
  }

  static Object floorDivide(Object left, Object right) {
    requireDivisor(right);
    if (left instanceof Double || right instanceof Double) {
      return floorDivide(real(left), real(right));
    }
    BigInteger[] parts = big(left).divideAndRemainder(big(right));
    boolean down = parts[1].signum() != 0 && parts[1].signum() != big(right).signum();
    return integer(down ? parts[0].subtract(BigInteger.ONE) : parts[0]);
  }

  private static double floorDivide(double left, double right) {
    double rest = remainder(left, right);
    double quotient = (left - rest) / right;
    if (quotient == 0) {
      return Math.copySign(0, left / right);
    }
    double floor = Math.floor(quotient);
    return quotient - floor > 0.5 ? floor + 1 : floor;
  }

  static Object modulo(Object left, Object right) {
    requireDivisor(right);
    if (left instanceof Double || right instanceof Double) {
      return remainder(real(left), real(right));
    }
    BigInteger rest = big(left).remainder(big(right));
    boolean other = rest.signum() != 0 && rest.signum() != big(right).signum();
    return integer(other ? rest.add(big(right)) : rest);
  }

  private static double remainder(double left, double right) {
    double rest = left % right;
    if (rest == 0) {
      return Math.copySign(0, right);
    }
    return (right < 0) != (rest < 0) ? rest + right : rest;
  }

  private static void requireDivisor(Object value) {
    if (real(value) == 0) {
      throw TemplateFault.expected("a divisor other than 0", "0");
    }
  }

  static Object power(Object left, Object right) {
    if (!(left instanceof Double) && !(right instanceof Double) && big(right).signum() >= 0) {
      BigInteger base = big(left);
      BigInteger exponent = big(right);
      boolean small = base.abs().bitLength() <= 1;
      if (small) {
        boolean one = exponent.signum() == 0 || base.signum() > 0 || !exponent.testBit(0);
        return base.signum() == 0 ? exponent.signum() == 0 ? 1L : 0L : one ? 1L : -1L;
      }
      if (exponent.bitLength() > 31
          || (long) base.bitLength() * exponent.longValue() > 2L * Limits.BITS) {
        throw TemplateFault.expected(
            "integers of at most " + Limits.BITS + " bits", "a power with more");
      }
      return integer(base.pow(exponent.intValue()));
    }
    double base = real(left);
    double exponent = real(right);
    if (base == 0 && exponent < 0) {
      throw TemplateFault.expected("a base other than 0 for a negative power", "0");
    }
    if (base < 0 && exponent != Math.rint(exponent) && !Double.isInfinite(base)) {
      throw TemplateFault.expected("a real power", "a root of a negative number");
    }
    if (base == 1) {
      return 1.0;
    }
    double power = Math.pow(base, exponent);
    if (Double.isInfinite(power) && !Double.isInfinite(base) && !Double.isInfinite(exponent)) {
      throw TemplateFault.expected("a power that a float can hold", "a larger one");
    }
    return base == -1 && Double.isInfinite(exponent) ? 1.0 : power;
  }

  static Object negate(Object value) {
    return value instanceof Double real ? (Object) (-real) : integer(big(value).negate());
  }

  static Object abs(Object value) {
    return value instanceof Double real ? (Object) Math.abs(real) : integer(big(value).abs());
  }

  /** Compares two numbers exactly; null where one is NaN. */
  static @Nullable Integer compare(Object left, Object right) {
    if (left instanceof Long a && right instanceof Long b) {
      return Long.compare(a, b);
    }
    if (left instanceof Double a && right instanceof Double b) {
      return a.isNaN() || b.isNaN() ? null : (Integer) (a < b ? -1 : a > b ? 1 : 0);
    }
    if (left instanceof Double a) {
      Integer other = compare(right, a);
      return other == null ? null : (Integer) (-other);
    }
    if (right instanceof Double b) {
      if (b.isNaN()) {
        return null;
      }
      return b.isInfinite()
          ? b > 0 ? -1 : 1
          : new BigDecimal(big(left)).compareTo(new BigDecimal(b));
    }
    return big(left).compareTo(big(right));
  }

  /**
   * Returns a form of a value that has Java's equality where Python's values are equal.
   *
   * @throws TemplateFault when the value can be no key
   */
  static Object hashable(Object value, int depth) {
    return switch (value) {
      case String text -> text;
      case Markup markup -> markup.text();
      case Boolean flag -> flag ? 1L : 0L;
      case Double real ->
          real == Math.rint(real) && !Double.isInfinite(real)
              ? integer(new BigDecimal(real).toBigInteger())
              : real;
      case Tuple tuple -> {
        if (depth > 8) {
          throw TemplateFault.expected("a key of less nesting", "tuples in tuples");
        }
        List<Object> elements = new ArrayList<>();
        tuple.elements().forEach(element -> elements.add(hashable(element, depth + 1)));
        yield elements;
      }
      case List<?> list when !(list instanceof Range) ->
          throw TemplateFault.expected("a key", Values.type(list));
      case Dict dict -> throw TemplateFault.expected("a key", Values.type(dict));
      default -> value;
    };
  }

  /** Returns the shortest text that reads back as the same float, in Python's form. */
  static String text(double value) {
    if (Double.isNaN(value)) {
      return "nan";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    if (value == 0) {
      return 1 / value > 0 ? "0.0" : "-0.0";
    }
    BigDecimal decimal = new BigDecimal(Double.toString(value)).stripTrailingZeros();
    String digits = decimal.unscaledValue().abs().toString();
    int exponent = digits.length() - decimal.scale() - 1;
    String sign = value < 0 ? "-" : "";
    if (exponent < -4 || exponent >= 16) {
      return sign + scientific(digits, exponent, "e");
    }
    String plain = decimal.abs().toPlainString();
    return sign + plain + (plain.contains(".") ? "" : ".0");
  }

  private static String scientific(String digits, int exponent, String e) {
    return digits.charAt(0)
        + (digits.length() > 1 ? "." + digits.substring(1) : "")
        + e
        + (exponent < 0 ? "-" : "+")
        + String.format(Locale.ROOT, "%02d", Math.abs(exponent));
  }

  /**
   * Formats a float as C's printf does.
   *
   * @param kind e, f, g or the same in capitals
   * @param alternate keeps the zeros of g
   */
  static String format(double value, char kind, int precision, boolean alternate) {
    boolean capitals = Character.isUpperCase(kind);
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      String text = Double.isNaN(value) ? "nan" : "inf";
      String shown = capitals ? text.toUpperCase(Locale.ROOT) : text;
      return value < 0 ? "-" + shown : shown;
    }
    String sign = value < 0 || value == 0 && 1 / value < 0 ? "-" : "";
    BigDecimal exact = new BigDecimal(Math.abs(value));
    String text =
        switch (Character.toLowerCase(kind)) {
          case 'f' ->
              exact.setScale(precision, RoundingMode.HALF_EVEN).toPlainString()
                  + (alternate && precision == 0 ? "." : "");
          case 'e' -> exponential(exact, precision, alternate);
          default -> general(exact, Math.max(1, precision), alternate);
        };
    return sign + (capitals ? text.toUpperCase(Locale.ROOT) : text);
  }

  private static String exponential(BigDecimal exact, int precision, boolean alternate) {
    BigDecimal rounded = exact.round(new MathContext(precision + 1, RoundingMode.HALF_EVEN));
    String digits = rounded.unscaledValue().toString();
    int exponent = exact.signum() == 0 ? 0 : digits.length() - rounded.scale() - 1;
    StringBuilder padded = new StringBuilder(exact.signum() == 0 ? "0" : digits);
    while (padded.length() <= precision) {
      padded.append('0');
    }
    padded.setLength(precision + 1);
    String text = scientific(padded.toString(), exponent, "e");
    return alternate && precision == 0 ? text.replaceFirst("e", ".e") : text;
  }

  private static String general(BigDecimal exact, int precision, boolean alternate) {
    String scientific = exponential(exact, precision - 1, false);
    int exponent = Integer.parseInt(scientific.substring(scientific.indexOf('e') + 1));
    if (exponent < -4 || exponent >= precision) {
      int e = scientific.indexOf('e');
      String mantissa = scientific.substring(0, e);
      return (alternate ? mantissa : withoutZeros(mantissa)) + scientific.substring(e);
    }
    String plain = exact.setScale(precision - 1 - exponent, RoundingMode.HALF_EVEN).toPlainString();
    return alternate ? plain : withoutZeros(plain);
  }

  private static String withoutZeros(String digits) {
    return digits.contains(".") ? digits.replaceFirst("0+$", "").replaceFirst("[.]$", "") : digits;
  }

  /** Rounds half to even, as Python's round does, to digits behind the point. */
  static Object round(Object value, long precision) {
    if (value instanceof Double real) {
      if (real.isNaN() || real.isInfinite() || precision > 400) {
        return value;
      }
      if (precision < -400) {
        return Math.copySign(0.0, real);
      }
      double rounded =
          new BigDecimal(real).setScale((int) precision, RoundingMode.HALF_EVEN).doubleValue();
      return Math.copySign(rounded, real);
    }
    if (precision >= 0) {
      return integer(big(value));
    }
    if (precision < -2000) {
      return 0L;
    }
    BigDecimal rounded =
        new BigDecimal(big(value)).setScale((int) precision, RoundingMode.HALF_EVEN);
    return integer(rounded.toBigInteger());
  }

  /** Reads a float as Python's float() does; null where the text is none. */
  static @Nullable Double parseReal(String text) {
    String digits = Text.strip(text);
    if (digits.matches("(?i)[+-]?(inf|infinity)")) {
      return digits.startsWith("-") ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
    }
    if (digits.matches("(?i)[+-]?nan")) {
      return Double.NaN;
    }
    String number = "\\d+(_\\d+)*+";
    return digits.length() < 1000
            && digits.matches(
                "[+-]?("
                    + number
                    + "[.]?|("
                    + number
                    + ")?[.]"
                    + number
                    + ")([eE][+-]?"
                    + number
                    + ")?")
        ? Double.valueOf(digits.replace("_", ""))
        : null;
  }

  /** Reads an integer as Python's int() does; null where the text is none. */
  static @Nullable Object parseInteger(String text, long base) {
    if (base != 0 && (base < 2 || base > 36)) {
      return null;
    }
    String digits = Text.strip(text).toLowerCase(Locale.ROOT);
    boolean negative = digits.startsWith("-");
    if (negative || digits.startsWith("+")) {
      digits = digits.substring(1);
    }
    int radix = (int) base;
    if (digits.length() > 1 && digits.charAt(0) == '0') {
      int prefixed =
          switch (digits.charAt(1)) {
            case 'x' -> 16;
            case 'o' -> 8;
            case 'b' -> 2;
            default -> 0;
          };
      if (prefixed != 0 && (base == 0 || base == prefixed)) {
        radix = prefixed;
        digits = digits.substring(2);
        digits = digits.startsWith("_") ? digits.substring(1) : digits;
      } else if (base == 0 && !digits.matches("0(_?0)*")) {
        return null;
      }
    }
    radix = radix == 0 ? 10 : radix;
    if (digits.isEmpty()
        || digits.startsWith("_")
        || digits.endsWith("_")
        || digits.contains("__")
        || digits.length() > Limits.BITS) {
      return null;
    }
    digits = digits.replace("_", "");
    for (int i = 0; i < digits.length(); i++) {
      if (Character.digit(digits.charAt(i), radix) < 0) {
        return null;
      }
    }
    BigInteger number = new BigInteger(digits, radix);
    return integer(negative ? number.negate() : number);
  }

  /** Returns the integer part of a float; null where it has none. */
  static @Nullable Object truncated(double value) {
    return Double.isNaN(value) || Double.isInfinite(value)
        ? null
        : integer(new BigDecimal(value).toBigInteger());
  }
}
