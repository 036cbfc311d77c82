package dev.jneox.corpus;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Turns the source of a manual page, written with groff's {@code man} macros, into plain text.
 *
 * <p>Paragraphs become one line each, with an empty line between them; fonts are dropped. The body
 * of a tagged paragraph is indented by four spaces below its tag. Preformatted lines stay as they
 * are. Tables of {@code tbl} become lines with tabs. Macros that a page defines for itself and
 * conditions for typesetters are left out. Pages in BSD's {@code mdoc} and pages that only name
 * another one ({@code .so}) are not read.
 */
final class ManPage {
  private static final Map<String, String> SPECIAL = special();

  private final StringBuilder out = new StringBuilder();
  private final StringBuilder paragraph = new StringBuilder();
  private final Map<String, String> strings = new HashMap<>(Map.of("R", "(R)", "Tm", "(TM)"));
  private boolean verbatim;
  private boolean tag;
  private boolean joined;
  private String indent = "";

  private ManPage() {
    strings.put("lq", "\u201C");
    strings.put("rq", "\u201D");
  }

  /** Returns the text; empty where the source is no {@code man} page with content. */
  static Optional<String> text(String source) {
    ManPage page = new ManPage();
    List<String> lines = source.replace("\r", "").lines().toList();
    if (lines.stream().noneMatch(line -> line.matches("[.']\\s*TH(\\s.*)?"))) {
      return Optional.empty();
    }
    page.read(lines);
    String text = page.out.toString().strip();
    return text.isEmpty() ? Optional.empty() : Optional.of(text + "\n");
  }

  private void read(List<String> lines) {
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      while (line.endsWith("\\") && !line.endsWith("\\\\") && i + 1 < lines.size()) {
        line = line.substring(0, line.length() - 1) + lines.get(++i);
      }
      if (!line.startsWith(".") && !line.startsWith("'")) {
        content(line);
        continue;
      }
      String request = line.substring(1).strip();
      String name = name(request);
      switch (name) {
        case "de", "de1", "am", "ig" -> i = past(lines, i, ends(request));
        case "if", "ie", "el", "while" -> i = condition(lines, i, request);
        case "TS" -> i = table(lines, i);
        case "EQ" -> i = until(lines, i, "EN");
        case "PS" -> i = until(lines, i, "PE");
        default -> macro(name, request.substring(name.length()).strip());
      }
    }
    end();
  }

  private static String name(String request) {
    int end = 0;
    while (end < request.length() && !Character.isWhitespace(request.charAt(end))) {
      end++;
    }
    String name = request.substring(0, end);
    return name.startsWith("\\\"") ? "\\\"" : name;
  }

  /** Returns the macro that ends a definition: the second argument, else two dots. */
  private static String ends(String request) {
    String[] words = request.split("\\s+");
    boolean ignored = words[0].equals("ig");
    int at = ignored ? 1 : 2;
    return words.length > at ? words[at] : ".";
  }

  private static int past(List<String> lines, int at, String end) {
    return until(lines, at, end);
  }

  private static int until(List<String> lines, int at, String end) {
    for (int i = at + 1; i < lines.size(); i++) {
      String line = lines.get(i).strip();
      if (line.equals("." + end) || line.startsWith("." + end + " ")) {
        return i;
      }
    }
    return at;
  }

  /** Leaves out a conditional request: what it guards is set for typesetters or old formatters. */
  private static int condition(List<String> lines, int at, String request) {
    int depth = braces(request);
    int i = at;
    while (depth > 0 && i + 1 < lines.size()) {
      depth += braces(lines.get(++i));
    }
    return i;
  }

  private static int braces(String line) {
    int depth = 0;
    for (int i = 0; i + 1 < line.length(); i++) {
      if (line.charAt(i) == '\\') {
        char next = line.charAt(++i);
        depth += next == '{' ? 1 : next == '}' ? -1 : 0;
      }
    }
    return depth;
  }

  private int table(List<String> lines, int at) {
    end();
    int last = until(lines, at, "TE");
    boolean format = true;
    boolean block = false;
    char separator = '\t';
    StringBuilder row = new StringBuilder();
    for (int i = at + 1; i < last; i++) {
      String line = lines.get(i);
      if (format) {
        int tab = line.indexOf("tab");
        if (tab >= 0 && line.strip().endsWith(";") && line.indexOf('(', tab) >= 0) {
          separator = line.charAt(Math.min(line.length() - 1, line.indexOf('(', tab) + 1));
        }
        format = !line.strip().endsWith(".");
        continue;
      }
      if (line.startsWith(".T&")) {
        format = true;
        continue;
      }
      if (line.startsWith(".") || line.startsWith("'")) {
        String request = line.substring(1).strip();
        String name = name(request);
        if (block && isFont(name)) {
          row.append(font(name, request.substring(name.length()).strip())).append(' ');
        }
        continue;
      }
      String text = line;
      if (block && text.startsWith("T}")) {
        block = false;
        text = text.substring(2);
      }
      if (text.endsWith("T{")) {
        row.append(inline(text.substring(0, text.length() - 2)).replace(separator, '\t'));
        block = true;
        continue;
      }
      if (block) {
        row.append(inline(text)).append(' ');
        continue;
      }
      row.append(inline(text).replace(separator, '\t'));
      if (!row.toString().matches("[-_=\\s]*")) {
        out.append(indent).append(row.toString().replaceAll(" *\t *", "\t").strip()).append('\n');
      }
      row.setLength(0);
    }
    out.append('\n');
    return last;
  }

  private static boolean isFont(String name) {
    return switch (name) {
      case "B", "I", "R", "SM", "SB", "BR", "RB", "BI", "IB", "IR", "RI" -> true;
      default -> false;
    };
  }

  private String font(String name, String arguments) {
    List<String> words = arguments(arguments);
    boolean alternate = name.length() == 2 && !name.equals("SM") && !name.equals("SB");
    return String.join(alternate ? "" : " ", words);
  }

  private void macro(String name, String arguments) {
    if (isFont(name)) {
      add(font(name, arguments));
      return;
    }
    switch (name) {
      case "SH", "SS" -> {
        end();
        verbatim = false;
        indent = "";
        String title = String.join(" ", arguments(arguments)).strip();
        if (!title.isEmpty()) {
          out.append(title).append("\n\n");
        }
      }
      case "TH" -> {
        List<String> words = arguments(arguments);
        if (words.size() >= 2) {
          out.append(words.get(0)).append('(').append(words.get(1)).append(")\n\n");
        }
      }
      case "PP", "P", "LP", "HP" -> {
        end();
        indent = "";
      }
      case "TP", "TQ" -> {
        end();
        indent = "";
        tag = true;
      }
      case "IP" -> {
        end();
        List<String> words = arguments(arguments);
        String mark = words.isEmpty() ? "" : words.get(0).strip();
        indent = mark.isEmpty() ? indent : "";
        if (isBullet(mark)) {
          paragraph.append("- ");
          joined = true;
        } else if (!mark.isEmpty()) {
          out.append(mark).append('\n');
          indent = "    ";
        }
      }
      case "nf", "EX" -> {
        end();
        verbatim = true;
      }
      case "fi", "EE" -> {
        verbatim = false;
        end();
      }
      case "RS", "RE", "sp" -> end();
      case "br" -> {
        if (!verbatim) {
          line();
        }
      }
      case "UR", "MT" -> add(inline(arguments));
      case "ds" -> {
        String[] parts = arguments.split("\\s+", 2);
        if (parts.length == 2 && !parts[1].contains("\\$")) {
          String value = parts[1].startsWith("\"") ? parts[1].substring(1) : parts[1];
          strings.put(parts[0], inline(value));
        }
      }
      default -> {} // comments, and requests that only set the type
    }
  }

  /** Divides the arguments of a macro: words, and quoted texts in which "" is a quotation mark. */
  private List<String> arguments(String text) {
    List<String> words = new ArrayList<>();
    int i = 0;
    while (i < text.length()) {
      if (Character.isWhitespace(text.charAt(i))) {
        i++;
        continue;
      }
      if (text.startsWith("\\\"", i)) {
        break;
      }
      StringBuilder word = new StringBuilder();
      boolean quoted = text.charAt(i) == '"';
      i += quoted ? 1 : 0;
      while (i < text.length()) {
        char c = text.charAt(i);
        if (c == '\\' && i + 1 < text.length()) {
          word.append(c).append(text.charAt(i + 1));
          i += 2;
        } else if (quoted && c == '"') {
          if (!text.startsWith("\"\"", i)) {
            i++;
            break;
          }
          word.append('"');
          i += 2;
        } else if (!quoted && Character.isWhitespace(c)) {
          break;
        } else {
          word.append(c);
          i++;
        }
      }
      words.add(inline(word.toString()));
    }
    return words;
  }

  private void content(String line) {
    if (!verbatim && line.isBlank()) {
      end();
      return;
    }
    String text = inline(line);
    if (!verbatim && line.startsWith(" ")) {
      line();
    }
    add(text);
  }

  private void add(String text) {
    if (tag) {
      String title = text.strip();
      if (title.isEmpty()) {
        return;
      }
      tag = false;
      if (isBullet(title)) {
        paragraph.append("- ");
        joined = true;
        return;
      }
      out.append(title).append('\n');
      indent = "    ";
      return;
    }
    if (verbatim) {
      out.append(indent).append(text.stripTrailing()).append('\n');
      return;
    }
    String words = text.strip();
    if (words.isEmpty()) {
      return;
    }
    if (!paragraph.isEmpty() && !joined && !isWide(paragraph, words)) {
      paragraph.append(' ');
    }
    joined = false;
    paragraph.append(words);
  }

  private static boolean isBullet(String mark) {
    return mark.length() == 1 && "*-+o\u2022\u00B7".contains(mark);
  }

  /** Returns whether both sides of a line's end are of a script without spaces. */
  private static boolean isWide(CharSequence before, String after) {
    return isWide(before.charAt(before.length() - 1)) && isWide(after.charAt(0));
  }

  private static boolean isWide(char c) {
    return c >= '\u2E80' && c < '\uAC00' || c >= '\uF900' && c < '\uFB00' || c >= '\uFF00';
  }

  private void line() {
    if (!paragraph.isEmpty()) {
      out.append(indent).append(paragraph).append('\n');
      paragraph.setLength(0);
    }
    joined = false;
  }

  private void end() {
    line();
    if (!out.isEmpty() && (out.length() < 2 || !out.substring(out.length() - 2).equals("\n\n"))) {
      out.append('\n');
    }
  }

  /** Replaces groff's escapes by the characters that they print. */
  private String inline(String text) {
    if (text.indexOf('\\') < 0) {
      return text;
    }
    StringBuilder plain = new StringBuilder();
    int i = 0;
    while (i < text.length()) {
      char c = text.charAt(i++);
      if (c != '\\' || i == text.length()) {
        plain.append(c);
        continue;
      }
      char escape = text.charAt(i++);
      switch (escape) {
        case '"', '#' -> i = text.length();
        case 'e', '\\' -> plain.append('\\');
        case '-' -> plain.append('-');
        case ' ', '~', '0' -> plain.append(' ');
        case '\'' -> plain.append('\'');
        case '`' -> plain.append('`');
        case 't' -> plain.append('\t');
        case '.' -> plain.append('.');
        case '(' -> {
          int end = Math.min(text.length(), i + 2);
          plain.append(character(text.substring(i, end)));
          i = end;
        }
        case '[' -> {
          int end = text.indexOf(']', i);
          end = end < 0 ? text.length() : end;
          plain.append(character(text.substring(i, end)));
          i = Math.min(text.length(), end + 1);
        }
        case '*' -> {
          int end = nameEnd(text, i);
          plain.append(strings.getOrDefault(bare(text.substring(i, end)), ""));
          i = end;
        }
        case 'f', 'F', 'm', 'M', 'n', 'g', 'k', 'Y', 'V' -> i = nameEnd(text, i);
        case 's' -> i = sizeEnd(text, i);
        case 'h',
            'v',
            'w',
            'l',
            'L',
            'b',
            'o',
            'x',
            'X',
            'Z',
            'D',
            'A',
            'B',
            'N',
            'S',
            'H',
            'C',
            'R' -> {
          if (i < text.length()) {
            int end = text.indexOf(text.charAt(i), i + 1);
            i = end < 0 ? text.length() : end + 1;
          }
        }
        default -> {
          // those without width, such as zero-width spaces, and unknown ones
        }
      }
    }
    return plain.toString();
  }

  private static int nameEnd(String text, int at) {
    if (at >= text.length()) {
      return at;
    }
    char c = text.charAt(at);
    if (c == '(') {
      return Math.min(text.length(), at + 3);
    }
    if (c == '[') {
      int end = text.indexOf(']', at);
      return end < 0 ? text.length() : end + 1;
    }
    if (c == '+' || c == '-') {
      return nameEnd(text, at + 1);
    }
    return at + 1;
  }

  private static int sizeEnd(String text, int at) {
    int i = at;
    if (i < text.length() && "+-".indexOf(text.charAt(i)) >= 0) {
      i++;
    }
    if (i < text.length() && "([".indexOf(text.charAt(i)) >= 0) {
      return nameEnd(text, i);
    }
    if (i < text.length() && text.charAt(i) == '\'') {
      int end = text.indexOf('\'', i + 1);
      return end < 0 ? text.length() : end + 1;
    }
    return Math.min(text.length(), i + 1);
  }

  private static String bare(String name) {
    return name.startsWith("(")
        ? name.substring(1)
        : name.startsWith("[") ? name.substring(1, Math.max(1, name.length() - 1)) : name;
  }

  private static String character(String name) {
    String known = SPECIAL.get(name);
    if (known != null) {
      return known;
    }
    if (name.matches("u[0-9A-F]{4,6}(_[0-9A-F]{4,6})*")) {
      StringBuilder text = new StringBuilder();
      for (String code : name.substring(1).split("_")) {
        int point = Integer.parseInt(code, 16);
        if (Character.isValidCodePoint(point) && (point < 0xD800 || point > 0xDFFF)) {
          text.appendCodePoint(point);
        }
      }
      return text.toString();
    }
    return "";
  }

  private static Map<String, String> special() {
    Map<String, String> map = new HashMap<>();
    String[] pairs = {
      "aq", "'", "dq", "\"", "oq", "\u2018", "cq", "\u2019", "lq", "\u201C", "rq", "\u201D", "Bq",
      "\u201E", "bq", "\u201A", "Fo", "\u00AB", "Fc", "\u00BB", "fo", "\u2039", "fc", "\u203A",
      "hy", "-", "en", "\u2013", "em", "\u2014", "bu", "\u2022", "co", "\u00A9", "rg", "\u00AE",
      "tm", "\u2122", "ti", "~", "ha", "^", "ga", "`", "aa", "\u00B4", "rs", "\\", "sl", "/", "ba",
      "|", "at", "@", "sh", "#", "Do", "$", "lB", "[", "rB", "]", "lC", "{", "rC", "}", "la",
      "\u27E8", "ra", "\u27E9", "->", "\u2192", "<-", "\u2190", "ua", "\u2191", "da", "\u2193",
      "<>", "\u2194", "rA", "\u21D2", "lA", "\u21D0", "mu", "\u00D7", "di", "\u00F7", "+-",
      "\u00B1", "<=", "\u2264", ">=", "\u2265", "!=", "\u2260", "==", "\u2261", "~~", "\u2248",
      "if", "\u221E", "mi", "\u2212", "pl", "+", "eq", "=", "**", "*", "no", "\u00AC", "de",
      "\u00B0", "sc", "\u00A7", "ps", "\u00B6", "dg", "\u2020", "dd", "\u2021", "mc", "\u00B5",
      "12", "\u00BD", "14", "\u00BC", "34", "\u00BE", "S1", "\u00B9", "S2", "\u00B2", "S3",
      "\u00B3", "Eu", "\u20AC", "Po", "\u00A3", "Ye", "\u00A5", "ct", "\u00A2", "ss", "\u00DF",
      "sr", "\u221A", "is", "\u222B", "pd", "\u2202", "mo", "\u2208", "fa", "\u2200", "te",
      "\u2203", "ap", "~", "br", "|", "ul", "_", "ru", "_", "*a", "\u03B1", "*b", "\u03B2", "*g",
      "\u03B3", "*d", "\u03B4", "*e", "\u03B5", "*h", "\u03B8", "*l", "\u03BB", "*m", "\u03BC",
      "*p", "\u03C0", "*r", "\u03C1", "*s", "\u03C3", "*S", "\u03A3", "*t", "\u03C4", "*W",
      "\u03A9", "AE", "\u00C6", "ae", "\u00E6", "OE", "\u0152", "oe", "\u0153", "/O", "\u00D8",
      "/o", "\u00F8", "oA", "\u00C5", "oa", "\u00E5", "-D", "\u00D0", "TP", "\u00DE", "Tp",
      "\u00FE", "r!", "\u00A1", "r?", "\u00BF", "Of", "\u00AA", "Om", "\u00BA", "pc", "\u00B7"
    };
    for (int i = 0; i < pairs.length; i += 2) {
      map.put(pairs[i], pairs[i + 1]);
    }
    String accents = "'\u0301`\u0300^\u0302:\u0308~\u0303,\u0327";
    for (int i = 0; i < accents.length(); i += 2) {
      for (char letter : "AEIOUYNCaeiouync".toCharArray()) {
        map.put(
            "" + accents.charAt(i) + letter,
            java.text.Normalizer.normalize(
                "" + letter + accents.charAt(i + 1), java.text.Normalizer.Form.NFC));
      }
    }
    map.put("vS", "\u0160");
    map.put("vs", "\u0161");
    map.put("vZ", "\u017D");
    map.put("vz", "\u017E");
    return Map.copyOf(map);
  }
}
