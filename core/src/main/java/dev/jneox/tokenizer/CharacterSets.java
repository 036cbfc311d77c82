package dev.jneox.tokenizer;

import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** Provides the sets of characters that regular expressions name, from the JDK's Unicode tables. */
final class CharacterSets {
  private static final Map<String, CodePointSet> FOUND = new ConcurrentHashMap<>();

  /** General categories: short name, long name, the JDK's number. */
  private static final Object[][] CATEGORIES = {
    {"lu", "uppercaseletter", Character.UPPERCASE_LETTER},
    {"ll", "lowercaseletter", Character.LOWERCASE_LETTER},
    {"lt", "titlecaseletter", Character.TITLECASE_LETTER},
    {"lm", "modifierletter", Character.MODIFIER_LETTER},
    {"lo", "otherletter", Character.OTHER_LETTER},
    {"mn", "nonspacingmark", Character.NON_SPACING_MARK},
    {"mc", "spacingmark", Character.COMBINING_SPACING_MARK},
    {"me", "enclosingmark", Character.ENCLOSING_MARK},
    {"nd", "decimalnumber", Character.DECIMAL_DIGIT_NUMBER},
    {"nl", "letternumber", Character.LETTER_NUMBER},
    {"no", "othernumber", Character.OTHER_NUMBER},
    {"pc", "connectorpunctuation", Character.CONNECTOR_PUNCTUATION},
    {"pd", "dashpunctuation", Character.DASH_PUNCTUATION},
    {"ps", "openpunctuation", Character.START_PUNCTUATION},
    {"pe", "closepunctuation", Character.END_PUNCTUATION},
    {"pi", "initialpunctuation", Character.INITIAL_QUOTE_PUNCTUATION},
    {"pf", "finalpunctuation", Character.FINAL_QUOTE_PUNCTUATION},
    {"po", "otherpunctuation", Character.OTHER_PUNCTUATION},
    {"sm", "mathsymbol", Character.MATH_SYMBOL},
    {"sc", "currencysymbol", Character.CURRENCY_SYMBOL},
    {"sk", "modifiersymbol", Character.MODIFIER_SYMBOL},
    {"so", "othersymbol", Character.OTHER_SYMBOL},
    {"zs", "spaceseparator", Character.SPACE_SEPARATOR},
    {"zl", "lineseparator", Character.LINE_SEPARATOR},
    {"zp", "paragraphseparator", Character.PARAGRAPH_SEPARATOR},
    {"cc", "control", Character.CONTROL},
    {"cf", "format", Character.FORMAT},
    {"cn", "unassigned", Character.UNASSIGNED},
    {"co", "privateuse", Character.PRIVATE_USE},
    {"cs", "surrogate", Character.SURROGATE},
  };

  /** The first letters of general categories, by their long names. */
  private static final Map<String, String> GROUPS =
      Map.of(
          "letter",
          "l",
          "mark",
          "m",
          "number",
          "n",
          "punctuation",
          "p",
          "symbol",
          "s",
          "separator",
          "z",
          "other",
          "c");

  private CharacterSets() {}

  /** Returns the set of {@code [:name:]} for a name that {@link #posix} knows. */
  static CodePointSet known(String name) {
    return Objects.requireNonNull(posix(name));
  }

  /** Returns the set of {@code [:name:]}; null for an unknown name. */
  static @Nullable CodePointSet posix(String name) {
    IntPredicate test =
        switch (name) {
          case "digit" -> c -> Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER;
          // Oniguruma's table counts the numbers of Latin-1, as superscripts, among the words.
          case "word" ->
              c -> c < 0x100 && isNumber(c) || c != 0x200C && c != 0x200D && CharacterClass.word(c);
          case "space" -> c -> CharacterClass.of(c) == CharacterClass.SPACE;
          case "xdigit" -> c -> c < 0x80 && Character.digit(c, 16) >= 0;
          case "alpha" -> Character::isAlphabetic;
          case "alnum" ->
              c ->
                  Character.isAlphabetic(c)
                      || Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER;
          case "upper" -> Character::isUpperCase;
          case "lower" -> Character::isLowerCase;
          case "cntrl" -> c -> Character.getType(c) == Character.CONTROL;
          case "blank" -> c -> c == '\t' || Character.getType(c) == Character.SPACE_SEPARATOR;
          case "ascii" -> c -> c < 0x80;
          case "punct" ->
              c ->
                  Objects.requireNonNull(category("p")).contains(c)
                      || Objects.requireNonNull(category("s")).contains(c);
          default -> null;
        };
    return test == null ? null : FOUND.computeIfAbsent(name, key -> CodePointSet.of(test));
  }

  private static boolean isNumber(int c) {
    return CharacterClass.of(c) == CharacterClass.NUMBER;
  }

  /**
   * Returns the set of {@code \p{name}}: a general category, a script or one of a few properties;
   * null for an unknown name. Ignores case, spaces, hyphens and underscores.
   */
  static @Nullable CodePointSet property(String name) {
    String key = name.toLowerCase(Locale.ROOT).replaceAll("[ _-]", "");
    CodePointSet set = category(GROUPS.getOrDefault(key, key));
    if (set != null) {
      return set;
    }
    return switch (key) {
      case "any" -> CodePointSet.ALL;
      case "alphabetic" -> posix("alpha");
      case "uppercase" -> posix("upper");
      case "lowercase" -> posix("lower");
      case "whitespace" -> posix("space");
      case "alpha", "upper", "lower", "space", "digit", "alnum", "word", "xdigit", "ascii" ->
          posix(key);
      case "ideographic" -> find(key, Character::isIdeographic);
      case "emoji" -> find(key, Character::isEmoji);
      default -> script(name.replaceAll("[ -]", "_"));
    };
  }

  private static CodePointSet find(String key, IntPredicate test) {
    return FOUND.computeIfAbsent("property " + key, unused -> CodePointSet.of(test));
  }

  private static @Nullable CodePointSet category(String name) {
    Set<Integer> types = new HashSet<>();
    for (Object[] category : CATEGORIES) {
      if (category[0].equals(name)
          || category[1].equals(name)
          || name.length() == 1 && ((String) category[0]).startsWith(name)) {
        types.add((int) (byte) category[2]);
      }
    }
    return types.isEmpty()
        ? null
        : FOUND.computeIfAbsent(
            "category " + name,
            key -> {
              boolean[] in = new boolean[32];
              types.forEach(type -> in[type] = true);
              return CodePointSet.of(c -> in[Character.getType(c)]);
            });
  }

  private static @Nullable CodePointSet script(String name) {
    try {
      Character.UnicodeScript script = Character.UnicodeScript.forName(name);
      return find(script.name(), c -> Character.UnicodeScript.of(c) == script);
    } catch (IllegalArgumentException e) {
      return null;
    }
  }
}
