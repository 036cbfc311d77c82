package dev.jneox.fuzz;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.YAMLException;

/** Changes text: its characters, its lines, the numbers in it. */
public final class Texts {
  private static final String[] PIECES = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ": ",
    "#",
    " #",
    "'",
    "\"",
    "\n",
    "\n  ",
    "\t",
    "- ",
    "? ",
    "&x ",
    "*x",
    "!!int ",
    "!x ",
    "| ",
    "> ",
    "%",
    "@",
    "`",
    "~",
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "-1e-400",
    ".nan",
    "NaN",
    "Infinity",
    "0x",
    "0b1",
    "_",
    "08",
    "1:30",
    "99999999999",
    "9223372036854775808",
    "<<: ",
    "---\n",
    "...",
    "\u0000",
    "\u0085",
    "é",
    "\uD83D",
    "\uDE00",
    "\uD83D\uDE00",
    "\r",
    "\\",
    "\\u0000",
    "\\ud800",
    "=",
    "2001-01-01",
    "\u001b[2J",
    "\u202e",
    "\u2028",
    "\uFEFF",
    "e\u0301\u0301",
    "\u0345",
    "\u1100\u1161\u11a8",
    "가",
    "ﷺ",
    "İ",
    "ß",
    "ſ",
    "ΑΣ",
    "▁",
    "Ġ",
    "<0x80>",
    "<|endoftext|>",
    "(?i:",
    "(",
    ")",
    "*",
    "+?",
    "{2,}",
    "{1,99999}",
    "[^",
    "\\p{L}",
    "\\P",
    "(?!",
    "(?=",
    "|",
    "^",
    "$",
    ".",
    "##",
    "'s",
    "  ",
    "\u00A0",
    "\u3000"
  };

  private Texts() {}

  /** Changes some characters. */
  public static String changed(String text, SplittableRandom random) {
    String changed = text;
    for (int n = 1 + random.nextInt(random.nextInt(1, 5)); n > 0; n--) {
      int from = random.nextInt(changed.length() + 1);
      int to = Math.min(changed.length(), from + random.nextInt(12));
      String before = changed.substring(0, from);
      String piece =
          random.nextInt(5) == 0
              ? Character.toString(codePoint(random))
              : PIECES[random.nextInt(PIECES.length)];
      changed =
          switch (random.nextInt(6)) {
            case 0 -> before + changed.substring(to);
            case 1, 2 -> before + piece + changed.substring(from);
            case 3 -> before + piece + changed.substring(to);
            case 4 -> before + changed.substring(from, to) + changed.substring(from);
            default ->
                random.nextInt(8) == 0
                    ? before + piece.repeat(1 << random.nextInt(12)) + changed.substring(from)
                    : before;
          };
    }
    return changed;
  }

  private static int codePoint(SplittableRandom random) {
    return switch (random.nextInt(4)) {
      case 0 -> random.nextInt(0x20);
      case 1 -> random.nextInt(0x80, 0x800);
      case 2 -> random.nextInt(0x10000);
      default -> random.nextInt(0x110000);
    };
  }

  static byte[] changed(byte[] bytes, SplittableRandom random) {
    String text = new String(bytes, StandardCharsets.UTF_8);
    return (switch (random.nextInt(3)) {
          case 0 -> changedNumber(text, random);
          case 1 -> changedLine(text, random);
          default -> changed(text, random);
        })
        .getBytes(StandardCharsets.UTF_8);
  }

  private static String changedNumber(String text, SplittableRandom random) {
    List<int[]> numbers = new ArrayList<>();
    for (int i = 0; i < text.length(); i++) {
      int from = i;
      while (i < text.length() && Character.isDigit(text.charAt(i))) {
        i++;
      }
      if (i > from) {
        numbers.add(new int[] {from, i});
      }
    }
    if (numbers.isEmpty()) {
      return changed(text, random);
    }
    int[] number = numbers.get(random.nextInt(numbers.size()));
    String old = text.substring(number[0], number[1]);
    String next =
        switch (random.nextInt(5)) {
          case 0 -> "9".repeat(1 + random.nextInt(30));
          case 1 -> old + "." + old;
          case 2 -> "";
          default ->
              Long.toString(
                  Bytes.odd(old.length() < 18 ? Long.parseLong(old) : 0, 100, 64, random));
        };
    return text.substring(0, number[0]) + next + text.substring(number[1]);
  }

  private static String changedLine(String text, SplittableRandom random) {
    List<String> lines = new ArrayList<>(Arrays.asList(text.split("\n", -1)));
    int at = random.nextInt(lines.size());
    switch (random.nextInt(5)) {
      case 0 -> lines.remove(at);
      case 1 -> lines.add(random.nextInt(lines.size()), lines.get(at));
      case 2 -> lines.set(at, changed(lines.get(at), random));
      case 3 -> lines.add(at, PIECES[random.nextInt(PIECES.length)]);
      default -> lines.set(at, lines.get(random.nextInt(lines.size())));
    }
    return String.join("\n", lines);
  }

  /** Changes one of several JSON texts, one a line. */
  static byte[] changedLines(byte[] bytes, SplittableRandom random) {
    if (random.nextInt(3) == 0) {
      return changed(bytes, random);
    }
    String[] lines = new String(bytes, StandardCharsets.UTF_8).split("\n", -1);
    int at = random.nextInt(lines.length);
    lines[at] =
        new String(
            Json.changed(lines[at].getBytes(StandardCharsets.UTF_8), random),
            StandardCharsets.UTF_8);
    return String.join("\n", lines).getBytes(StandardCharsets.UTF_8);
  }

  /** Changes YAML as text, or as a tree that is then written as JSON, which is YAML too. */
  static byte[] changedYaml(byte[] bytes, SplittableRandom random) {
    if (random.nextBoolean()) {
      return changed(bytes, random);
    }
    try {
      LoaderOptions options = new LoaderOptions();
      options.setWarnOnDuplicateKeys(false);
      Object tree =
          new Yaml(new SafeConstructor(options)).load(new String(bytes, StandardCharsets.UTF_8));
      return Json.changed(Json.MAPPER.writeValueAsBytes(tree), random);
    } catch (YAMLException | java.io.IOException e) {
      return changed(bytes, random);
    }
  }
}
