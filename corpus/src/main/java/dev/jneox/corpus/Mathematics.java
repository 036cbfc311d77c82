package dev.jneox.corpus;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.Function;

/**
 * Generates questions of school mathematics with exact answers, in the manner of the Mathematics
 * Dataset (Saxton and others, 2019): arithmetic, algebra, comparison, calculus, numbers,
 * polynomials, probability, measurement.
 *
 * <p>A document has {@link #QUESTIONS} questions of one area, each as {@code Question: ...} and
 * {@code Answer: ...} on two lines. It depends on seed and index alone ({@link Random}'s sequence
 * is fixed by its specification). Answers are whole numbers, fractions in lowest terms, finite
 * decimals, polynomials, words, or lists of these.
 */
final class Mathematics {
  /** Questions of a document. */
  static final int QUESTIONS = 24;

  /** A question and its answer. */
  record Question(String text, String answer) {}

  private static final List<List<Function<Mathematics, Question>>> AREAS =
      List.of(
          List.of(
              Mathematics::sum,
              Mathematics::product,
              Mathematics::quotient,
              Mathematics::expression,
              Mathematics::decimals,
              Mathematics::fractions,
              Mathematics::root),
          List.of(
              Mathematics::linear, Mathematics::pair, Mathematics::quadratic, Mathematics::next),
          List.of(
              Mathematics::larger, Mathematics::sorted, Mathematics::closest, Mathematics::ranked),
          List.of(Mathematics::derivative, Mathematics::secondDerivative, Mathematics::slope),
          List.of(
              Mathematics::divisor,
              Mathematics::multiple,
              Mathematics::prime,
              Mathematics::factors,
              Mathematics::remainder,
              Mathematics::digit,
              Mathematics::base,
              Mathematics::rounded),
          List.of(
              Mathematics::evaluated,
              Mathematics::added,
              Mathematics::expanded,
              Mathematics::composed),
          List.of(Mathematics::sequenceOfLetters, Mathematics::pairOfLetters, Mathematics::dice),
          List.of(Mathematics::conversion, Mathematics::clock, Mathematics::duration));

  private final Random random;
  private final int level; // 0 to 3: how large numbers are

  private Mathematics(Random random, int level) {
    this.random = random;
    this.level = level;
  }

  /** Returns the document of an index. */
  static String document(long seed, int index) {
    StringBuilder text = new StringBuilder();
    for (Question question : questions(seed, index)) {
      text.append("Question: ").append(question.text()).append('\n');
      text.append("Answer: ").append(question.answer()).append('\n');
    }
    return text.toString();
  }

  /** Returns the questions of a document. */
  static List<Question> questions(long seed, int index) {
    Random random = new Random(mixed(seed * 0x9E3779B97F4A7C15L + index));
    List<Function<Mathematics, Question>> area = AREAS.get(random.nextInt(AREAS.size()));
    Mathematics generator = new Mathematics(random, random.nextInt(4));
    List<Question> questions = new ArrayList<>();
    while (questions.size() < QUESTIONS) {
      questions.add(area.get(random.nextInt(area.size())).apply(generator));
    }
    return questions;
  }

  /** Mixes the bits of a seed (MurmurHash3's finalizer): Random's first numbers follow its seed. */
  private static long mixed(long seed) {
    long h = seed;
    h = (h ^ (h >>> 33)) * 0xFF51AFD7ED558CCDL;
    h = (h ^ (h >>> 33)) * 0xC4CEB9FE1A85EC53L;
    return h ^ (h >>> 33);
  }

  private String one(String... choices) {
    return choices[random.nextInt(choices.length)];
  }

  private long between(long least, long most) {
    return least + Math.floorMod(random.nextLong(), most - least + 1);
  }

  /** Returns a number of up to as many digits as the level allows, below zero now and then. */
  private long number() {
    long bound = 1;
    for (int i = (int) between(1, level + 2L); i > 0; i--) {
      bound *= 10;
    }
    long n = between(0, bound - 1);
    return random.nextInt(4) == 0 ? -n : n;
  }

  private long other(long least, long most, long not) {
    long n = between(least, most);
    while (n == not) {
      n = between(least, most);
    }
    return n;
  }

  private static String signed(long n) {
    return n < 0 ? "(" + n + ")" : Long.toString(n);
  }

  private static Question of(String text, Object answer) {
    return new Question(text, answer.toString());
  }

  private Question sum() {
    long a = number();
    long b = number();
    return switch (random.nextInt(4)) {
      case 0 -> of("What is " + a + " + " + signed(b) + "?", a + b);
      case 1 -> of("Calculate " + a + " - " + signed(b) + ".", a - b);
      case 2 -> of("Add " + a + " and " + b + ".", a + b);
      default -> of("What is " + a + " less than " + b + "?", b - a);
    };
  }

  private Question product() {
    long a = number();
    long b = number();
    return of(one("Multiply ", "Calculate the product of ") + a + " and " + b + ".", a * b);
  }

  private Question quotient() {
    long b = other(-40L * (level + 1), 40L * (level + 1), 0);
    if (random.nextBoolean()) {
      long a = b * number();
      return of("Divide " + a + " by " + b + ".", a / b);
    }
    long a = number();
    return of("Simplify " + a + " / " + signed(b) + ".", Fraction.of(a, b));
  }

  private Question expression() {
    long a = between(-20, 20);
    long b = between(-12, 12);
    long c = between(-12, 12);
    long d = between(1, 30);
    return switch (random.nextInt(3)) {
      case 0 ->
          of(
              "What is " + a + " + " + signed(b) + " * " + signed(c) + " - " + d + "?",
              a + b * c - d);
      case 1 ->
          of(
              "Evaluate (" + a + " - " + signed(b) + ") * " + signed(c) + " + " + d + ".",
              (a - b) * c + d);
      default ->
          of(
              "Evaluate " + d + " - (" + a + " - (" + b + " + " + signed(c) + ")).",
              d - (a - (b + c)));
    };
  }

  private Question decimals() {
    int places = (int) between(1, level + 1L);
    Decimal a = new Decimal(number(), places);
    Decimal b = new Decimal(number(), (int) between(1, places));
    return switch (random.nextInt(3)) {
      case 0 -> of("Add " + a + " and " + b + ".", a.plus(b));
      case 1 -> of("Subtract " + b + " from " + a + ".", a.plus(b.negative()));
      default -> of("Multiply " + a + " and " + b + ".", a.times(b));
    };
  }

  private Question fractions() {
    Fraction a = Fraction.of(between(-20, 20), between(1, 12L + level * 8));
    Fraction b = Fraction.of(other(-20, 20, 0), between(1, 12L + level * 8));
    return switch (random.nextInt(4)) {
      case 0 -> of("What is " + a + " + " + b.inBrackets() + "?", a.plus(b));
      case 1 -> of("What is " + a + " - " + b.inBrackets() + "?", a.minus(b));
      case 2 -> of("What is " + a.inBrackets() + " times " + b + "?", a.times(b));
      default -> of("What is " + a.inBrackets() + " divided by " + b + "?", a.over(b));
    };
  }

  private Question root() {
    long n = between(2, 12L + 30 * level);
    return random.nextBoolean()
        ? of("What is the square root of " + n * n + "?", n)
        : of("What is the cube root of " + n * n * n + "?", n);
  }

  private Question linear() {
    String x = letter();
    long solution = between(-30L * (level + 1), 30L * (level + 1));
    long a = other(-20, 20, 0);
    long b = between(-50, 50);
    long c = other(-20, 20, a);
    // a*x + b = c*x + d
    long d = a * solution + b - c * solution;
    String left = Polynomial.of(b, a).text(x);
    String right = Polynomial.of(d, c).text(x);
    return of("Solve " + left + " = " + right + " for " + x + ".", solution);
  }

  private Question pair() {
    long x = between(-12L * (level + 1), 12L * (level + 1));
    long y = between(-12L * (level + 1), 12L * (level + 1));
    long a = other(-9, 9, 0);
    long b = other(-9, 9, 0);
    long c = other(-9, 9, 0);
    long d = between(-9, 9);
    while (a * d == b * c) {
      d++;
    }
    return of(
        "Solve "
            + two(a, b)
            + " = "
            + (a * x + b * y)
            + ", "
            + two(c, d)
            + " = "
            + (c * x + d * y)
            + " for x.",
        x);
  }

  private static String two(long a, long b) {
    String x = Polynomial.of(0, a).text("x");
    if (b == 0) {
      return x;
    }
    String y = Polynomial.of(0, Math.abs(b)).text("y");
    return x + (b < 0 ? " - " : " + ") + y;
  }

  private Question quadratic() {
    String x = letter();
    long p = between(-9L - 5 * level, 9L + 5 * level);
    long q = between(-9L - 5 * level, 9L + 5 * level);
    Polynomial equation = Polynomial.of(-p, 1).times(Polynomial.of(-q, 1));
    String answer = p == q ? Long.toString(p) : Math.min(p, q) + ", " + Math.max(p, q);
    return of("Find all " + x + " such that " + equation.text(x) + " = 0.", answer);
  }

  private Question next() {
    long a = between(-20, 20);
    long b = other(-20L * (level + 1), 20L * (level + 1), 0);
    long c = level < 2 ? 0 : between(-5, 5);
    List<Long> terms = new ArrayList<>();
    for (long n = 1; n <= 5; n++) {
      terms.add(a + b * n + c * n * n);
    }
    String shown = join(terms.subList(0, 4));
    return of("What is the next term in " + shown + "?", terms.get(4));
  }

  private Question larger() {
    Fraction a = Fraction.of(number(), between(1, 20));
    Fraction b = Fraction.of(number(), between(1, 20));
    int order = a.compareTo(b);
    return switch (random.nextInt(4)) {
      case 0 ->
          order == 0
              ? of("Is " + a + " equal to " + b + "?", "Yes")
              : of("Which is bigger: " + a + " or " + b + "?", order > 0 ? a : b);
      case 1 ->
          order == 0
              ? of("Is " + a + " equal to " + b + "?", "Yes")
              : of("Which is smaller: " + a + " or " + b + "?", order < 0 ? a : b);
      case 2 -> {
        Fraction c = random.nextBoolean() ? a : b;
        yield of("Is " + a + " equal to " + c + "?", a.equals(c) ? "Yes" : "No");
      }
      default -> of("Is " + a + " greater than " + b + "?", order > 0 ? "Yes" : "No");
    };
  }

  private List<Long> distinct(int count) {
    List<Long> numbers = new ArrayList<>();
    while (numbers.size() < count) {
      long n = number();
      if (!numbers.contains(n)) {
        numbers.add(n);
      }
    }
    return numbers;
  }

  private Question sorted() {
    List<Long> numbers = distinct(4 + level);
    boolean up = random.nextBoolean();
    List<Long> sorted = new ArrayList<>(numbers);
    Collections.sort(sorted);
    return of(
        "Sort " + join(numbers) + (up ? " in increasing order." : " in decreasing order."),
        join(up ? sorted : sorted.reversed()));
  }

  private Question closest() {
    List<Long> numbers = distinct(3 + level);
    long to = number();
    List<Long> byDistance = new ArrayList<>(numbers);
    byDistance.sort((a, b) -> Long.compare(Math.abs(a - to), Math.abs(b - to)));
    if (Math.abs(byDistance.get(0) - to) == Math.abs(byDistance.get(1) - to)) {
      return sorted();
    }
    return of("Which of " + join(numbers) + " is closest to " + to + "?", byDistance.get(0));
  }

  private Question ranked() {
    List<Long> numbers = distinct(4 + level);
    List<Long> sorted = new ArrayList<>(numbers);
    Collections.sort(sorted);
    return random.nextBoolean()
        ? of(
            "What is the second biggest value in " + join(numbers) + "?",
            sorted.get(sorted.size() - 2))
        : of("What is the third smallest value in " + join(numbers) + "?", sorted.get(2));
  }

  private static String join(List<Long> numbers) {
    return String.join(", ", numbers.stream().map(String::valueOf).toList());
  }

  private Question derivative() {
    String x = letter();
    Polynomial p = polynomial(3 + level);
    return of(
        one("Find the first derivative of ", "Differentiate ")
            + p.text(x)
            + " with respect to "
            + x
            + ".",
        p.derivative().text(x));
  }

  private Question secondDerivative() {
    String x = letter();
    Polynomial p = polynomial(3 + level);
    return of(
        "What is the second derivative of " + p.text(x) + " with respect to " + x + "?",
        p.derivative().derivative().text(x));
  }

  private Question slope() {
    String x = letter();
    Polynomial p = polynomial(2 + level / 2);
    long at = between(-6, 6);
    return of(
        "What is the slope of " + p.text(x) + " at " + x + " = " + at + "?",
        p.derivative().at(BigInteger.valueOf(at)));
  }

  private Question divisor() {
    long common = between(1, 30);
    long a = common * between(1, 40L * (level + 1));
    long b = common * between(1, 40L * (level + 1));
    return of(
        one("Give the greatest common divisor of ", "Calculate the highest common factor of ")
            + a
            + " and "
            + b
            + ".",
        gcd(a, b));
  }

  private Question multiple() {
    long a = between(1, 60L * (level + 1));
    long b = between(1, 60L * (level + 1));
    return random.nextBoolean()
        ? of("What is the least common multiple of " + a + " and " + b + "?", a / gcd(a, b) * b)
        : of("What is the common denominator of 1/" + a + " and 1/" + b + "?", a / gcd(a, b) * b);
  }

  private static long gcd(long a, long b) {
    return b == 0 ? Math.abs(a) : gcd(b, a % b);
  }

  private Question prime() {
    long n = between(2, 100L * (1 + 30L * level));
    return of("Is " + n + " a prime number?", factorsOf(n).size() == 1 ? "Yes" : "No");
  }

  private Question factors() {
    long n = between(4, 100L * (1 + 30L * level));
    return of(
        "List the prime factors of " + n + ".", join(factorsOf(n).stream().distinct().toList()));
  }

  private static List<Long> factorsOf(long number) {
    List<Long> factors = new ArrayList<>();
    long n = number;
    for (long p = 2; p * p <= n; p++) {
      while (n % p == 0) {
        factors.add(p);
        n /= p;
      }
    }
    if (n > 1) {
      factors.add(n);
    }
    return factors;
  }

  private Question remainder() {
    long b = between(2, 20L * (level + 1));
    long a = between(b, b * 100);
    return random.nextBoolean()
        ? of("What is the remainder when " + a + " is divided by " + b + "?", a % b)
        : of("Does " + b + " divide " + a + "?", a % b == 0 ? "Yes" : "No");
  }

  private Question digit() {
    long n = between(1000, 1000L * (1 + 1000L * level * level));
    String[] places = {"units", "tens", "hundreds", "thousands"};
    int place = random.nextInt(places.length);
    String digits = Long.toString(n);
    return of(
        "What is the " + places[place] + " digit of " + n + "?",
        digits.charAt(digits.length() - 1 - place));
  }

  private Question base() {
    int from = (int) other(2, 16, 10);
    long n = between(1, 50L * (1 + 20L * level));
    return random.nextBoolean()
        ? of("Write " + n + " (base 10) in base " + from + ".", Long.toString(n, from))
        : of("Write " + Long.toString(n, from) + " (base " + from + ") in base 10.", n);
  }

  private Question rounded() {
    long unit = level == 0 ? 10 : between(0, 1) == 0 ? 100 : 1000;
    long n = between(1, unit * 100);
    long rounded = (n + unit / 2) / unit * unit;
    return of("Round " + n + " to the nearest " + unit + ".", rounded);
  }

  private Polynomial polynomial(int degree) {
    long[] coefficients = new long[degree + 1];
    for (int i = 0; i < degree; i++) {
      coefficients[i] = random.nextInt(3) == 0 ? 0 : between(-9L * (level + 1), 9L * (level + 1));
    }
    coefficients[degree] = other(-9L * (level + 1), 9L * (level + 1), 0);
    return Polynomial.of(coefficients);
  }

  private Question evaluated() {
    String x = letter();
    Polynomial p = polynomial(2 + level);
    long at = between(-8, 8);
    return of(
        "Let f(" + x + ") = " + p.text(x) + ". What is f(" + at + ")?",
        p.at(BigInteger.valueOf(at)));
  }

  private Question added() {
    String x = letter();
    Polynomial p = polynomial(2 + level);
    Polynomial q = polynomial(1 + level);
    boolean plus = random.nextBoolean();
    return of(
        "Simplify (" + p.text(x) + ") " + (plus ? "+" : "-") + " (" + q.text(x) + ").",
        (plus ? p.plus(q) : p.plus(q.times(Polynomial.of(-1)))).text(x));
  }

  private Question expanded() {
    String x = letter();
    Polynomial p = polynomial(1 + level / 2);
    Polynomial q = polynomial(1 + level / 3);
    return of("Expand (" + p.text(x) + ")*(" + q.text(x) + ").", p.times(q).text(x));
  }

  private Question composed() {
    String x = letter();
    Polynomial f = polynomial(1 + level / 2);
    Polynomial g = polynomial(1);
    return of(
        "Let f("
            + x
            + ") = "
            + f.text(x)
            + ". Let g("
            + x
            + ") = "
            + g.text(x)
            + ". What is f(g("
            + x
            + "))?",
        f.of(g).text(x));
  }

  private String letter() {
    return one(
        "a", "b", "c", "d", "g", "h", "k", "m", "n", "p", "q", "r", "s", "t", "u", "w", "x", "y",
        "z");
  }

  /** Draws a bag of letters: their names, and how many of each. */
  private String bag(List<Character> kinds, List<Integer> counts) {
    StringBuilder letters = new StringBuilder();
    for (int kind = 0; kind < 2 + Math.min(2, level); kind++) {
      char letter = (char) ('a' + between(0, 25));
      if (kinds.contains(letter)) {
        continue;
      }
      kinds.add(letter);
      counts.add((int) between(1, 3L + level));
      letters.append(String.valueOf(letter).repeat(counts.getLast()));
    }
    List<Character> shuffled = new ArrayList<>();
    for (char c : letters.toString().toCharArray()) {
      shuffled.add(c);
    }
    Collections.shuffle(shuffled, random);
    StringBuilder text = new StringBuilder();
    shuffled.forEach(text::append);
    return text.toString();
  }

  private Question sequenceOfLetters() {
    List<Character> kinds = new ArrayList<>();
    List<Integer> counts = new ArrayList<>();
    String bag = bag(kinds, counts);
    if (bag.length() < 2) {
      return dice();
    }
    int first = random.nextInt(kinds.size());
    int second = random.nextInt(kinds.size());
    long favourable = (long) counts.get(first) * (counts.get(second) - (first == second ? 1 : 0));
    return of(
        "Two letters are picked without replacement from "
            + bag
            + ". What is the probability of the sequence "
            + kinds.get(first)
            + kinds.get(second)
            + "?",
        Fraction.of(favourable, (long) bag.length() * (bag.length() - 1)));
  }

  private Question pairOfLetters() {
    List<Character> kinds = new ArrayList<>();
    List<Integer> counts = new ArrayList<>();
    String bag = bag(kinds, counts);
    if (kinds.size() < 2) {
      return dice();
    }
    return of(
        "Two letters are picked without replacement from "
            + bag
            + ". What is the probability of picking 1 "
            + kinds.get(0)
            + " and 1 "
            + kinds.get(1)
            + "?",
        Fraction.of(2L * counts.get(0) * counts.get(1), (long) bag.length() * (bag.length() - 1)));
  }

  private Question dice() {
    int sides = (int) between(4, 6L + 4 * level);
    int sum = (int) between(2, 2L * sides);
    int ways = Math.min(sum - 1, 2 * sides - sum + 1);
    return of(
        "Two fair dice with "
            + sides
            + " sides are rolled. What is the probability that their sum"
            + " is "
            + sum
            + "?",
        Fraction.of(ways, (long) sides * sides));
  }

  private Question conversion() {
    String[][] units = {
      {"kilometers", "meters", "1000"},
      {"meters", "centimeters", "100"},
      {"centimeters", "millimeters", "10"},
      {"kilograms", "grams", "1000"},
      {"tonnes", "kilograms", "1000"},
      {"grams", "milligrams", "1000"},
      {"liters", "milliliters", "1000"},
      {"hours", "minutes", "60"},
      {"minutes", "seconds", "60"},
      {"days", "hours", "24"},
      {"weeks", "days", "7"}
    };
    String[] unit = units[random.nextInt(units.length)];
    long factor = Long.parseLong(unit[2]);
    if (random.nextBoolean() || factor % 10 != 0 || factor == 60) {
      long n = between(1, 100L * (level + 1));
      return of("How many " + unit[1] + " are there in " + n + " " + unit[0] + "?", n * factor);
    }
    Decimal n = new Decimal(between(1, 10_000), 1 + level);
    return random.nextBoolean()
        ? of(
            "What is " + n + " " + unit[0] + " in " + unit[1] + "?",
            n.times(new Decimal(factor, 0)))
        : of(
            "Convert " + n + " " + unit[1] + " to " + unit[0] + ".",
            n.shifted(unit[2].length() - 1));
  }

  private static String time(long minutes) {
    long hour = minutes / 60;
    return (hour % 12 == 0 ? 12 : hour % 12)
        + ":"
        + (minutes % 60 < 10 ? "0" : "")
        + minutes % 60
        + (hour < 12 ? " AM" : " PM");
  }

  private Question clock() {
    long from = between(0, 24 * 60 - 1);
    long passed = between(1, 720);
    return random.nextBoolean()
        ? of(
            "What is " + passed + " minutes after " + time(from) + "?",
            time((from + passed) % (24 * 60)))
        : of(
            "What is " + passed + " minutes before " + time(from) + "?",
            time(Math.floorMod(from - passed, 24L * 60)));
  }

  private Question duration() {
    long from = between(0, 24 * 60 - 2);
    long to = between(from + 1, Math.min(24 * 60 - 1, from + 719));
    return of(
        "How many minutes are there between " + time(from) + " and " + time(to) + "?", to - from);
  }

  /** A fraction in lowest terms, its denominator above zero. */
  record Fraction(BigInteger over, BigInteger under) implements Comparable<Fraction> {
    static Fraction of(long over, long under) {
      return of(BigInteger.valueOf(over), BigInteger.valueOf(under));
    }

    static Fraction of(BigInteger over, BigInteger under) {
      BigInteger common = over.gcd(under);
      BigInteger by = under.signum() < 0 ? common.negate() : common;
      return new Fraction(over.divide(by), under.divide(by));
    }

    Fraction plus(Fraction other) {
      return of(
          over.multiply(other.under).add(other.over.multiply(under)), under.multiply(other.under));
    }

    Fraction minus(Fraction other) {
      return plus(new Fraction(other.over.negate(), other.under));
    }

    Fraction times(Fraction other) {
      return of(over.multiply(other.over), under.multiply(other.under));
    }

    Fraction over(Fraction other) {
      return of(over.multiply(other.under), under.multiply(other.over));
    }

    @Override
    public int compareTo(Fraction other) {
      return over.multiply(other.under).compareTo(other.over.multiply(under));
    }

    String inBrackets() {
      return over.signum() < 0 || !under.equals(BigInteger.ONE) ? "(" + this + ")" : toString();
    }

    @Override
    public String toString() {
      return under.equals(BigInteger.ONE) ? over.toString() : over + "/" + under;
    }
  }

  /** A finite decimal: {@code digits / 10^places}. */
  record Decimal(long digits, int places) {
    Decimal plus(Decimal other) {
      return places >= other.places
          ? new Decimal(digits + other.digits * power(places - other.places), places)
          : other.plus(this);
    }

    Decimal negative() {
      return new Decimal(-digits, places);
    }

    Decimal times(Decimal other) {
      return new Decimal(digits * other.digits, places + other.places);
    }

    /** Divides by a power of ten. */
    Decimal shifted(int by) {
      return new Decimal(digits, places + by);
    }

    private static long power(int n) {
      return n == 0 ? 1 : 10 * power(n - 1);
    }

    @Override
    public String toString() {
      long n = digits;
      int p = places;
      while (p > 0 && n % 10 == 0) {
        n /= 10;
        p--;
      }
      if (p == 0) {
        return Long.toString(n);
      }
      long unit = power(p);
      String fraction = Long.toString(Math.abs(n) % unit);
      return (n < 0 ? "-" : "")
          + Math.abs(n) / unit
          + "."
          + "0".repeat(p - fraction.length())
          + fraction;
    }
  }

  /** A polynomial of one variable by its coefficients, that of the constant first. */
  record Polynomial(List<BigInteger> coefficients) {
    static Polynomial of(long... coefficients) {
      List<BigInteger> list = new ArrayList<>();
      for (long c : coefficients) {
        list.add(BigInteger.valueOf(c));
      }
      return new Polynomial(list);
    }

    private BigInteger coefficient(int i) {
      return i < coefficients.size() ? coefficients.get(i) : BigInteger.ZERO;
    }

    Polynomial plus(Polynomial other) {
      List<BigInteger> sum = new ArrayList<>();
      for (int i = 0; i < Math.max(coefficients.size(), other.coefficients.size()); i++) {
        sum.add(coefficient(i).add(other.coefficient(i)));
      }
      return new Polynomial(sum);
    }

    Polynomial times(Polynomial other) {
      List<BigInteger> product =
          new ArrayList<>(
              Collections.nCopies(
                  coefficients.size() + other.coefficients.size() - 1, BigInteger.ZERO));
      for (int i = 0; i < coefficients.size(); i++) {
        for (int j = 0; j < other.coefficients.size(); j++) {
          product.set(i + j, product.get(i + j).add(coefficient(i).multiply(other.coefficient(j))));
        }
      }
      return new Polynomial(product);
    }

    /** Returns this polynomial of another one. */
    Polynomial of(Polynomial inner) {
      Polynomial result = of(0);
      for (int i = coefficients.size() - 1; i >= 0; i--) {
        result = result.times(inner).plus(new Polynomial(List.of(coefficient(i))));
      }
      return result;
    }

    Polynomial derivative() {
      List<BigInteger> result = new ArrayList<>();
      for (int i = 1; i < coefficients.size(); i++) {
        result.add(coefficient(i).multiply(BigInteger.valueOf(i)));
      }
      return new Polynomial(result.isEmpty() ? List.of(BigInteger.ZERO) : result);
    }

    BigInteger at(BigInteger x) {
      BigInteger value = BigInteger.ZERO;
      for (int i = coefficients.size() - 1; i >= 0; i--) {
        value = value.multiply(x).add(coefficient(i));
      }
      return value;
    }

    /** Writes it with the highest power first, as {@code -2*x**3 + x - 7}. */
    String text(String x) {
      StringBuilder text = new StringBuilder();
      for (int i = coefficients.size() - 1; i >= 0; i--) {
        BigInteger c = coefficient(i);
        if (c.signum() == 0) {
          continue;
        }
        if (text.isEmpty()) {
          text.append(c.signum() < 0 ? "-" : "");
        } else {
          text.append(c.signum() < 0 ? " - " : " + ");
        }
        boolean plain = c.abs().equals(BigInteger.ONE) && i > 0;
        text.append(plain ? "" : c.abs().toString());
        if (i > 0) {
          text.append(plain ? "" : "*").append(x).append(i > 1 ? "**" + i : "");
        }
      }
      return text.isEmpty() ? "0" : text.toString();
    }
  }
}
