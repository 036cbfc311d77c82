package dev.jneox.tokenizer;

import dev.jneox.tokenizer.RegexNode.All;
import dev.jneox.tokenizer.RegexNode.Any;
import dev.jneox.tokenizer.RegexNode.Atomic;
import dev.jneox.tokenizer.RegexNode.Greed;
import dev.jneox.tokenizer.RegexNode.Look;
import dev.jneox.tokenizer.RegexNode.One;
import dev.jneox.tokenizer.RegexNode.Place;
import dev.jneox.tokenizer.RegexNode.Repeat;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Parses the regular expressions of {@code tokenizer.json}, in the Ruby syntax of the Oniguruma
 * library (its document "RE"), which the Hugging Face library uses. Rejects features that it does
 * not have: back references, calls, conditions, free spacing.
 */
final class RegexParser {
  private static final int LONGEST = 10_000;
  private static final int DEEPEST = 100;
  private static final int MOST = 100_000;

  /** Says which part of an expression is invalid or unsupported. */
  static final class Unsupported extends Exception {
    Unsupported(String message) {
      super(message);
    }
  }

  private final int[] pattern;
  private int at;
  private int depth;

  /** Letters match whatever their case. */
  private boolean ignoreCase;

  /** A full stop matches a newline too. */
  private boolean dotAll;

  /** The same two flags for the group whose letters {@link #options} has read. */
  private boolean ignoreCaseInside;

  private boolean dotAllInside;

  /** The character that the last atom matches, -1 for others. */
  private int literal;

  private RegexParser(String pattern) {
    this.pattern = pattern.codePoints().toArray();
  }

  static RegexNode parse(String pattern) throws Unsupported {
    if (pattern.length() > LONGEST) {
      throw new Unsupported("an expression of more than " + LONGEST + " characters");
    }
    RegexParser parser = new RegexParser(pattern);
    RegexNode node = parser.choices();
    if (parser.more()) {
      throw parser.unsupported("a closing parenthesis without an opening one");
    }
    return node;
  }

  private Unsupported unsupported(String what) {
    return new Unsupported(what + " before character " + (at + 1));
  }

  private boolean more() {
    return at < pattern.length;
  }

  private boolean looking(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (at + i >= pattern.length || pattern[at + i] != text.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  private boolean skip(String text) {
    boolean there = looking(text);
    at += there ? text.length() : 0;
    return there;
  }

  private int next() throws Unsupported {
    if (!more()) {
      throw unsupported("an expression that ends too early");
    }
    return pattern[at++];
  }

  private RegexNode choices() throws Unsupported {
    if (++depth > DEEPEST) {
      throw unsupported("more than " + DEEPEST + " parentheses in each other");
    }
    List<RegexNode> choices = new ArrayList<>();
    boolean caseOutside = ignoreCase;
    boolean dotOutside = dotAll;
    do {
      choices.add(sequence());
    } while (skip("|"));
    ignoreCase = caseOutside;
    dotAll = dotOutside;
    depth--;
    return choices.size() == 1 ? choices.getFirst() : new Any(choices);
  }

  private RegexNode sequence() throws Unsupported {
    List<RegexNode> parts = new ArrayList<>();
    Folding folding = new Folding();
    while (more() && !looking("|") && !looking(")")) {
      if (looking("(?") && options()) {
        if (skip(")")) {
          // What follows is the whole rest of the group, its choices included.
          folding.end();
          parts.add(choices());
          break;
        }
        at++; // the colon
        folding.end();
        parts.add(repeated(group(ignoreCaseInside, dotAllInside)));
        continue;
      }
      RegexNode atom = atom();
      folding.add();
      parts.add(repeated(atom));
    }
    folding.end();
    return parts.size() == 1 ? parts.getFirst() : new All(parts);
  }

  /** Reads the letters of {@code (?i-m:} or {@code (?i-m)}; consumes nothing for others. */
  private boolean options() throws Unsupported {
    int start = at;
    at += 2;
    boolean on = true;
    ignoreCaseInside = ignoreCase;
    dotAllInside = dotAll;
    boolean letters = false;
    for (; more() && pattern[at] != ':' && pattern[at] != ')'; at++) {
      switch (pattern[at]) {
        case '-' -> on = false;
        case 'i' -> ignoreCaseInside = on;
        case 'm' -> dotAllInside = on;
        case 'x' -> {
          if (on) {
            throw unsupported("free spacing, (?x)");
          }
        }
        default -> {
          at = start;
          return false;
        }
      }
      letters = true;
    }
    if (!more() || !letters) {
      at = start;
      return false;
    }
    if (pattern[at] == ')') {
      ignoreCase = ignoreCaseInside;
      dotAll = dotAllInside;
    }
    return true;
  }

  private RegexNode group(boolean caseInside, boolean dotInside) throws Unsupported {
    boolean caseOutside = ignoreCase;
    boolean dotOutside = dotAll;
    ignoreCase = caseInside;
    dotAll = dotInside;
    RegexNode body = choices();
    ignoreCase = caseOutside;
    dotAll = dotOutside;
    if (!skip(")")) {
      throw unsupported("a parenthesis that is not closed");
    }
    return body;
  }

  private RegexNode atom() throws Unsupported {
    int c = next();
    literal = -1;
    return switch (c) {
      case '(' -> {
        RegexNode group = parenthesis();
        literal = -1;
        yield group;
      }
      case '[' -> new One(set());
      case '.' -> new One(dotAll ? CodePointSet.ALL : CodePointSet.of('\n').complement());
      case '^' -> Place.LINE_START;
      case '$' -> Place.LINE_END;
      case '\\' -> escape();
      case '*', '+', '?' -> throw unsupported("a repetition of nothing");
      default -> character(c);
    };
  }

  private RegexNode character(int c) throws Unsupported {
    literal = c;
    return new One(folded(CodePointSet.of(c)));
  }

  private RegexNode parenthesis() throws Unsupported {
    if (!skip("?")) {
      return group(ignoreCase, dotAll);
    }
    if (skip(":")) {
      return group(ignoreCase, dotAll);
    }
    if (skip("=")) {
      return new Look(group(ignoreCase, dotAll), true, false);
    }
    if (skip("!")) {
      return new Look(group(ignoreCase, dotAll), true, true);
    }
    if (skip("<=")) {
      return new Look(group(ignoreCase, dotAll), false, false);
    }
    if (skip("<!")) {
      return new Look(group(ignoreCase, dotAll), false, true);
    }
    if (skip(">")) {
      return new Atomic(group(ignoreCase, dotAll));
    }
    if (skip("#")) {
      while (next() != ')') {}
      return new All(List.of());
    }
    if (skip("<")) {
      while (next() != '>') {}
      return group(ignoreCase, dotAll);
    }
    throw unsupported("a group of this kind, (?" + (more() ? Character.toString(pattern[at]) : ""));
  }

  private RegexNode repeated(RegexNode atom) throws Unsupported {
    RegexNode node = atom;
    for (int repetitions = 0; more(); repetitions++) {
      if (repetitions > DEEPEST) {
        throw unsupported("more than " + DEEPEST + " repetitions of each other");
      }
      int least;
      int most;
      boolean interval = false;
      if (skip("*")) {
        least = 0;
        most = -1;
      } else if (skip("+")) {
        least = 1;
        most = -1;
      } else if (skip("?")) {
        least = 0;
        most = 1;
      } else if (looking("{")) {
        int[] bounds = interval();
        if (bounds.length == 0) {
          return node; // a brace that opens nothing is a character
        }
        least = bounds[0];
        most = bounds[1];
        interval = true;
      } else {
        return node;
      }
      if (node instanceof Place || node instanceof Look) {
        throw unsupported("a repetition of a place");
      }
      Greed greed = Greed.GREEDY;
      if (looking("?")) {
        // In this syntax a{2}? is an optional a{2}: the next round reads it.
        greed = interval && least == most ? Greed.GREEDY : Greed.LAZY;
        at += greed == Greed.LAZY ? 1 : 0;
      } else if (!interval && skip("+")) {
        greed = Greed.POSSESSIVE;
      }
      node = new Repeat(node, least, most, greed);
    }
    return node;
  }

  /**
   * Reads {@code {2}}, {@code {2,}}, {@code {,3}} or {@code {2,3}}; consumes nothing for others.
   */
  private int[] interval() throws Unsupported {
    int start = at++;
    int least = number();
    int most = least;
    if (skip(",")) {
      most = number();
      if (least < 0 && most < 0) {
        at = start;
        return new int[0];
      }
      least = Math.max(least, 0);
    } else if (least < 0) {
      at = start;
      return new int[0];
    }
    if (!skip("}")) {
      at = start;
      return new int[0];
    }
    if (most >= 0 && most < least) {
      throw unsupported("a repetition of at least " + least + " and at most " + most);
    }
    return new int[] {least, most};
  }

  private int number() throws Unsupported {
    int number = -1;
    while (more() && pattern[at] >= '0' && pattern[at] <= '9') {
      number = Math.max(number, 0) * 10 + pattern[at++] - '0';
      if (number > MOST) {
        throw unsupported("a repetition of more than " + MOST + " times");
      }
    }
    return number;
  }

  private RegexNode escape() throws Unsupported {
    int c = next();
    return switch (c) {
      case 'A' -> Place.TEXT_START;
      case 'z' -> Place.TEXT_END;
      case 'Z' -> Place.TEXT_END_OR_LAST_NEWLINE;
      case 'b' -> Place.WORD_BORDER;
      case 'B' -> Place.NO_WORD_BORDER;
      case 'R' ->
          new Atomic(
              new Any(
                  List.of(
                      new All(
                          List.of(new One(CodePointSet.of('\r')), new One(CodePointSet.of('\n')))),
                      new One(
                          CodePointSet.range('\n', '\r')
                              .union(CodePointSet.of(0x85))
                              .union(CodePointSet.range(0x2028, 0x2029))))));
      case 'O' -> new One(CodePointSet.ALL);
      case 'N' -> new One(CodePointSet.of('\n').complement());
      default -> {
        CodePointSet set = named(c);
        yield set != null ? new One(set) : character(escaped(c));
      }
    };
  }

  /** Returns the set of {@code \d}, {@code \p{L}} and so on; null for a character. */
  private @Nullable CodePointSet named(int c) throws Unsupported {
    return switch (c) {
      case 'd' -> CharacterSets.known("digit");
      case 'D' -> CharacterSets.known("digit").complement();
      case 'w' -> CharacterSets.known("word");
      case 'W' -> CharacterSets.known("word").complement();
      case 's' -> CharacterSets.known("space");
      case 'S' -> CharacterSets.known("space").complement();
      case 'h' -> CharacterSets.known("xdigit");
      case 'H' -> CharacterSets.known("xdigit").complement();
      case 'p', 'P' -> property(c == 'P');
      default -> null;
    };
  }

  private CodePointSet property(boolean negative) throws Unsupported {
    if (!skip("{")) {
      throw unsupported("a property that is not written in braces");
    }
    boolean not = skip("^") ^ negative;
    StringBuilder name = new StringBuilder();
    for (int c = next(); c != '}'; c = next()) {
      name.appendCodePoint(c);
    }
    CodePointSet set = CharacterSets.property(name.toString());
    if (set == null) {
      throw unsupported("the property " + name);
    }
    set = folded(set);
    return not ? set.complement() : set;
  }

  /** Returns the character that a backslash and {@code c} stand for. */
  private int escaped(int c) throws Unsupported {
    return switch (c) {
      case 't' -> '\t';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 'f' -> '\f';
      case 'v' -> 0x0B;
      case 'a' -> 7;
      case 'e' -> 0x1B;
      case 'u' -> hexadecimal(4);
      case 'x' -> {
        if (skip("{")) {
          int value = 0;
          for (c = next(); c != '}'; c = next()) {
            value = value << 4 | digit(c);
            if (value > Character.MAX_CODE_POINT) {
              throw unsupported("a character beyond U+10FFFF");
            }
          }
          yield value;
        }
        int value = hexadecimal(2);
        if (value >= 0x80) {
          throw unsupported("a byte that is no character");
        }
        yield value;
      }
      default -> {
        if (c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80) {
          throw unsupported("the escape \\" + Character.toString(c));
        }
        yield c;
      }
    };
  }

  private int hexadecimal(int digits) throws Unsupported {
    int value = 0;
    for (int i = 0; i < digits; i++) {
      value = value << 4 | digit(next());
    }
    if (Character.isSurrogate((char) value)) {
      throw unsupported("half of a surrogate pair");
    }
    return value;
  }

  private int digit(int c) throws Unsupported {
    int digit = c < 0x80 ? Character.digit(c, 16) : -1;
    if (digit < 0) {
      throw unsupported("a hexadecimal digit that is none");
    }
    return digit;
  }

  /** Reads a set after its opening bracket, to its closing one. */
  private CodePointSet set() throws Unsupported {
    if (++depth > DEEPEST) {
      throw unsupported("more than " + DEEPEST + " brackets in each other");
    }
    boolean negative = skip("^");
    CodePointSet all = null; // what stands before &&
    CodePointSet set = CodePointSet.NONE;
    boolean first = true;
    for (; !looking("]") || first; first = false) {
      if (first && looking("]")) {
        if (pattern.length == at + 1) {
          throw unsupported("an empty set");
        }
        at++;
        set = set.union(CodePointSet.of(']'));
        continue;
      }
      if (skip("&&")) {
        all = all == null ? set : all.intersection(set);
        set = CodePointSet.NONE;
        continue;
      }
      set = set.union(member());
    }
    at++;
    set = folded(all == null ? set : all.intersection(set));
    depth--;
    return negative ? set.complement() : set;
  }

  private CodePointSet member() throws Unsupported {
    if (looking("[:")) {
      CodePointSet posix = posix();
      if (posix != null) {
        return posix;
      }
    }
    int c = next();
    if (c == '[') {
      return set();
    }
    if (c == '\\') {
      c = next();
      CodePointSet set = named(c);
      if (set != null) {
        if (looking("-") && !looking("-]")) {
          throw unsupported("a range that begins with a set");
        }
        return set;
      }
      c = c == 'b' ? '\b' : escaped(c);
    }
    if (!looking("-") || looking("-]")) {
      return CodePointSet.of(c);
    }
    at++;
    int last = next();
    if (last == '[') {
      throw unsupported("a range that ends with a set");
    }
    if (last == '\\') {
      last = next();
      if (named(last) != null) {
        throw unsupported("a range that ends with a set");
      }
      last = last == 'b' ? '\b' : escaped(last);
    }
    if (last < c) {
      throw unsupported("a range that ends before it begins");
    }
    return CodePointSet.range(c, last);
  }

  /** Reads {@code [:alpha:]}; null for anything else. */
  private @Nullable CodePointSet posix() throws Unsupported {
    int start = at;
    at += 2;
    boolean not = skip("^");
    StringBuilder name = new StringBuilder();
    while (more() && pattern[at] >= 'a' && pattern[at] <= 'z') {
      name.appendCodePoint(next());
    }
    if (!skip(":]")) {
      at = start;
      return null;
    }
    CodePointSet set = CharacterSets.posix(name.toString());
    if (set == null) {
      throw unsupported("the set [:" + name + ":]");
    }
    return not ? set.complement() : set;
  }

  /** Adds all letters that differ in case only, where case is ignored. */
  private CodePointSet folded(CodePointSet set) throws Unsupported {
    if (!ignoreCase) {
      return set;
    }
    if (CaseFolding.spellsOut(set)) {
      throw unsupported("letters of any case, one of which is written as several");
    }
    return CaseFolding.close(set);
  }

  /**
   * Finds letters of any case that together are the folding of one letter, as "ss" for "ß": the
   * library matches that letter too.
   */
  private final class Folding {
    private final StringBuilder letters = new StringBuilder();

    void add() throws Unsupported {
      if (ignoreCase && literal >= 0) {
        letters.appendCodePoint(literal);
      } else {
        end();
      }
    }

    void end() throws Unsupported {
      if (letters.length() > 1 && CaseFolding.isSpelling(letters.toString())) {
        throw unsupported("letters of any case that are also written as one");
      }
      letters.setLength(0);
    }
  }
}
