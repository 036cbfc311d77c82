package dev.jneox.eval;

import dev.jneox.io.InputException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads a literal of Python, as {@code ast.literal_eval} does: texts, numbers, booleans, None,
 * lists, tuples (as lists) and dicts with texts as keys.
 */
final class PythonLiteral {
  /** Nested lists; Python's own parser allows 200 brackets. */
  private static final int DEPTH = 200;

  private final String text;
  private int at;
  private int depth;

  private PythonLiteral(String text) {
    this.text = text;
  }

  /**
   * Reads a text that is one literal.
   *
   * @throws InputException when it is none
   */
  static @Nullable Object parse(String text) {
    PythonLiteral literal = new PythonLiteral(text);
    literal.skip();
    Object value = literal.value();
    literal.skip();
    if (literal.at < text.length()) {
      throw literal.expected("the end of the literal");
    }
    return value;
  }

  private InputException expected(String what) {
    return new InputException(
        "expected "
            + what
            + " at character "
            + (at + 1)
            + " of a Python literal, found "
            + (at < text.length()
                ? "'" + Character.toString(text.codePointAt(at)) + "'"
                : "its end"));
  }

  private void skip() {
    while (at < text.length() && " \t\r\n\f".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private @Nullable Object value() {
    if (++depth > DEPTH) {
      throw expected("at most " + DEPTH + " nested lists");
    }
    try {
      if (at >= text.length()) {
        throw expected("a value");
      }
      char c = text.charAt(at);
      return switch (c) {
        case '[' -> several(']');
        case '(' -> several(')');
        case '{' -> dict();
        case '\'', '"' -> texts();
        default -> c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9' ? number() : word();
      };
    } finally {
      depth--;
    }
  }

  private @Nullable Object word() {
    for (String word : List.of("None", "True", "False")) {
      if (text.startsWith(word, at)) {
        at += word.length();
        return word.equals("None") ? null : (Object) word.equals("True");
      }
    }
    throw expected("a text, number, list, dict, True, False or None");
  }

  private @Nullable Object several(char close) {
    at++;
    List<@Nullable Object> values = new ArrayList<>();
    boolean tuple = close == ']';
    skip();
    while (at < text.length() && text.charAt(at) != close) {
      values.add(value());
      skip();
      if (at < text.length() && text.charAt(at) == ',') {
        tuple = true;
        at++;
        skip();
      } else if (at >= text.length() || text.charAt(at) != close) {
        throw expected("',' or '" + close + "'");
      }
    }
    if (at >= text.length()) {
      throw expected("'" + close + "'");
    }
    at++;
    return !tuple && values.size() == 1 ? values.getFirst() : values; // (1) is 1
  }

  private Map<String, @Nullable Object> dict() {
    at++;
    Map<String, @Nullable Object> values = new LinkedHashMap<>();
    skip();
    while (at < text.length() && text.charAt(at) != '}') {
      if ("'\"".indexOf(text.charAt(at)) < 0) {
        throw expected("a text as a key");
      }
      String key = texts();
      skip();
      if (at >= text.length() || text.charAt(at) != ':') {
        throw expected("':'");
      }
      at++;
      skip();
      values.put(key, value());
      skip();
      if (at < text.length() && text.charAt(at) == ',') {
        at++;
        skip();
      } else if (at >= text.length() || text.charAt(at) != '}') {
        throw expected("',' or '}'");
      }
    }
    if (at >= text.length()) {
      throw expected("'}'");
    }
    at++;
    return values;
  }

  private Object number() {
    int from = at;
    if ("+-".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    while (at < text.length()
        && (Character.isLetterOrDigit(text.charAt(at))
            || text.charAt(at) == '.'
            || text.charAt(at) == '_'
            || "+-".indexOf(text.charAt(at)) >= 0 && "eE".indexOf(text.charAt(at - 1)) >= 0)) {
      at++;
    }
    String number = text.substring(from, at).replace("_", "");
    String digits = number.replaceFirst("^[+-]", "");
    if (digits.matches("0+|[1-9]\\d*")) {
      BigInteger whole = new BigInteger(number);
      return whole.bitLength() < Long.SIZE ? (Object) whole.longValue() : whole;
    }
    if (digits.matches("(\\d+\\.\\d*|\\.\\d+|\\d+(?=[eE]))([eE][+-]?\\d+)?")) {
      return Double.parseDouble(number);
    }
    at = from;
    throw expected("a decimal number");
  }

  /** Reads a text, and those behind it, which are one with it. */
  private String texts() {
    StringBuilder out = new StringBuilder();
    while (at < text.length() && "'\"".indexOf(text.charAt(at)) >= 0) {
      one(out);
      skip();
    }
    return out.toString();
  }

  private void one(StringBuilder out) {
    char quote = text.charAt(at);
    String triple = String.valueOf(quote).repeat(3);
    boolean isTriple = text.startsWith(triple, at);
    String close = isTriple ? triple : String.valueOf(quote);
    at += close.length();
    while (!text.startsWith(close, at)) {
      if (at >= text.length() || text.charAt(at) == '\n' && !isTriple) {
        throw expected(close);
      }
      char c = text.charAt(at++);
      if (c == '\\' && at < text.length()) {
        escape(out);
      } else {
        out.append(c);
      }
    }
    at += close.length();
  }

  private void escape(StringBuilder out) {
    char c = text.charAt(at++);
    switch (c) {
      case '\n' -> {}
      case '\\', '\'', '"' -> out.append(c);
      case 'a' -> out.append('\u0007');
      case 'b' -> out.append('\b');
      case 'f' -> out.append('\f');
      case 'n' -> out.append('\n');
      case 'r' -> out.append('\r');
      case 't' -> out.append('\t');
      case 'v' -> out.append('\u000b');
      case 'x' -> code(2, out);
      case 'u' -> code(4, out);
      case 'U' -> code(8, out);
      case '0', '1', '2', '3', '4', '5', '6', '7' -> {
        int end = at;
        while (end < text.length() && end < at + 2 && "01234567".indexOf(text.charAt(end)) >= 0) {
          end++;
        }
        out.append((char) Integer.parseInt(text.substring(at - 1, end), 8));
        at = end;
      }
      default -> out.append('\\').append(c);
    }
  }

  private void code(int digits, StringBuilder out) {
    String hex = text.substring(at, Math.min(text.length(), at + digits));
    if (!hex.matches("[0-9a-fA-F]{" + digits + "}")) {
      throw expected(digits + " hexadecimal digits");
    }
    long code = Long.parseLong(hex, 16);
    if (code > Character.MAX_CODE_POINT) {
      throw expected("a code point up to 10FFFF");
    }
    out.appendCodePoint((int) code);
    at += digits;
  }
}
