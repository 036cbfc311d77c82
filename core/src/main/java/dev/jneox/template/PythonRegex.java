package dev.jneox.template;

import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Runs a regular expression of Python's {@code re} on text, by translating what Java writes in
 * another way. Classes such as {@code \\w} are those of Unicode. Immutable.
 */
public final class PythonRegex {
  private static final int FLAGS = Pattern.UNICODE_CHARACTER_CLASS | Pattern.UNIX_LINES;

  /** White space to Python that Java's class does not have. */
  private static final String MORE_SPACE = "\\x1c-\\x1f";

  private final Pattern pattern;

  private PythonRegex(Pattern pattern) {
    this.pattern = pattern;
  }

  /**
   * Compiles an expression.
   *
   * @throws InputException when it is none, or has a construct that Java lacks
   */
  public static PythonRegex compile(String expression) {
    try {
      return new PythonRegex(Pattern.compile(translated(expression), FLAGS));
    } catch (PatternSyntaxException e) {
      throw new InputException(
          "expected a regular expression of Python, found '"
              + expression
              + "': "
              + e.getDescription(),
          e);
    }
  }

  /**
   * Replaces matches, as {@code re.sub} does.
   *
   * @param replacement with {@code \\1}, {@code \\g<name>} and the escapes of characters
   * @param count how many to replace; 0 for all
   * @throws InputException when the replacement names a group that is not there
   */
  public String sub(String replacement, String text, int count) {
    Matcher matcher = pattern.matcher(text);
    StringBuilder out = new StringBuilder();
    int end = 0;
    for (int i = 0; (count == 0 || i < count) && matcher.find(); i++) {
      out.append(text, end, matcher.start());
      expand(replacement, matcher, out);
      end = matcher.end();
    }
    return out.append(text, end, text.length()).toString();
  }

  /**
   * Returns all matches, as {@code re.findall} does: of each its groups, or the whole where the
   * expression has no group. A group that took no part is empty.
   */
  public List<List<String>> findAll(String text) {
    Matcher matcher = pattern.matcher(text);
    List<List<String>> all = new ArrayList<>();
    while (matcher.find()) {
      List<String> groups = new ArrayList<>();
      for (int group = 1; group <= matcher.groupCount(); group++) {
        groups.add(matcher.group(group) == null ? "" : matcher.group(group));
      }
      all.add(groups.isEmpty() ? List.of(matcher.group()) : groups);
    }
    return all;
  }

  /** Divides a text at the matches of an expression without groups, as {@code re.split} does. */
  public List<String> split(String text) {
    Matcher matcher = pattern.matcher(text);
    List<String> parts = new ArrayList<>();
    int end = 0;
    while (matcher.find()) {
      parts.add(text.substring(end, matcher.start()));
      end = matcher.end();
    }
    parts.add(text.substring(end));
    return parts;
  }

  private static void expand(String replacement, Matcher matcher, StringBuilder out) {
    for (int i = 0; i < replacement.length(); i++) {
      char c = replacement.charAt(i);
      if (c != '\\' || i + 1 == replacement.length()) {
        out.append(c);
        continue;
      }
      char escaped = replacement.charAt(++i);
      int close = replacement.indexOf('>', i);
      if (escaped == 'g' && replacement.startsWith("<", i + 1) && close > 0) {
        append(matcher, replacement.substring(i + 2, close), out);
        i = close;
      } else if (escaped >= '1' && escaped <= '9') {
        int end = i + 1;
        if (end < replacement.length() && Character.isDigit(replacement.charAt(end))) {
          end++;
        }
        append(matcher, replacement.substring(i, end), out);
        i = end - 1;
      } else {
        switch (escaped) {
          case 'n' -> out.append('\n');
          case 't' -> out.append('\t');
          case 'r' -> out.append('\r');
          case 'f' -> out.append('\f');
          case 'v' -> out.append('\u000b');
          case 'a' -> out.append('\u0007');
          case '0' -> out.append('\0');
          case '\\' -> out.append('\\');
          default -> {
            if (Character.isLetter(escaped)) {
              throw new InputException("replacement: expected an escape, found \\" + escaped);
            }
            out.append('\\').append(escaped);
          }
        }
      }
    }
  }

  private static void append(Matcher matcher, String group, StringBuilder out) {
    try {
      String text =
          Character.isDigit(group.charAt(0))
              ? matcher.group(Integer.parseInt(group))
              : matcher.group(group);
      out.append(text == null ? "" : text);
    } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
      throw new InputException(
          "replacement: expected a group of the expression, found '" + group + "'", e);
    }
  }

  /** Writes an expression of Python as Java understands it. */
  private static String translated(String python) {
    StringBuilder java = new StringBuilder();
    boolean inClass = false;
    for (int i = 0; i < python.length(); i++) {
      char c = python.charAt(i);
      if (c == '\\' && i + 1 < python.length()) {
        char escaped = python.charAt(++i);
        switch (escaped) {
          case 's' -> java.append(inClass ? "\\s" + MORE_SPACE : "[\\s" + MORE_SPACE + "]");
          case 'S' ->
              java.append(inClass ? "[^\\s" + MORE_SPACE + "]" : "[^\\s" + MORE_SPACE + "]");
          case 'Z' -> java.append("\\z");
          default -> java.append(c).append(escaped);
        }
      } else if (inClass) {
        switch (c) {
          case ']' -> inClass = false;
          case '[', '&' -> java.append('\\');
          default -> {}
        }
        java.append(c);
      } else if (c == '[') {
        inClass = true;
        java.append(c);
        if (python.startsWith("^", i + 1)) {
          java.append('^');
          i++;
        }
        if (python.startsWith("]", i + 1)) { // the first one of a class is a character
          java.append("\\]");
          i++;
        }
      } else if (python.startsWith("(?P<", i)) {
        java.append("(?<");
        i += 3;
      } else if (python.startsWith("(?P=", i) && python.indexOf(')', i) > 0) {
        int end = python.indexOf(')', i);
        java.append("\\k<").append(python, i + 4, end).append('>');
        i = end;
      } else if (c == '{') {
        java.append(!isQuantifier(python, i) ? "\\{" : python.startsWith(",", i + 1) ? "{0" : "{");
      } else {
        java.append(c);
      }
    }
    return java.toString();
  }

  /** Tells whether a brace begins {@code {2}}, {@code {2,}}, {@code {,3}} or {@code {2,3}}. */
  private static boolean isQuantifier(String python, int at) {
    int end = python.indexOf('}', at);
    return end > 0 && python.substring(at + 1, end).matches("\\d+(,\\d*)?|,\\d+");
  }
}
