package dev.jneox.grammar;

import dev.jneox.io.InputException;
import dev.jneox.io.VisibleText;
import dev.jneox.tokenizer.CodePointSet;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * Reads a regular expression: what ECMAScript and Python have in common, with ECMAScript's meaning.
 * {@code \d} and {@code \w} are of ASCII, {@code \s} and the dot those of ECMAScript. Groups are
 * only for precedence. What looks around or back is refused, because it is no regular language.
 */
final class RegexReader {
  /** The longest expression, in UTF-16 units. */
  private static final int LONGEST = 1 << 16;

  /** The deepest nesting of groups. */
  private static final int DEEPEST = 100;

  /** The largest bound of a repetition. */
  private static final int LARGEST_COUNT = Nfa.LARGEST;

  private static final CodePointSet DIGIT = CodePointSet.range('0', '9');
  private static final CodePointSet WORD =
      DIGIT
          .union(CodePointSet.range('a', 'z'))
          .union(CodePointSet.range('A', 'Z'))
          .union(CodePointSet.of('_'));
  private static final CodePointSet BREAKS =
      CodePointSet.of('\n').union(CodePointSet.of('\r')).union(CodePointSet.range(0x2028, 0x2029));
  private static final CodePointSet SPACE =
      CodePointSet.range('\t', '\r')
          .union(BREAKS)
          .union(CodePointSet.of(0xFEFF))
          .union(
              CodePointSet.range(0x2000, 0x200A)
                  .union(CodePointSet.of(' '))
                  .union(CodePointSet.of(0xA0))
                  .union(CodePointSet.of(0x1680))
                  .union(CodePointSet.of(0x202F))
                  .union(CodePointSet.of(0x205F))
                  .union(CodePointSet.of(0x3000)));

  private final String text;
  private final boolean search;
  private int at;
  private int depth;
  private boolean anchoredStart;
  private boolean anchoredEnd;

  private RegexReader(String text, boolean search) {
    this.text = text;
    this.search = search;
  }

  /**
   * Reads an expression that the whole text is to match.
   *
   * @throws InputException that names the position, from 1
   */
  static Regex whole(String text) {
    return new RegexReader(text, false).read();
  }

  /** Reads an expression that some part of the text is to match. */
  static Regex search(String text) {
    return new RegexReader(text, true).read();
  }

  private Regex read() {
    if (text.length() > LONGEST) {
      throw new InputException(
          "regular expression: expected at most "
              + LONGEST
              + " characters, found "
              + text.length());
    }
    Regex regex = choice();
    if (at < text.length()) {
      throw expected("an end of the expression");
    }
    return regex;
  }

  private InputException expected(String what) {
    String rest = text.substring(at, text.offsetByCodePoints(at, Math.min(10, points(at))));
    return wrong(at, what, rest.isEmpty() ? "the end" : "'" + rest + "'");
  }

  private int points(int from) {
    return text.codePointCount(from, text.length());
  }

  private InputException wrong(int place, String expected, String found) {
    return new InputException(
        "regular expression: position "
            + (place + 1)
            + ": expected "
            + expected
            + ", found "
            + VisibleText.of(found));
  }

  private boolean more() {
    return at < text.length();
  }

  private boolean next(String piece) {
    if (text.startsWith(piece, at)) {
      at += piece.length();
      return true;
    }
    return false;
  }

  private Regex choice() {
    List<Regex> choices = new ArrayList<>();
    do {
      choices.add(sequence());
    } while (next("|"));
    return choices.size() == 1 ? choices.getFirst() : new Regex.Any(choices);
  }

  /** Reads one alternative; anchors may be at the ends of one that is in no group. */
  private Regex sequence() {
    anchoredStart = false;
    anchoredEnd = false;
    List<Regex> parts = new ArrayList<>();
    if (depth == 0) {
      while (next("^") || next("\\A")) {
        anchoredStart = true;
      }
    }
    boolean top = depth == 0;
    boolean starts = anchoredStart;
    boolean ends = false;
    while (more() && text.charAt(at) != '|' && text.charAt(at) != ')') {
      int place = at;
      if (next("$") || next("\\Z") || next("\\z")) {
        boolean last = !more() || text.charAt(at) == '|' || text.charAt(at) == '$';
        if (!top || !last) {
          throw wrong(place, "an anchor at an end of the expression alone", "one within it");
        }
        ends = true;
        continue;
      }
      parts.add(repeated());
    }
    if (top && search) {
      Regex any = new Regex.Repeat(new Regex.One(CodePointSet.ALL), 0, Regex.NO_LIMIT);
      if (!starts) {
        parts.addFirst(any);
      }
      if (!ends) {
        parts.addLast(any);
      }
    }
    return parts.size() == 1 ? parts.getFirst() : new Regex.All(parts);
  }

  private Regex repeated() {
    Regex body = one();
    int place = at;
    int least;
    int most;
    if (next("*")) {
      least = 0;
      most = Regex.NO_LIMIT;
    } else if (next("+")) {
      least = 1;
      most = Regex.NO_LIMIT;
    } else if (next("?")) {
      least = 0;
      most = 1;
    } else if (isCount()) {
      at++;
      least = text.charAt(at) == ',' ? 0 : number();
      most = least;
      if (next(",")) {
        most = text.charAt(at) == '}' ? Regex.NO_LIMIT : number();
      }
      at++;
      if (most < least) {
        throw wrong(place, "a range of counts", text.substring(place, at));
      }
    } else {
      return body;
    }
    next("?"); // lazy: the same texts
    if (more() && "*+?".indexOf(text.charAt(at)) >= 0 || isCount()) {
      throw expected("one quantifier");
    }
    return new Regex.Repeat(body, least, most);
  }

  /** Returns whether a count in braces is next; other braces are characters. */
  private boolean isCount() {
    if (!more() || text.charAt(at) != '{') {
      return false;
    }
    int end = text.indexOf('}', at);
    return end > 0 && text.substring(at + 1, end).matches("[0-9]+(,[0-9]*)?|,[0-9]+");
  }

  private int number() {
    int place = at;
    while (Character.isDigit(text.charAt(at))) {
      at++;
    }
    String digits = text.substring(place, at);
    if (digits.length() > 9 || Integer.parseInt(digits) > LARGEST_COUNT) {
      throw wrong(place, "a count up to " + LARGEST_COUNT, digits);
    }
    return Integer.parseInt(digits);
  }

  private Regex one() {
    int place = at;
    int c = text.codePointAt(at);
    switch (c) {
      case '(' -> {
        return group();
      }
      case '[' -> {
        return new Regex.One(set());
      }
      case '.' -> {
        at++;
        return new Regex.One(BREAKS.complement());
      }
      case '*', '+', '?' -> throw expected("something to repeat");
      case '^' ->
          throw wrong(place, "an anchor at an end of the expression alone", "one within it");
      case '\\' -> {
        return new Regex.One(escape(false));
      }
      default -> {
        at += Character.charCount(c);
        if (c >= 0xD800 && c <= 0xDFFF) {
          throw wrong(place, "a whole character", "half of a surrogate pair");
        }
        return new Regex.One(CodePointSet.of(c));
      }
    }
  }

  private Regex group() {
    int place = at;
    at++;
    if (next("?")) {
      if (next("=") || next("!") || next("<=") || next("<!")) {
        throw wrong(place, "no lookaround, which is not supported", "one");
      }
      if (next("P<") || next("<")) {
        int end = text.indexOf('>', at);
        if (end < 0 || !text.substring(at, end).matches("[\\p{L}_$][\\p{L}\\p{N}_$]*")) {
          throw expected("the name of a group");
        }
        at = end + 1;
      } else if (!next(":")) {
        at = place;
        throw expected("a group: (...), (?:...) or (?<name>...)");
      }
    }
    if (++depth > DEEPEST) {
      throw wrong(place, "groups at most " + DEEPEST + " deep", "a deeper one");
    }
    Regex body = choice();
    depth--;
    if (!next(")")) {
      throw expected("the end of the group that begins at position " + (place + 1));
    }
    return body;
  }

  private CodePointSet set() {
    int place = at;
    at++;
    boolean negated = next("^");
    List<CodePointSet> members = new ArrayList<>();
    // An empty class matches nothing in ECMAScript; Python reads the bracket as a member.
    if (more() && text.charAt(at) == ']') {
      throw wrong(place, "a class with members; write \\] for a bracket", "none");
    }
    while (!next("]")) {
      if (!more()) {
        throw expected("the end of the class that begins at position " + (place + 1));
      }
      int from = at;
      CodePointSet member = member();
      boolean range =
          text.startsWith("-", at) && at + 1 < text.length() && text.charAt(at + 1) != ']';
      if (range) {
        at++;
        CodePointSet last = member();
        int low = member.isEmpty() ? -1 : member.ranges()[0];
        int high = last.isEmpty() ? -1 : last.ranges()[0];
        if (member.size() != 1 || last.size() != 1 || high < low) {
          throw wrong(from, "a range of characters", "'" + text.substring(from, at) + "'");
        }
        member = CodePointSet.range(low, high);
      }
      members.add(member);
    }
    CodePointSet set = union(members);
    return negated ? set.complement() : set;
  }

  /** Joins halves, so that the time stays near linear in the ranges. */
  private static CodePointSet union(List<CodePointSet> sets) {
    if (sets.size() < 2) {
      return sets.isEmpty() ? CodePointSet.NONE : sets.getFirst();
    }
    int half = sets.size() / 2;
    return union(sets.subList(0, half)).union(union(sets.subList(half, sets.size())));
  }

  private CodePointSet member() {
    if (!more()) {
      throw expected("a member of a class");
    }
    if (text.charAt(at) == '\\') {
      return escape(true);
    }
    int c = text.codePointAt(at);
    at += Character.charCount(c);
    return CodePointSet.of(c);
  }

  private CodePointSet escape(boolean inClass) {
    int place = at;
    at++;
    if (!more()) {
      throw expected("an escaped character");
    }
    int c = text.codePointAt(at);
    at += Character.charCount(c);
    return switch (c) {
      case 'd' -> DIGIT;
      case 'D' -> DIGIT.complement();
      case 'w' -> WORD;
      case 'W' -> WORD.complement();
      case 's' -> SPACE;
      case 'S' -> SPACE.complement();
      case 'n' -> CodePointSet.of('\n');
      case 'r' -> CodePointSet.of('\r');
      case 't' -> CodePointSet.of('\t');
      case 'f' -> CodePointSet.of('\f');
      case 'v' -> CodePointSet.of(0x0B);
      case 'x' -> CodePointSet.of(hex(2));
      case 'u' -> CodePointSet.of(unicode());
      case 'p', 'P' -> property(place, c == 'P');
      case 'b', 'B' -> {
        if (inClass && c == 'b') {
          yield CodePointSet.of('\b');
        }
        throw wrong(place, "no word boundary, which is not supported", "one");
      }
      case '0' -> {
        if (more() && Character.isDigit(text.charAt(at))) {
          throw wrong(place, "\\0 alone, or \\x and two digits", text.substring(place, at + 1));
        }
        yield CodePointSet.of(0);
      }
      case '1', '2', '3', '4', '5', '6', '7', '8', '9', 'k' ->
          throw wrong(place, "no backreference, which is not supported", text.substring(place, at));
      default -> {
        boolean letter = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z';
        if (letter) {
          throw wrong(place, "an escape that is known", text.substring(place, at));
        }
        yield CodePointSet.of(c);
      }
    };
  }

  private int hex(int digits) {
    int end = at + digits;
    if (end > text.length() || !text.substring(at, end).chars().allMatch(HexFormat::isHexDigit)) {
      throw expected(digits + " hexadecimal digits");
    }
    int value = HexFormat.fromHexDigits(text, at, end);
    at = end;
    return value;
  }

  private int unicode() {
    int place = at - 2;
    if (next("{")) {
      int end = text.indexOf('}', at);
      boolean good =
          end > at
              && end <= at + 6
              && text.substring(at, end).chars().allMatch(HexFormat::isHexDigit)
              && HexFormat.fromHexDigits(text, at, end) <= Character.MAX_CODE_POINT;
      if (!good) {
        throw expected("a code point in hexadecimal digits and '}'");
      }
      int value = HexFormat.fromHexDigits(text, at, end);
      at = end + 1;
      return value;
    }
    int value = hex(4);
    if (Character.isHighSurrogate((char) value) && next("\\u")) {
      int low = hex(4);
      if (Character.isLowSurrogate((char) low)) {
        return Character.toCodePoint((char) value, (char) low);
      }
    }
    if (value >= 0xD800 && value <= 0xDFFF) {
      throw wrong(place, "a whole character", "half of a surrogate pair");
    }
    return value;
  }

  private CodePointSet property(int place, boolean negated) {
    int end = text.startsWith("{", at) ? text.indexOf('}', at) : -1;
    String name = end < 0 ? "" : text.substring(at + 1, end);
    CodePointSet set = CodePointSet.ofProperty(name).orElse(null);
    if (set == null) {
      throw wrong(place, "a general category or a script, as \\p{L}", "'\\p{" + name + "}'");
    }
    at = end + 1;
    return negated ? set.complement() : set;
  }
}
