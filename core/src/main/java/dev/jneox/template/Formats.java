package dev.jneox.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Formats texts as Python's {@code %} operator and the method {@code format} do. */
final class Formats {
  /** Digits behind the point, and characters that fill up a field. */
  private static final int WIDEST = 10_000;

  private final Values values;
  private final Budget budget;

  Formats(Values values, Budget budget) {
    this.values = values;
    this.budget = budget;
  }

  /** Is how one value is to be written; -1 where width or precision is left out. */
  private record Spec(
      String fill,
      char align,
      char sign,
      boolean alternate,
      int width,
      char grouping,
      int precision,
      char kind) {}

  /** Formats by {@code %}: a tuple has the values, a dict those with names, any other is one. */
  String percent(String format, Object given) {
    budget.read(format.length());
    List<Object> arguments = given instanceof Tuple tuple ? tuple.elements() : List.of(given);
    StringBuilder out = new StringBuilder();
    int used = 0;
    boolean named = false;
    int at = 0;
    while (at < format.length()) {
      int percent = format.indexOf('%', at);
      if (percent < 0) {
        out.append(format, at, format.length());
        break;
      }
      out.append(format, at, percent);
      at = percent + 1;
      Object value = null;
      if (at < format.length() && format.charAt(at) == '(') {
        int end = closing(format, at);
        if (!(given instanceof Dict dict)) {
          throw TemplateFault.expected("a dict for a format with names", Values.type(given));
        }
        String name = format.substring(at + 1, end);
        value = dict.get(name);
        if (value == null) {
          throw TemplateFault.expected("the key '" + name + "' for the format", "none");
        }
        named = true;
        at = end + 1;
      }
      int flags = at;
      while (at < format.length() && "#0- +".indexOf(format.charAt(at)) >= 0) {
        at++;
      }
      String flag = format.substring(flags, at);
      int width = -1;
      if (at < format.length() && format.charAt(at) == '*') {
        width = bounded(Numbers.index(argument(arguments, used++), "a width"));
        at++;
      } else {
        int from = at;
        at = digits(format, at);
        width = at > from ? number(format, from, at) : -1;
      }
      int precision = -1;
      if (at < format.length() && format.charAt(at) == '.') {
        int from = ++at;
        if (at < format.length() && format.charAt(at) == '*') {
          precision = bounded(Numbers.index(argument(arguments, used++), "a precision"));
          at++;
        } else {
          at = digits(format, at);
          precision = at > from ? number(format, from, at) : 0;
        }
      }
      while (at < format.length() && "hlL".indexOf(format.charAt(at)) >= 0) {
        at++;
      }
      if (at >= format.length()) {
        throw TemplateFault.expected("a letter such as s or d behind %", "the end of the format");
      }
      char kind = format.charAt(at++);
      if (kind == '%') {
        out.append('%');
        continue;
      }
      if (value == null) {
        value = argument(arguments, used++);
      }
      out.append(percent(value, flag, width, precision, kind));
      budget.text(out.length());
    }
    boolean mapping =
        given instanceof Dict || given instanceof List<?> || named || given instanceof Undefined;
    if (used < arguments.size() && !mapping) {
      throw TemplateFault.expected(used + " values for the format", arguments.size() + " of them");
    }
    return out.toString();
  }

  private static int closing(String format, int open) {
    int depth = 0;
    for (int i = open; i < format.length(); i++) {
      char c = format.charAt(i);
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
      if (depth == 0) {
        return i;
      }
    }
    throw TemplateFault.expected("a closing parenthesis in the format", "none");
  }

  private static Object argument(List<Object> arguments, int at) {
    if (at >= arguments.size()) {
      throw TemplateFault.expected(
          "a value for each % of the format", arguments.size() + " values");
    }
    return arguments.get(at);
  }

  private static int digits(String text, int from) {
    int at = from;
    while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
      at++;
    }
    return at;
  }

  private static int number(String text, int from, int to) {
    return to - from > 8 ? bounded(Long.MAX_VALUE) : bounded(Long.parseLong(text, from, to, 10));
  }

  private static int bounded(long number) {
    if (Math.abs(number) > WIDEST) {
      throw TemplateFault.expected(
          "a width or precision of at most " + WIDEST, String.valueOf(number));
    }
    return (int) number;
  }

  private String percent(Object value, String flags, int width, int precision, char kind) {
    boolean left = flags.contains("-") || width < -1;
    char sign = flags.contains("+") ? '+' : flags.contains(" ") ? ' ' : '-';
    boolean alternate = flags.contains("#");
    int wide = width < -1 ? -width : width;
    char align = left ? '<' : '>';
    switch (kind) {
      case 's', 'r', 'a' -> {
        String text = kind == 's' ? values.str(value) : values.repr(value);
        if (kind == 'a') {
          text = ascii(text);
        }
        return padded(cut(text, precision), " ", align, wide);
      }
      case 'c' -> {
        String text =
            Numbers.isInteger(value) ? character(value) : Values.text(value, "a character");
        if (Text.length(text) != 1) {
          throw TemplateFault.expected("one character for %c", Text.length(text) + " of them");
        }
        return padded(text, " ", align, wide);
      }
      case 'd', 'i', 'u', 'x', 'X', 'o' -> {
        Object number =
            value instanceof Double real && "diu".indexOf(kind) >= 0
                ? Numbers.truncated(real)
                : value;
        if (number == null || !Numbers.isInteger(number)) {
          throw TemplateFault.expected("an integer for %" + kind, Values.type(value));
        }
        BigInteger big = Numbers.big(number);
        int radix = kind == 'o' ? 8 : kind == 'x' || kind == 'X' ? 16 : 10;
        String digits = big.abs().toString(radix);
        digits = "0".repeat(Math.max(0, precision - digits.length())) + digits;
        String prefix = !alternate || radix == 10 ? "" : radix == 8 ? "0o" : "0x";
        String shown = kind == 'X' ? digits.toUpperCase(Locale.ROOT) : digits;
        return signed(
            big.signum() < 0,
            sign,
            kind == 'X' ? prefix.toUpperCase(Locale.ROOT) : prefix,
            shown,
            flags.contains("0") && !left ? '=' : align,
            wide);
      }
      case 'e', 'E', 'f', 'F', 'g', 'G' -> {
        if (!Numbers.isNumber(value)) {
          throw TemplateFault.expected("a number for %" + kind, Values.type(value));
        }
        String text =
            Numbers.format(Numbers.real(value), kind, precision < 0 ? 6 : precision, alternate);
        boolean negative = text.startsWith("-");
        return signed(
            negative,
            sign,
            "",
            negative ? text.substring(1) : text,
            flags.contains("0") && !left ? '=' : align,
            wide);
      }
      default ->
          throw TemplateFault.expected(
              "one of s, r, d, i, u, x, X, o, e, f, g, c or % in a format", "'" + kind + "'");
    }
  }

  private static String ascii(String text) {
    StringBuilder out = new StringBuilder();
    text.codePoints()
        .forEach(
            c -> {
              if (c < 0x80) {
                out.appendCodePoint(c);
              } else {
                out.append(
                    (c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x").formatted(c));
              }
            });
    return out.toString();
  }

  private static String character(Object value) {
    long c = Numbers.index(value, "a character");
    if (c < 0 || c > Character.MAX_CODE_POINT) {
      throw TemplateFault.expected("a character up to 10FFFF", String.valueOf(c));
    }
    return Character.toString((int) c);
  }

  private static String cut(String text, int precision) {
    return precision < 0 || Text.length(text) <= precision ? text : Text.part(text, 0, precision);
  }

  private static String padded(String text, String fill, char align, int width) {
    int lack = width - Text.length(text);
    if (lack <= 0) {
      return text;
    }
    return switch (align) {
      case '<' -> text + fill.repeat(lack);
      case '^' -> fill.repeat(lack / 2) + text + fill.repeat(lack - lack / 2);
      default -> fill.repeat(lack) + text;
    };
  }

  private static String signed(
      boolean negative, char sign, String prefix, String digits, char align, int width) {
    String front = (negative ? "-" : sign == '-' ? "" : String.valueOf(sign)) + prefix;
    if (align == '=') {
      return front + "0".repeat(Math.max(0, width - front.length() - digits.length())) + digits;
    }
    return padded(front + digits, " ", align, width);
  }

  /** Finds the value of a field of the method format. */
  interface Fields {
    Object value(String name, Object of, boolean attribute);
  }

  /**
   * Formats by {@code {}} fields.
   *
   * @param member gives an attribute or an item of a value
   */
  String braces(String format, Args args, Fields member, int depth) {
    return braces(format, args, member, new int[] {0}, depth);
  }

  private String braces(String format, Args args, Fields member, int[] next, int depth) {
    if (depth > 2) {
      throw TemplateFault.expected("fields within fields of a format once", "more levels");
    }
    budget.read(format.length());
    StringBuilder out = new StringBuilder();
    int at = 0;
    while (at < format.length()) {
      char c = format.charAt(at++);
      if (c != '{' && c != '}') {
        out.append(c);
        continue;
      }
      if (at < format.length() && format.charAt(at) == c) {
        out.append(c);
        at++;
        continue;
      }
      if (c == '}') {
        throw TemplateFault.expected("'{' before '}' in a format", "none");
      }
      int end = at;
      for (int open = 1; end < format.length(); end++) {
        open += format.charAt(end) == '{' ? 1 : format.charAt(end) == '}' ? -1 : 0;
        if (open == 0) {
          break;
        }
      }
      if (end >= format.length()) {
        throw TemplateFault.expected("'}' in a format", "its end");
      }
      out.append(field(format.substring(at, end), args, member, next, depth));
      budget.text(out.length());
      at = end + 1;
    }
    return out.toString();
  }

  private String field(String field, Args args, Fields member, int[] next, int depth) {
    int end = 0;
    boolean bracket = false;
    while (end < field.length()
        && (bracket || field.charAt(end) != ':' && field.charAt(end) != '!')) {
      bracket = field.charAt(end) == '[' || bracket && field.charAt(end) != ']';
      end++;
    }
    Object value = named(field.substring(0, end), args, member, next);
    if (end < field.length() && field.charAt(end) == '!') {
      char kind = end + 1 < field.length() ? field.charAt(end + 1) : ' ';
      end += 2;
      if (end < field.length() && field.charAt(end) != ':') {
        throw TemplateFault.expected("':' behind a conversion in a format", "'" + field + "'");
      }
      value =
          switch (kind) {
            case 's' -> values.str(value);
            case 'r' -> values.repr(value);
            case 'a' -> ascii(values.repr(value));
            default -> throw TemplateFault.expected("!s, !r or !a in a format", "'" + field + "'");
          };
    }
    String spec =
        end < field.length() ? braces(field.substring(end + 1), args, member, next, depth + 1) : "";
    return format(value, spec);
  }

  private Object named(String name, Args args, Fields member, int[] next) {
    int end = 0;
    while (end < name.length() && name.charAt(end) != '.' && name.charAt(end) != '[') {
      end++;
    }
    String first = name.substring(0, end);
    Object value;
    if (first.isEmpty() || digits(first, 0) == first.length()) {
      boolean automatic = first.isEmpty();
      if (next[0] != 0 && automatic != next[0] > 0) {
        throw TemplateFault.expected("all fields of a format with numbers, or none", "both");
      }
      int at = automatic ? next[0]++ : number(first, 0, first.length());
      next[0] = automatic ? next[0] : -1;
      if (at >= args.positional().size()) {
        throw TemplateFault.expected(
            "a value for each field of the format", args.positional().size() + " values");
      }
      value = args.positional().get(at);
    } else {
      Object found = args.named().get(first);
      if (found == null) {
        throw TemplateFault.expected("the argument '" + first + "' of format", "none");
      }
      value = found;
    }
    while (end < name.length()) {
      boolean item = name.charAt(end) == '[';
      int from = end + 1;
      if (item) {
        end = name.indexOf(']', from);
        if (end < 0) {
          throw TemplateFault.expected("']' in a field of a format", "'" + name + "'");
        }
      } else {
        end = from;
        while (end < name.length() && name.charAt(end) != '.' && name.charAt(end) != '[') {
          end++;
        }
      }
      value = member.value(name.substring(from, end), value, !item);
      end += item ? 1 : 0;
    }
    return value;
  }

  /** Formats one value by Python's format specification. */
  private String format(Object value, String text) {
    if (text.isEmpty()) {
      return values.str(value);
    }
    Spec spec = spec(text);
    if (Values.isText(value)) {
      if (spec.kind != 's' && spec.kind != 0
          || spec.align == '='
          || spec.sign != 0
          || spec.alternate
          || spec.grouping != 0) {
        throw TemplateFault.expected("a format of texts", "'" + text + "'");
      }
      char align = spec.align == 0 ? '<' : spec.align;
      return padded(cut(Values.text(value, ""), spec.precision), spec.fill, align, spec.width);
    }
    if (!Numbers.isNumber(value)) {
      throw TemplateFault.expected(
          "no format specification for " + Values.type(value), "'" + text + "'");
    }
    boolean integer =
        Numbers.isInteger(value) && (spec.kind == 0 || "bcdoxXn".indexOf(spec.kind) >= 0);
    return numeric(spec, integer ? integer(value, spec) : real(value, spec), text);
  }

  private String integer(Object value, Spec spec) {
    if (spec.precision >= 0) {
      throw TemplateFault.expected("no precision for an integer", String.valueOf(spec.precision));
    }
    BigInteger big = Numbers.big(value);
    return switch (spec.kind) {
      case 'b' -> big.toString(2);
      case 'o' -> big.toString(8);
      case 'x' -> big.toString(16);
      case 'X' -> big.toString(16).toUpperCase(Locale.ROOT);
      case 'c' -> character(value);
      default -> big.toString();
    };
  }

  private String real(Object value, Spec spec) {
    double real = Numbers.real(value);
    return switch (spec.kind) {
      case 0 -> {
        if (spec.precision < 0) {
          yield Numbers.text(real);
        }
        String general = Numbers.format(real, 'g', spec.precision, spec.alternate);
        int digits = Math.max(1, spec.precision);
        boolean wide =
            real != 0
                && !Double.isInfinite(real)
                && !Double.isNaN(real)
                && !general.contains("e")
                && !general.contains(".")
                && new BigDecimal(general).precision() >= digits;
        yield wide
            ? Numbers.format(real, 'e', digits - 1, false).replaceFirst("[.]?0*e", "e")
            : general.contains(".") || general.contains("e") || general.contains("n")
                ? general
                : general + ".0";
      }
      case '%' ->
          Numbers.format(real * 100, 'f', spec.precision < 0 ? 6 : spec.precision, spec.alternate)
              + "%";
      case 'e', 'E', 'f', 'F', 'g', 'G' ->
          Numbers.format(real, spec.kind, spec.precision < 0 ? 6 : spec.precision, spec.alternate);
      case 'n' ->
          Numbers.format(real, 'g', spec.precision < 0 ? 6 : spec.precision, spec.alternate);
      default -> throw TemplateFault.expected("a format of numbers", "'" + spec.kind + "'");
    };
  }

  private static String numeric(Spec spec, String number, String text) {
    boolean negative = number.startsWith("-");
    String digits = negative ? number.substring(1) : number;
    if (spec.grouping != 0) {
      int whole = digits(digits, 0);
      StringBuilder grouped = new StringBuilder(digits);
      int every = spec.kind != 0 && "boxX".indexOf(spec.kind) >= 0 ? 4 : 3;
      if (every == 4) {
        whole = digits.length();
      }
      for (int at = whole - every; at > 0; at -= every) {
        grouped.insert(at, spec.grouping);
      }
      digits = grouped.toString();
      if (spec.align == '=' && spec.fill.equals("0")) {
        throw TemplateFault.expected("no zeros before a number with separators", "'" + text + "'");
      }
    }
    String prefix =
        !spec.alternate
            ? ""
            : switch (spec.kind) {
              case 'b' -> "0b";
              case 'o' -> "0o";
              case 'x' -> "0x";
              case 'X' -> "0X";
              default -> "";
            };
    String front =
        (negative ? "-" : spec.sign == '+' || spec.sign == ' ' ? String.valueOf(spec.sign) : "")
            + prefix;
    if (spec.align == '=') {
      int lack = spec.width - front.length() - digits.length();
      return front + spec.fill.repeat(Math.max(0, lack)) + digits;
    }
    return padded(front + digits, spec.fill, spec.align == 0 ? '>' : spec.align, spec.width);
  }

  private static Spec spec(String text) {
    int at = 0;
    String fill = " ";
    char align = 0;
    int first = Character.charCount(text.codePointAt(0));
    if (text.length() > first && "<>=^".indexOf(text.charAt(first)) >= 0) {
      fill = text.substring(0, first);
      align = text.charAt(first);
      at = first + 1;
    } else if ("<>=^".indexOf(text.charAt(0)) >= 0) {
      align = text.charAt(at++);
    }
    char sign = at < text.length() && "+- ".indexOf(text.charAt(at)) >= 0 ? text.charAt(at++) : 0;
    boolean alternate = at < text.length() && text.charAt(at) == '#';
    at += alternate ? 1 : 0;
    if (at < text.length() && text.charAt(at) == '0') {
      fill = align == 0 ? "0" : fill;
      align = align == 0 ? '=' : align;
      at++;
    }
    int from = at;
    at = digits(text, at);
    int width = at > from ? number(text, from, at) : -1;
    char grouping =
        at < text.length() && ",_".indexOf(text.charAt(at)) >= 0 ? text.charAt(at++) : 0;
    int precision = -1;
    if (at < text.length() && text.charAt(at) == '.') {
      from = ++at;
      at = digits(text, at);
      if (at == from) {
        throw TemplateFault.expected("digits behind '.' in a format", "'" + text + "'");
      }
      precision = number(text, from, at);
    }
    char kind = at < text.length() ? text.charAt(at++) : 0;
    if (at < text.length()) {
      throw TemplateFault.expected("a format specification", "'" + text + "'");
    }
    return new Spec(fill, align, sign, alternate, width, grouping, precision, kind);
  }

  /** Returns a text with blanks or another character before, behind or around it. */
  String aligned(String text, char align, long width, @Nullable Object fill) {
    String with = fill == null ? " " : Values.text(fill, "the fill character");
    if (Text.length(with) != 1) {
      throw TemplateFault.expected("one fill character", Text.length(with) + " of them");
    }
    budget.text(Math.max(width, text.length()));
    int lack = (int) Math.max(0, width - Text.length(text));
    if (align == '^') {
      // Python puts the odd blank of an odd width to the left.
      int left = lack / 2 + (lack & (int) width & 1);
      return with.repeat(left) + text + with.repeat(lack - left);
    }
    return padded(text, with, align, (int) width);
  }
}
