package dev.jneox.grammar;

import java.math.BigDecimal;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Describes the numbers of a range as JSON writes them, digit by digit, so that the range is exact.
 * Integers have at most 18 digits. Other numbers have at most 15 before and 15 behind the point; in
 * a range at most 15 in all, which a double tells apart, and no exponent.
 *
 * @param low the least value, null for none
 * @param high the largest value, null for none
 * @param lowExcluded whether {@code low} itself is out
 * @param highExcluded whether {@code high} itself is out
 * @param decimals the most digits behind the point; 0 for integers
 * @param divisor of integers, 1 for any; at most {@link #LARGEST_DIVISOR}
 */
record NumberForm(
    @Nullable BigDecimal low,
    boolean lowExcluded,
    @Nullable BigDecimal high,
    boolean highExcluded,
    int decimals,
    int divisor) {
  static final int LARGEST_DIVISOR = 1000;

  /** The most digits of an integer, all of which a long holds. */
  private static final int INTEGER_DIGITS = 18;

  /** The most digits that any double keeps. */
  static final int DOUBLE_DIGITS = 15;

  static final NumberForm ANY = new NumberForm(null, false, null, false, DOUBLE_DIGITS, 1);
  static final NumberForm INTEGER = new NumberForm(null, false, null, false, 0, 1);

  void write(Network network, int from, int to) {
    boolean zeroIncluded = low == null || low.signum() < 0 || low.signum() == 0 && !lowExcluded;
    BigDecimal least = low == null || low.signum() < 0 ? BigDecimal.ZERO : low;
    if (high == null || high.signum() >= 0) {
      Magnitudes positive =
          new Magnitudes(network, to, least, !zeroIncluded && least.signum() == 0 || lowOut(least));
      positive.write(from, high, highExcluded);
    }
    if (low == null || low.signum() < 0) {
      int negative = network.node();
      network.text(from, "-", negative);
      BigDecimal nearest = BigDecimal.ZERO;
      boolean below = false;
      if (high != null && high.signum() < 0) {
        nearest = high.negate();
        below = true;
      }
      Magnitudes magnitudes = new Magnitudes(network, to, nearest, !below || highExcluded);
      magnitudes.write(negative, low == null ? null : low.negate(), lowExcluded);
    }
  }

  /** Returns whether a number lies in the range, however many digits it has. */
  boolean contains(BigDecimal number) {
    int byLow = low == null ? 1 : number.compareTo(low);
    int byHigh = high == null ? -1 : number.compareTo(high);
    return (byLow > 0 || byLow == 0 && !lowExcluded)
        && (byHigh < 0 || byHigh == 0 && !highExcluded)
        && (decimals == DOUBLE_DIGITS || number.stripTrailingZeros().scale() <= decimals)
        && number.remainder(BigDecimal.valueOf(divisor)).signum() * (divisor - 1) == 0;
  }

  private boolean lowOut(BigDecimal least) {
    return lowExcluded && low != null && least.signum() > 0;
  }

  private boolean isAny() {
    return low == null && high == null && decimals == DOUBLE_DIGITS;
  }

  /** Writes the numbers from 0 on that lie in a range. */
  private final class Magnitudes {
    private final Network network;
    private final int to;
    private final BigDecimal low;
    private final boolean lowExcluded;
    private @Nullable BigDecimal high;
    private boolean highExcluded;
    private final Map<List<Object>, Integer> known = new HashMap<>();
    private int length; // digits before the point
    private int most; // digits behind it
    private String lowDigits = "";
    private String highDigits = "";

    Magnitudes(Network network, int to, BigDecimal low, boolean lowExcluded) {
      this.network = network;
      this.to = to;
      this.low = low;
      this.lowExcluded = lowExcluded;
    }

    void write(int from, @Nullable BigDecimal high, boolean highExcluded) {
      this.high = high;
      this.highExcluded = highExcluded;
      int longest = decimals == 0 ? INTEGER_DIGITS : DOUBLE_DIGITS;
      if (low.compareTo(BigDecimal.TEN.pow(longest)) >= 0) {
        return;
      }
      int exponent = network.node();
      if (isAny()) {
        network.empty(exponent, to);
        exponent(exponent);
      }
      for (length = 1; length <= longest; length++) {
        BigDecimal first = length == 1 ? BigDecimal.ZERO : BigDecimal.TEN.pow(length - 1);
        BigDecimal beyond = BigDecimal.TEN.pow(length);
        if (low.compareTo(beyond) >= 0 || high != null && high.compareTo(first) < 0) {
          continue;
        }
        boolean atLow = low.compareTo(first) >= 0 && (low.signum() > 0 || lowExcluded);
        boolean atHigh = high != null && high.compareTo(beyond) < 0;
        lowDigits = atLow ? digits(low) : "";
        highDigits = atHigh ? digits(high) : "";
        most = isAny() ? decimals : Math.min(decimals, Math.max(0, DOUBLE_DIGITS - length));
        network.empty(from, place(0, atLow, atHigh, 0, isAny() ? exponent : to));
      }
    }

    /** Returns the digits before the point, as many as the length, and those behind it. */
    private String digits(@Nullable BigDecimal number) {
      BigDecimal value = Objects.requireNonNull(number).stripTrailingZeros();
      String plain = value.toPlainString();
      int point = plain.indexOf('.');
      String whole = point < 0 ? plain : plain.substring(0, point);
      String rest = point < 0 ? "" : plain.substring(point + 1);
      return "0".repeat(length - whole.length()) + whole + rest;
    }

    /**
     * Returns the node after some digits.
     *
     * @param at how many there are
     * @param atLow whether they are those of the least number
     * @param atHigh whether they are those of the largest
     * @param rest what they leave when divided
     */
    private int place(int at, boolean atLow, boolean atHigh, int rest, int end) {
      // Within a range only the digits that are left matter, after the first.
      boolean free = at > 0 && !atLow && !atHigh;
      List<Object> key =
          free
              ? List.of(length - at, length + most - at, rest)
              : List.of(length, at, atLow, atHigh, rest);
      Integer found = known.get(key);
      if (found != null) {
        return found;
      }
      int node = network.node();
      known.put(key, node);
      if (at >= length && rest == 0 && mayEnd(at, atLow, atHigh)) {
        network.empty(node, end);
      }
      if (at == length + most) {
        return node;
      }
      int from = node;
      if (at == length) {
        from = network.node();
        network.text(node, ".", from);
      }
      int least = atLow ? digit(lowDigits, at) : 0;
      least = at == 0 && length > 1 ? Math.max(1, least) : least;
      int largest = atHigh ? digit(highDigits, at) : 9;
      for (int digit = least, run; digit <= largest; digit = run + 1) {
        int next = after(digit, at, atLow, atHigh, rest, end);
        run = digit;
        while (run < largest && after(run + 1, at, atLow, atHigh, rest, end) == next) {
          run++;
        }
        network.bytes(from, '0' + digit, '0' + run, next);
      }
      return node;
    }

    private int after(int digit, int at, boolean atLow, boolean atHigh, int rest, int end) {
      return place(
          at + 1,
          atLow && digit == digit(lowDigits, at),
          atHigh && digit == digit(highDigits, at),
          divisor == 1 ? 0 : (10 * rest + digit) % divisor,
          end);
    }

    private boolean mayEnd(int at, boolean atLow, boolean atHigh) {
      boolean lowHolds = !atLow || at >= lowDigits.length() && !lowExcluded;
      boolean highHolds = !atHigh || at < highDigits.length() || !highExcluded;
      return lowHolds && highHolds;
    }

    private int digit(String digits, int at) {
      return at < digits.length() ? digits.charAt(at) - '0' : 0;
    }

    private void exponent(int from) {
      int sign = network.node();
      int digits = network.node();
      int second = network.node();
      network.text(from, "e", sign);
      network.text(from, "E", sign);
      network.empty(sign, digits);
      network.text(sign, "+", digits);
      network.text(sign, "-", digits);
      network.bytes(digits, '0', '9', second);
      network.empty(second, to);
      network.bytes(second, '0', '9', to);
    }
  }
}
