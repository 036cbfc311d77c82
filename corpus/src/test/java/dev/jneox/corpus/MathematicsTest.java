package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/** Every answer of the generator is checked by other arithmetic than the generator's. */
class MathematicsTest {
  private static final String N = "\\(?(-?\\d+)\\)?";
  private static final String F = "\\(?(-?\\d+(?:/\\d+)?)\\)?";
  private static final String D = "(-?\\d+(?:\\.\\d+)?)";
  private static final String TIME = "(\\d+:\\d\\d [AP]M)";
  private static final double EPSILON = 1e-9;

  @Test
  void answersAreRight() {
    TreeMap<String, Integer> kinds = new TreeMap<>();
    for (int index = 0; index < 600; index++) {
      for (Mathematics.Question question : Mathematics.questions(7, index)) {
        kinds.merge(check(question), 1, Integer::sum);
      }
    }
    assertThat(kinds).containsOnlyKeys(CHECKS.keySet().stream().map(Pattern::pattern).toList());
  }

  @Test
  void aDocumentDependsOnSeedAndIndexAlone() {
    assertThat(Mathematics.document(3, 5)).isEqualTo(Mathematics.document(3, 5));
    List<String> documents =
        IntStream.range(0, 200).mapToObj(i -> Mathematics.document(3, i)).toList();
    assertThat(documents).doesNotHaveDuplicates().doesNotContain(Mathematics.document(4, 5));
    assertThat(documents.getFirst().lines()).hasSize(2 * Mathematics.QUESTIONS);
  }

  @Test
  void theFirstQuestionsStayTheSame() {
    // The corpus of a published model can be made again only if these never change.
    assertThat(Mathematics.document(1, 0).lines().limit(4)).containsExactly(FIRST);
  }

  private static final String[] FIRST = {
    "Question: What is the second derivative of 18*d**6 - 29*d**5 + 18*d**4 + 3*d**2 - 15*d with"
        + " respect to d?",
    "Answer: 540*d**4 - 580*d**3 + 216*d**2 + 6",
    "Question: Find the first derivative of 27*b**6 - 14*b**4 - 13*b**3 - 19*b**2 + 7*b - 8 with"
        + " respect to b.",
    "Answer: 162*b**5 - 56*b**3 - 39*b**2 - 38*b + 7"
  };

  private interface Check {
    /** Returns whether the answer is right; groups are those of the question's pattern. */
    boolean right(Matcher question, String answer);
  }

  private static final Map<Pattern, Check> CHECKS = checks();

  private static String check(Mathematics.Question question) {
    for (Map.Entry<Pattern, Check> entry : CHECKS.entrySet()) {
      Matcher matcher = entry.getKey().matcher(question.text());
      if (matcher.matches()) {
        assertThat(entry.getValue().right(matcher, question.answer()))
            .as("%s -> %s", question.text(), question.answer())
            .isTrue();
        return entry.getKey().pattern();
      }
    }
    throw new AssertionError("no check of: " + question.text());
  }

  private static Map<Pattern, Check> checks() {
    Map<String, Check> checks = new java.util.LinkedHashMap<>();
    checks.put(
        "What is (-?\\d+) \\+ " + N + "\\?", (q, a) -> n(q, 1) + n(q, 2) == Long.parseLong(a));
    checks.put(
        "Calculate (-?\\d+) - " + N + "\\.", (q, a) -> n(q, 1) - n(q, 2) == Long.parseLong(a));
    checks.put("Add (-?\\d+) and (-?\\d+)\\.", (q, a) -> n(q, 1) + n(q, 2) == Long.parseLong(a));
    checks.put(
        "What is (-?\\d+) less than (-?\\d+)\\?", (q, a) -> n(q, 2) == Long.parseLong(a) + n(q, 1));
    checks.put(
        "(?:Multiply|Calculate the product of) (-?\\d+) and (-?\\d+)\\.",
        (q, a) ->
            new BigDecimal(q.group(1))
                    .multiply(new BigDecimal(q.group(2)))
                    .compareTo(new BigDecimal(a))
                == 0);
    checks.put("Divide (-?\\d+) by (-?\\d+)\\.", (q, a) -> Long.parseLong(a) * n(q, 2) == n(q, 1));
    checks.put(
        "Simplify (-?\\d+) / " + N + "\\.",
        (q, a) -> same(a, value(q.group(1) + "/(" + q.group(2) + ")", 0)));
    checks.put(
        "(?:What is|Evaluate) ([-+*() \\d]+ [-+*() \\d]+ [-+*() \\d]+)[?.]",
        (q, a) -> Double.parseDouble(a) == value(q.group(1), 0));
    checks.put(
        "Add " + D + " and " + D + "\\.",
        (q, a) -> d(q, 1).add(d(q, 2)).compareTo(new BigDecimal(a)) == 0);
    checks.put(
        "Subtract " + D + " from " + D + "\\.",
        (q, a) -> d(q, 2).subtract(d(q, 1)).compareTo(new BigDecimal(a)) == 0);
    checks.put(
        "Multiply " + D + " and " + D + "\\.",
        (q, a) -> d(q, 1).multiply(d(q, 2)).compareTo(new BigDecimal(a)) == 0);
    checks.put(
        "What is " + F + " ([-+]) " + F + "\\?",
        (q, a) -> same(a, value("(" + q.group(1) + ")" + q.group(2) + "(" + q.group(3) + ")", 0)));
    checks.put(
        "What is " + F + " times " + F + "\\?",
        (q, a) -> same(a, value("(" + q.group(1) + ")*(" + q.group(2) + ")", 0)));
    checks.put(
        "What is " + F + " divided by " + F + "\\?",
        (q, a) -> same(a, value("(" + q.group(1) + ")/(" + q.group(2) + ")", 0)));
    checks.put(
        "What is the square root of (\\d+)\\?", (q, a) -> Math.sqrt(n(q, 1)) == Long.parseLong(a));
    checks.put(
        "What is the cube root of (\\d+)\\?",
        (q, a) -> Math.round(Math.cbrt(n(q, 1))) == Long.parseLong(a));
    checks.put(
        "Solve (.+) = (.+) for [a-z]\\.(?<!for x\\.)|Solve ([^y]+) = ([^y]+) for x\\.",
        (q, a) -> {
          String left = q.group(1) == null ? q.group(3) : q.group(1);
          String right = q.group(2) == null ? q.group(4) : q.group(2);
          double x = Double.parseDouble(a);
          return value(left, x) == value(right, x);
        });
    checks.put(
        "Solve (.+) = (-?\\d+), (.+) = (-?\\d+) for x\\.",
        (q, a) -> {
          // the y that solves the first equation solves the second one
          double x = Double.parseDouble(a);
          for (int y = -60; y <= 60; y++) {
            if (value(put(q.group(1), x, y), 0) == n(q, 2)
                && value(put(q.group(3), x, y), 0) == n(q, 4)) {
              return true;
            }
          }
          return false;
        });
    checks.put(
        "Find all [a-z] such that (.+) = 0\\.",
        (q, a) ->
            LongStream.rangeClosed(-60, 60)
                .filter(x -> value(q.group(1), x) == 0)
                .mapToObj(String::valueOf)
                .collect(Collectors.joining(", "))
                .equals(a));
    checks.put(
        "What is the next term in (.+)\\?",
        (q, a) -> {
          long[] t =
              Arrays.stream((q.group(1) + ", " + a).split(", "))
                  .mapToLong(Long::parseLong)
                  .toArray();
          return t[4] - 3 * t[3] + 3 * t[2] - t[1] == 0; // third differences
        });
    checks.put(
        "Is " + F + " equal to " + F + "\\?", (q, a) -> a.equals("Yes") == close(v(q, 1), v(q, 2)));
    checks.put(
        "Which is (bigger|smaller): " + F + " or " + F + "\\?",
        (q, a) ->
            (q.group(1).equals("bigger") ? Math.max(v(q, 2), v(q, 3)) : Math.min(v(q, 2), v(q, 3)))
                == value(a, 0));
    checks.put(
        "Is " + F + " greater than " + F + "\\?",
        (q, a) -> a.equals(v(q, 1) > v(q, 2) ? "Yes" : "No"));
    checks.put(
        "Sort (.+) in (increasing|decreasing) order\\.",
        (q, a) -> {
          TreeSet<Long> sorted = set(q.group(1));
          return join(q.group(2).equals("increasing") ? sorted : sorted.descendingSet()).equals(a);
        });
    checks.put(
        "Which of (.+) is closest to (-?\\d+)\\?",
        (q, a) ->
            set(q.group(1)).stream()
                .allMatch(
                    x ->
                        x == Long.parseLong(a)
                            || Math.abs(x - n(q, 2)) > Math.abs(Long.parseLong(a) - n(q, 2))));
    checks.put(
        "What is the second biggest value in (.+)\\?",
        (q, a) -> set(q.group(1)).tailSet(Long.parseLong(a), false).size() == 1);
    checks.put(
        "What is the third smallest value in (.+)\\?",
        (q, a) -> set(q.group(1)).headSet(Long.parseLong(a), false).size() == 2);
    checks.put(
        "(?:Find the first derivative of|Differentiate) (.+) with respect to [a-z]\\.",
        (q, a) -> derivative(q.group(1), a, 1));
    checks.put(
        "What is the second derivative of (.+) with respect to [a-z]\\?",
        (q, a) -> derivative(q.group(1), a, 2));
    checks.put(
        "What is the slope of (.+) at [a-z] = (-?\\d+)\\?",
        (q, a) -> {
          double h = 1.0 / 1024;
          double x = n(q, 2);
          double slope =
              (-value(q.group(1), x + 2 * h)
                      + 8 * value(q.group(1), x + h)
                      - 8 * value(q.group(1), x - h)
                      + value(q.group(1), x - 2 * h))
                  / (12 * h);
          return Math.abs(slope - Double.parseDouble(a))
              < 1e-3 * Math.max(1, Math.abs(slope)) / 100;
        });
    checks.put(
        "(?:Give the greatest common divisor|Calculate the highest common factor) of (\\d+) and"
            + " (\\d+)\\.",
        (q, a) ->
            LongStream.rangeClosed(1, n(q, 1))
                    .filter(i -> n(q, 1) % i == 0 && n(q, 2) % i == 0)
                    .max()
                    .orElseThrow()
                == Long.parseLong(a));
    checks.put(
        "What is the least common multiple of (\\d+) and (\\d+)\\?", MathematicsTest::multiple);
    checks.put(
        "What is the common denominator of 1/(\\d+) and 1/(\\d+)\\?", MathematicsTest::multiple);
    checks.put("Is (\\d+) a prime number\\?", (q, a) -> a.equals(prime(n(q, 1)) ? "Yes" : "No"));
    checks.put(
        "List the prime factors of (\\d+)\\.",
        (q, a) ->
            LongStream.rangeClosed(2, n(q, 1))
                .filter(i -> n(q, 1) % i == 0 && prime(i))
                .mapToObj(String::valueOf)
                .collect(Collectors.joining(", "))
                .equals(a));
    checks.put(
        "What is the remainder when (\\d+) is divided by (\\d+)\\?",
        (q, a) ->
            (n(q, 1) - Long.parseLong(a)) / n(q, 2) * n(q, 2) + Long.parseLong(a) == n(q, 1)
                && Long.parseLong(a) < n(q, 2));
    checks.put(
        "Does (\\d+) divide (\\d+)\\?",
        (q, a) -> a.equals(n(q, 2) / n(q, 1) * n(q, 1) == n(q, 2) ? "Yes" : "No"));
    checks.put(
        "What is the (units|tens|hundreds|thousands) digit of (\\d+)\\?",
        (q, a) -> {
          long unit =
              (long)
                  Math.pow(
                      10, List.of("units", "tens", "hundreds", "thousands").indexOf(q.group(1)));
          return n(q, 2) / unit % 10 == Long.parseLong(a);
        });
    checks.put(
        "Write (\\d+) \\(base 10\\) in base (\\d+)\\.", (q, a) -> horner(a, n(q, 2)) == n(q, 1));
    checks.put(
        "Write (\\w+) \\(base (\\d+)\\) in base 10\\.",
        (q, a) -> horner(q.group(1), n(q, 2)) == Long.parseLong(a));
    checks.put(
        "Round (\\d+) to the nearest (\\d+)\\.",
        (q, a) ->
            Long.parseLong(a) % n(q, 2) == 0
                && 2 * Math.abs(Long.parseLong(a) - n(q, 1)) <= n(q, 2));
    checks.put(
        "Let f\\(([a-z])\\) = (.+)\\. What is f\\((-?\\d+)\\)\\?",
        (q, a) -> value(q.group(2), n(q, 3)) == Double.parseDouble(a));
    checks.put("Simplify (\\(.+\\) [-+] \\(.+\\))\\.", (q, a) -> identical(q.group(1), a));
    checks.put("Expand (\\(.+\\)\\*\\(.+\\))\\.", (q, a) -> identical(q.group(1), a));
    checks.put(
        "Let f\\([a-z]\\) = (.+)\\. Let g\\([a-z]\\) = (.+)\\. What is f\\(g\\([a-z]\\)\\)\\?",
        (q, a) ->
            IntStream.rangeClosed(-5, 5)
                .allMatch(x -> value(q.group(1), value(q.group(2), x)) == value(a, x)));
    checks.put(
        "Two letters are picked without replacement from ([a-z]+)\\. What is the probability of the"
            + " sequence ([a-z])([a-z])\\?",
        (q, a) ->
            picks(q.group(1), a, (x, y) -> x == q.group(2).charAt(0) && y == q.group(3).charAt(0)));
    checks.put(
        "Two letters are picked without replacement from ([a-z]+)\\. What is the probability of"
            + " picking 1 ([a-z]) and 1 ([a-z])\\?",
        (q, a) ->
            picks(
                q.group(1),
                a,
                (x, y) ->
                    (x + "" + y).equals(q.group(2) + q.group(3))
                        || (y + "" + x).equals(q.group(2) + q.group(3))));
    checks.put(
        "Two fair dice with (\\d+) sides are rolled\\. What is the probability that their sum is"
            + " (\\d+)\\?",
        (q, a) -> {
          long ways = 0;
          for (long i = 1; i <= n(q, 1); i++) {
            for (long j = 1; j <= n(q, 1); j++) {
              ways += i + j == n(q, 2) ? 1 : 0;
            }
          }
          return same(a, (double) ways / (n(q, 1) * n(q, 1)));
        });
    Map<String, Integer> units = new TreeMap<>();
    String[] names = {
      "kilometers/meters",
      "meters/centimeters",
      "centimeters/millimeters",
      "kilograms/grams",
      "tonnes/kilograms",
      "grams/milligrams",
      "liters/milliliters",
      "hours/minutes",
      "minutes/seconds",
      "days/hours",
      "weeks/days"
    };
    int[] factors = {1000, 100, 10, 1000, 1000, 1000, 1000, 60, 60, 24, 7};
    for (int i = 0; i < names.length; i++) {
      units.put(names[i], factors[i]);
    }
    checks.put(
        "How many (\\w+) are there in (\\d+) (\\w+)\\?",
        (q, a) -> n(q, 2) * units.get(q.group(3) + "/" + q.group(1)) == Long.parseLong(a));
    checks.put(
        "What is " + D + " (\\w+) in (\\w+)\\?",
        (q, a) ->
            d(q, 1)
                    .multiply(BigDecimal.valueOf(units.get(q.group(2) + "/" + q.group(3))))
                    .compareTo(new BigDecimal(a))
                == 0);
    checks.put(
        "Convert " + D + " (\\w+) to (\\w+)\\.",
        (q, a) ->
            new BigDecimal(a)
                    .multiply(BigDecimal.valueOf(units.get(q.group(3) + "/" + q.group(2))))
                    .compareTo(d(q, 1))
                == 0);
    checks.put(
        "What is (\\d+) minutes (after|before) " + TIME + "\\?",
        (q, a) ->
            Math.floorMod(
                    minute(q.group(3))
                        + (q.group(2).equals("after") ? n(q, 1) : -n(q, 1))
                        - minute(a),
                    1440L)
                == 0);
    checks.put(
        "How many minutes are there between " + TIME + " and " + TIME + "\\?",
        (q, a) -> minute(q.group(2)) - minute(q.group(1)) == Long.parseLong(a));
    Map<Pattern, Check> compiled = new java.util.LinkedHashMap<>();
    checks.forEach((pattern, check) -> compiled.put(Pattern.compile(pattern), check));
    return compiled;
  }

  private static long n(Matcher matcher, int group) {
    return Long.parseLong(matcher.group(group));
  }

  private static BigDecimal d(Matcher matcher, int group) {
    return new BigDecimal(matcher.group(group));
  }

  private static double v(Matcher matcher, int group) {
    return value(matcher.group(group), 0);
  }

  private static boolean close(double a, double b) {
    return Math.abs(a - b) <= EPSILON * Math.max(1, Math.abs(a));
  }

  /** Returns whether an answer is that value, as a fraction in lowest terms. */
  private static boolean same(String answer, double value) {
    String[] parts = answer.split("/");
    boolean lowest =
        parts.length == 1
            || LongStream.rangeClosed(2, Long.parseLong(parts[1]))
                .noneMatch(
                    i -> Long.parseLong(parts[1]) % i == 0 && Long.parseLong(parts[0]) % i == 0);
    return lowest && close(value(answer, 0), value);
  }

  private static boolean multiple(Matcher q, String a) {
    long found = Long.parseLong(a);
    return found > 0
        && LongStream.rangeClosed(1, found)
                .filter(i -> i % n(q, 1) == 0 && i % n(q, 2) == 0)
                .findFirst()
                .orElse(0)
            == found;
  }

  private static boolean prime(long n) {
    return n > 1 && LongStream.range(2, n).noneMatch(i -> n % i == 0);
  }

  private static long horner(String digits, long base) {
    long value = 0;
    for (char c : digits.toCharArray()) {
      value = value * base + Character.digit(c, 36);
    }
    return value;
  }

  private static TreeSet<Long> set(String list) {
    return Arrays.stream(list.split(", "))
        .map(Long::parseLong)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static String join(java.util.Collection<Long> numbers) {
    return numbers.stream().map(String::valueOf).collect(Collectors.joining(", "));
  }

  private static boolean identical(String left, String right) {
    return IntStream.rangeClosed(-6, 6).allMatch(x -> value(left, x) == value(right, x));
  }

  /** Compares the values of a claimed derivative with finite differences, exact for its degree. */
  private static boolean derivative(String of, String claimed, int order) {
    for (int x = -3; x <= 3; x++) {
      double h = 1.0 / 64;
      double slope = 0;
      if (order == 1) {
        slope =
            (45 * (value(of, x + h) - value(of, x - h))
                    - 9 * (value(of, x + 2 * h) - value(of, x - 2 * h))
                    + value(of, x + 3 * h)
                    - value(of, x - 3 * h))
                / (60 * h);
      } else {
        slope =
            (-490 * value(of, x)
                    + 270 * (value(of, x + h) + value(of, x - h))
                    - 27 * (value(of, x + 2 * h) + value(of, x - 2 * h))
                    + 2 * (value(of, x + 3 * h) + value(of, x - 3 * h)))
                / (180 * h * h);
      }
      if (Math.abs(slope - value(claimed, x)) > 1e-6 * Math.max(1, Math.abs(slope))) {
        return false;
      }
    }
    return true;
  }

  private interface Pick {
    boolean wanted(char first, char second);
  }

  private static boolean picks(String bag, String answer, Pick pick) {
    long wanted = 0;
    long all = 0;
    for (int i = 0; i < bag.length(); i++) {
      for (int j = 0; j < bag.length(); j++) {
        if (i != j) {
          all++;
          wanted += pick.wanted(bag.charAt(i), bag.charAt(j)) ? 1 : 0;
        }
      }
    }
    return same(answer, (double) wanted / all);
  }

  private static long minute(String time) {
    String[] parts = time.split("[: ]");
    return Long.parseLong(parts[0]) % 12 * 60
        + Long.parseLong(parts[1])
        + (parts[2].equals("PM") ? 720 : 0);
  }

  private static String put(String expression, double x, double y) {
    return expression.replace("x", "(" + x + ")").replace("y", "(" + y + ")");
  }

  /** Evaluates an expression of + - * / ** and brackets; a letter stands for {@code x}. */
  private static double value(String expression, double x) {
    return new Expression(expression.replace(" ", ""), x).whole();
  }

  private static final class Expression {
    private final String text;
    private final double x;
    private int at;

    private Expression(String text, double x) {
      this.text = text;
      this.x = x;
    }

    private Optional<String> take(String token) {
      if (!text.startsWith(token, at)) {
        return Optional.empty();
      }
      at += token.length();
      return Optional.of(token);
    }

    private double whole() {
      double value = sum();
      assertThat(at).as(text).isEqualTo(text.length());
      return value;
    }

    private double sum() {
      double value = take("-").isPresent() ? -product() : product();
      while (true) {
        if (take("+").isPresent()) {
          value += product();
        } else if (take("-").isPresent()) {
          value -= product();
        } else {
          return value;
        }
      }
    }

    private double product() {
      double value = power();
      while (true) {
        if (!text.startsWith("**", at) && take("*").isPresent()) {
          value *= power();
        } else if (take("/").isPresent()) {
          value /= power();
        } else {
          return value;
        }
      }
    }

    private double power() {
      double base = atom();
      return take("**").isPresent() ? Math.pow(base, atom()) : base;
    }

    private double atom() {
      if (take("(").isPresent()) {
        double value = sum();
        assertThat(take(")")).as(text).isPresent();
        return value;
      }
      int from = at;
      if (at < text.length() && Character.isLetter(text.charAt(at))) {
        at++;
        return x;
      }
      while (at < text.length()
          && (Character.isDigit(text.charAt(at))
              || text.charAt(at) == '.'
              || text.charAt(at) == 'E')) {
        at++;
      }
      return Double.parseDouble(text.substring(from, at));
    }
  }
}
