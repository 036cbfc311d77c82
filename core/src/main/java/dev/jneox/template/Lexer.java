package dev.jneox.template;

import dev.jneox.template.Token.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * Divides a template into text and the tokens of its tags. In a chat template a newline after a
 * block tag is dropped, and so are blanks between the start of a line and a block tag, as HF
 * transformers sets it up ({@code trim_blocks}, {@code lstrip_blocks}); the signs {@code -} and
 * {@code +} in a tag change that.
 */
final class Lexer {
  private static final List<String> OPERATORS =
      List.of(
          "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{",
          "}", ">", "<", "=", ".", ":", "|", ",", ";");

  private final String source;
  private final boolean trims;
  private final List<Token> tokens = new ArrayList<>();
  private int at;
  private int line = 1;
  // Whether what was read last ended a line; blanks before a tag are then at the start of one.
  private boolean lineStart = true;

  private Lexer(String source, boolean trims) {
    this.source = source;
    this.trims = trims;
  }

  /**
   * Divides a template.
   *
   * @throws LineFault when it has no such form
   */
  static List<Token> tokens(String template, Dialect dialect) {
    String source = template.replace("\r\n", "\n").replace('\r', '\n');
    boolean chat = dialect == Dialect.CHAT;
    if (chat && source.endsWith("\n")) {
      source = source.substring(0, source.length() - 1);
    }
    Lexer lexer = new Lexer(source, chat);
    lexer.root();
    lexer.add(Kind.END, "");
    return lexer.tokens;
  }

  /** Reports an error at a line. */
  static final class LineFault extends RuntimeException {
    private static final long serialVersionUID = 1;

    final int line;

    LineFault(int line, String message) {
      super(message, null, false, false);
      this.line = line;
    }
  }

  private LineFault expected(String expected, String found) {
    return new LineFault(line, "expected " + expected + ", found " + found);
  }

  private void add(Kind kind, String text) {
    tokens.add(new Token(kind, text, line));
  }

  private void root() {
    while (at < source.length()) {
      int tag = at;
      while (tag < source.length() && !isTag(tag)) {
        tag++;
      }
      if (tag >= source.length()) {
        data(source.substring(at));
        at = source.length();
        return;
      }
      char kind = source.charAt(tag + 1);
      char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
      boolean signed = sign == '-' || sign == '+';
      String before = source.substring(at, tag);
      String kept = before(before, signed ? sign : ' ', kind != '{');
      data(kept);
      line += lines(before) - lines(kept);
      int start = at;
      at = tag + (signed ? 3 : 2);
      switch (kind) {
        case '#' -> comment(tag);
        case '{' -> {
          add(Kind.VARIABLE_BEGIN, "");
          tag(Kind.VARIABLE_END);
        }
        default -> {
          int raw = rawContent(at);
          if (raw >= 0) {
            line += lines(source.substring(at, raw));
            at = raw;
            lineStart = raw > start && source.charAt(raw - 1) == '\n';
            raw();
          } else {
            add(Kind.BLOCK_BEGIN, "");
            tag(Kind.BLOCK_END);
          }
        }
      }
    }
  }

  private boolean isTag(int place) {
    if (source.charAt(place) != '{' || place + 1 >= source.length()) {
      return false;
    }
    char next = source.charAt(place + 1);
    return next == '{' || next == '%' || next == '#';
  }

  private static int lines(String text) {
    return (int) text.chars().filter(c -> c == '\n').count();
  }

  private void data(String text) {
    if (!text.isEmpty()) {
      add(Kind.DATA, text);
      line += lines(text);
    }
  }

  /** Returns what stays of the text before a tag. */
  private String before(String text, char sign, boolean block) {
    if (sign == '-') {
      return Text.stripEnd(text);
    }
    if (sign == '+' || !block || !trims) {
      return text;
    }
    int last = text.lastIndexOf('\n') + 1;
    boolean blank = last < text.length() && Text.strip(text.substring(last)).isEmpty();
    return blank && (last > 0 || lineStart) ? text.substring(0, last) : text;
  }

  private void comment(int begin) {
    int end = source.indexOf("#}", at);
    if (end < 0) {
      at = begin;
      throw expected("#} to end the comment", "the end of the template");
    }
    boolean signed = end > at && "+-".indexOf(source.charAt(end - 1)) >= 0;
    char sign = signed ? source.charAt(end - 1) : ' ';
    line += lines(source.substring(at, end));
    at = end + 2;
    after(sign, true);
  }

  /** Skips what a tag takes of the text behind it. */
  private void after(char sign, boolean block) {
    int from = at;
    if (sign == '-') {
      skipBlanks();
    } else if (sign != '+' && block && trims && at < source.length() && source.charAt(at) == '\n') {
      at++;
      line++;
    }
    lineStart = at > from && source.charAt(at - 1) == '\n';
  }

  private void skipBlanks() {
    while (at < source.length() && Text.isSpace(source.codePointAt(at))) {
      if (source.charAt(at) == '\n') {
        line++;
      }
      at += Character.charCount(source.codePointAt(at));
    }
  }

  private int skipBlanks(int from) {
    int place = from;
    while (place < source.length() && Text.isSpace(source.codePointAt(place))) {
      place += Character.charCount(source.codePointAt(place));
    }
    return place;
  }

  /** Returns where the content of a raw block begins if its tag stands here; else -1. */
  private int rawContent(int from) {
    int place = skipBlanks(from);
    if (!source.startsWith("raw", place)) {
      return -1;
    }
    place = skipBlanks(place + 3);
    if (source.startsWith("-%}", place)) {
      return skipBlanks(place + 3);
    }
    return source.startsWith("%}", place) ? place + 2 : -1;
  }

  private void raw() {
    for (int tag = source.indexOf("{%", at); tag >= 0; tag = source.indexOf("{%", tag + 1)) {
      int place = tag + 2;
      char sign = ' ';
      if (place < source.length() && "+-".indexOf(source.charAt(place)) >= 0) {
        sign = source.charAt(place++);
      }
      place = skipBlanks(place);
      if (!source.startsWith("endraw", place)) {
        continue;
      }
      place = skipBlanks(place + 6);
      char end = ' ';
      if (place < source.length() && "+-".indexOf(source.charAt(place)) >= 0) {
        end = source.charAt(place++);
      }
      if (!source.startsWith("%}", place)) {
        continue;
      }
      String text = source.substring(at, tag);
      String kept = before(text, sign, true);
      data(kept);
      line += lines(source.substring(at, place)) - lines(kept);
      at = place + 2;
      after(end, true);
      return;
    }
    throw expected("{% endraw %}", "the end of the template");
  }

  /** Reads the tokens of a tag up to its end. */
  private void tag(Kind end) {
    Deque<Character> open = new ArrayDeque<>();
    String mark = end == Kind.BLOCK_END ? "%}" : "}}";
    while (true) {
      skipBlanks();
      if (at >= source.length()) {
        throw expected(mark, "the end of the template");
      }
      if (open.isEmpty() && ended(end, mark)) {
        return;
      }
      char c = source.charAt(at);
      if (c >= '0' && c <= '9') {
        number();
      } else if (c == '\'' || c == '"') {
        string(c);
      } else if (Character.isLetter(source.codePointAt(at)) || c == '_') {
        int from = at;
        while (at < source.length() && isNamePart(source.codePointAt(at))) {
          at += Character.charCount(source.codePointAt(at));
        }
        add(Kind.NAME, source.substring(from, at));
      } else {
        operator(open);
      }
    }
  }

  private static boolean isNamePart(int c) {
    return Character.isLetterOrDigit(c) || c == '_';
  }

  private boolean ended(Kind end, String mark) {
    char sign = source.charAt(at);
    boolean signed = sign == '-' || sign == '+' && end == Kind.BLOCK_END;
    if (!source.startsWith(mark, signed ? at + 1 : at)) {
      return false;
    }
    add(end, "");
    at += mark.length() + (signed ? 1 : 0);
    after(signed ? sign : ' ', end == Kind.BLOCK_END);
    return true;
  }

  private void operator(Deque<Character> open) {
    for (String operator : OPERATORS) {
      if (source.startsWith(operator, at)) {
        char c = operator.charAt(0);
        switch (c) {
          case '(' -> open.push(')');
          case '[' -> open.push(']');
          case '{' -> open.push('}');
          case ')', ']', '}' -> {
            Character expected = open.poll();
            if (expected == null || expected != c) {
              throw expected(
                  expected == null ? "an opening parenthesis before it" : "'" + expected + "'",
                  "'" + c + "'");
            }
          }
          default -> {}
        }
        add(Kind.OPERATOR, operator);
        at += operator.length();
        return;
      }
    }
    throw expected("an expression", "'" + Character.toString(source.codePointAt(at)) + "'");
  }

  private void string(char quote) {
    int from = ++at;
    while (at < source.length() && source.charAt(at) != quote) {
      at += source.charAt(at) == '\\' ? 2 : 1;
    }
    if (at >= source.length()) {
      throw expected("the closing " + quote + " of a string", "the end of the template");
    }
    String text = source.substring(from, at);
    at++;
    try {
      add(Kind.STRING, Text.unescaped(text));
    } catch (TemplateFault e) {
      throw new LineFault(line, e.message());
    }
    line += lines(text);
  }

  private void number() {
    int from = at;
    boolean afterDot = from > 0 && source.charAt(from - 1) == '.';
    int end = digits(from);
    int fraction = end < source.length() && source.charAt(end) == '.' ? digits(end + 1) : end;
    boolean real = !afterDot && fraction > end + 1;
    int mantissa = real ? fraction : end;
    if (!afterDot && mantissa < source.length() && "eE".indexOf(source.charAt(mantissa)) >= 0) {
      int sign = mantissa + 1;
      if (sign < source.length() && "+-".indexOf(source.charAt(sign)) >= 0) {
        sign++;
      }
      int exponent = digits(sign);
      if (exponent > sign) {
        real = true;
        mantissa = exponent;
      }
    }
    if (real) {
      at = mantissa;
      add(Kind.FLOAT, source.substring(from, at).replace("_", ""));
      return;
    }
    at = integerEnd(from);
    add(Kind.INTEGER, source.substring(from, at).replace("_", ""));
  }

  /** Returns the end of digits with single underscores between them. */
  private int digits(int from) {
    int place = from;
    while (place < source.length()
        && (isDigit(place, 10)
            || place > from
                && source.charAt(place) == '_'
                && source.charAt(place - 1) != '_'
                && isDigit(place + 1, 10))) {
      place++;
    }
    return place;
  }

  private boolean isDigit(int place, int radix) {
    return place < source.length()
        && source.charAt(place) < 0x80
        && Character.digit(source.charAt(place), radix) >= 0;
  }

  private int integerEnd(int from) {
    int radix = 10;
    int place = from;
    if (source.charAt(from) == '0') {
      char base = from + 1 < source.length() ? source.charAt(from + 1) : ' ';
      int of =
          switch (base) {
            case 'x', 'X' -> 16;
            case 'o', 'O' -> 8;
            case 'b', 'B' -> 2;
            default -> 10;
          };
      int first = from + 2 < source.length() && source.charAt(from + 2) == '_' ? 1 : 0;
      if (of != 10 && isDigit(from + 2 + first, of)) {
        radix = of;
        place = from + 2;
      } else {
        // A number does not begin with a zero, other than zero itself.
        place = from + 1;
        while (place < source.length()
            && (source.charAt(place) == '0' || source.startsWith("_0", place))) {
          place++;
        }
        return place;
      }
    }
    while (isDigit(place, radix)
        || place < source.length() && source.charAt(place) == '_' && isDigit(place + 1, radix)) {
      place++;
    }
    return place;
  }
}
