package dev.jneox.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.grammar.Automaton.State;
import dev.jneox.io.InputException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RegexGrammarTest {
  private static final String[] LETTERS = {"a", "b", "c", "é", "0", "-", "\n", "😀", "中"};

  private static Automaton automaton(String expression) {
    Network network = new Network();
    int rule = network.rule("expression");
    Nfa.of(RegexReader.whole(expression))
        .write(network, network.start(rule), network.end(rule), network::characters);
    BitSet all = new BitSet();
    all.set(0, 256);
    return new Automaton(network, network.needs(all), network.start(rule));
  }

  /** Returns the state after a text; null where none goes on so. */
  private static State after(Automaton automaton, byte[] text, int length) {
    State state = automaton.start();
    for (int i = 0; i < length && state != null; i++) {
      state = automaton.next(state, text[i] & 0xFF);
    }
    return state;
  }

  private static boolean matches(Automaton automaton, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    State state = after(automaton, bytes, bytes.length);
    return state != null && state.isEnd();
  }

  private static String expression(Random random, int depth) {
    if (depth == 0) {
      return switch (random.nextInt(10)) {
        case 0 -> "[ab]";
        case 1 -> "[^a\\n]";
        case 2 -> ".";
        case 3 -> "\\d";
        case 4 -> "[é-中]";
        case 5 -> "\\W";
        case 6 -> "\\x{1F600}".replace("\\x{1F600}", "😀");
        default -> LETTERS[random.nextInt(4)];
      };
    }
    String one = expression(random, depth - 1);
    return switch (random.nextInt(6)) {
      case 0 -> one + expression(random, depth - 1);
      case 1 -> "(?:" + one + "|" + expression(random, depth - 1) + ")";
      case 2 -> "(" + one + ")*";
      case 3 -> "(?<g" + depth + "x" + random.nextInt(1 << 30) + ">" + one + ")?";
      case 4 -> "(?:" + one + "){" + random.nextInt(3) + "," + (3 + random.nextInt(2)) + "}?";
      default -> "(?:" + one + ")+" + expression(random, 0);
    };
  }

  /** Finds a shortest text that goes on from a state. */
  private static byte[] completion(Automaton automaton, State from) {
    record Path(State state, byte[] text) {}
    ArrayDeque<Path> open = new ArrayDeque<>();
    Set<State> seen = new HashSet<>();
    open.add(new Path(from, new byte[0]));
    while (!open.isEmpty()) {
      Path path = open.remove();
      if (path.state.isEnd()) {
        return path.text;
      }
      for (int b = 0; b < 256; b++) {
        State next = automaton.next(path.state, b);
        if (next != null && seen.add(next)) {
          byte[] text = java.util.Arrays.copyOf(path.text, path.text.length + 1);
          text[path.text.length] = (byte) b;
          open.add(new Path(next, text));
        }
      }
    }
    return null;
  }

  @Test
  void textsAndTheirBeginningsAreThoseOfTheJdksExpressions() {
    Random random = new Random(1);
    int accepted = 0;
    int dead = 0;
    for (int n = 0; n < 400; n++) {
      String expression = expression(random, random.nextInt(4));
      Pattern pattern = Pattern.compile(expression);
      Automaton automaton = automaton(expression);
      for (int i = 0; i < 30; i++) {
        StringBuilder text = new StringBuilder();
        for (int length = random.nextInt(7); length > 0; length--) {
          text.append(LETTERS[random.nextInt(LETTERS.length)]);
        }
        Matcher matcher = pattern.matcher(text);
        boolean matches = matcher.matches();
        accepted += matches ? 1 : 0;
        String what = expression + " on " + text;
        assertThat(matches(automaton, text.toString())).as(what).isEqualTo(matches);
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        State state = after(automaton, bytes, bytes.length);
        if (state == null) {
          dead++;
          continue;
        }
        assertThat(matches || matcher.hitEnd()).as(what).isTrue();
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        whole.writeBytes(bytes);
        whole.writeBytes(completion(automaton, state));
        assertThat(pattern.matcher(whole.toString(StandardCharsets.UTF_8)).matches())
            .as(what)
            .isTrue();
      }
    }
    assertThat(accepted).isGreaterThan(500);
    assertThat(dead).isGreaterThan(500);
  }

  @Test
  void everyPrefixOfAMatchIsAliveByteByByte() {
    Automaton automaton = automaton("(?:é|😀|中文){3}!");
    byte[] text = "é😀中文!".getBytes(StandardCharsets.UTF_8);
    for (int length = 0; length <= text.length; length++) {
      State state = after(automaton, text, length);
      assertThat(state).isNotNull();
      assertThat(state.isEnd()).isEqualTo(length == text.length);
    }
    assertThat(after(automaton, new byte[] {(byte) 0xC3, '!'}, 2)).isNull();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '§',
      value = {
        "^ab$§ab§abc",
        "\\Aab\\Z§ab§b",
        "[]a]?§-§-",
        "a{2}§aa§a",
        "a{,2}b§aab§aaab",
        "{a}§{a}§a",
        "[\\]\\-x]+§]-x§y",
        "[a-]+§a-§b",
        "\\u00e9\\u{1F600}\\uD83D\\uDE00\\xE9§é😀😀é§é",
        "\\p{Lu}\\P{Lu}§Ab§ab",
        "\\p{Greek}+§αβ§ab",
        "[\\s\\S]{3}§a b§a b c",
        "\\w+@\\w+\\.com§a_1@b.com§a-1@b.com",
        "(?P<y>\\d{4})-(?<m>\\d\\d)§2024-01§2024-1",
        "a||b§a§ab",
        "\\.\\*\\/\\$\\^§.*/$^§.*",
      })
  void formsOfEcmaScriptAndPython(String expression, String good, String bad) {
    if (expression.startsWith("[]")) {
      assertThatThrownBy(() -> automaton(expression)).hasMessageContaining("a class with members");
      return;
    }
    Automaton automaton = automaton(expression);
    assertThat(matches(automaton, good)).isTrue();
    assertThat(matches(automaton, bad)).isFalse();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '§',
      value = {
        "ab(?=c)§position 3: expected no lookaround, which is not supported, found one",
        "(?<!c)§position 1: expected no lookaround",
        "(a)\\1§position 4: expected no backreference, which is not supported, found \\1",
        "\\bx§position 1: expected no word boundary",
        "a(b§position 4: expected the end of the group that begins at position 2, found the end",
        "a)b§position 2: expected an end of the expression, found ')b'",
        "*§position 1: expected something to repeat, found '*'",
        "a**§position 3: expected one quantifier, found '*'",
        "[b-a]§position 2: expected a range of characters, found 'b-a'",
        "[a§position 3: expected the end of the class that begins at position 1",
        "a{3,2}§position 2: expected a range of counts, found {3,2}",
        "a{0,100000}§position 5: expected a count up to 30000, found 100000",
        "a^b§position 2: expected an anchor at an end of the expression alone",
        "(^a)§position 2: expected an anchor at an end of the expression alone",
        "(?i)a§position 1: expected a group",
        "\\q§position 1: expected an escape that is known, found \\q",
        "\\p{Nope}§position 1: expected a general category or a script",
        "\\§position 2: expected an escaped character, found the end",
        "\\xg0§position 3: expected 2 hexadecimal digits",
      })
  void whatIsNoRegularExpressionIsNamedWithItsPosition(String expression, String message) {
    assertThatThrownBy(() -> Grammar.regex(expression))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("regular expression: " + message)
        .hasMessageNotContaining("\n");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "((a{1000}){1000}){1000}",
        "(((((a|b){20}){20}){20}){20}){20}",
        "(){30000}(){30000}",
        "[^a][\\p{L}\\p{N}]{9000}",
        "a[^\\x00-\\u{10FFFF}]",
      })
  void hostileExpressionsAreRefusedSoon(String expression) {
    long start = Forms.cpuNanos();
    assertThatThrownBy(() -> Grammar.regex(expression))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected");
    assertThat((Forms.cpuNanos() - start) / 1e9).isLessThan(2);
  }
}
