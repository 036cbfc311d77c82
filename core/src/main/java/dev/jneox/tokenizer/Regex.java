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
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Compiles a regular expression of a {@code tokenizer.json} to a small program that backtracks with
 * its own stack. {@code java.util.regex} has another dialect, recurses on the thread's stack and
 * cannot be bounded; here {@link Work} counts every step.
 */
final class Regex {
  private static final int LARGEST = 1 << 20;

  // The program: an operation and its operands, one after the other.
  private static final int MATCH = 0;
  private static final int ONE = 1; // set
  private static final int SPLIT = 2; // preferred, other
  private static final int JUMP = 3; // target
  private static final int RUN = 4; // set, least, most (-1: no limit), possessive
  private static final int ENTER = 5; // register: keeps the place where a round of a loop starts
  private static final int LEAVE = 6; // register, exit: ends a loop whose round took nothing
  private static final int AHEAD = 7; // negative, target behind the body
  private static final int BEHIND = 8; // negative, target, least and most characters
  private static final int ATOMIC = 9; // target
  private static final int PLACE = 10; // which

  private static final Place[] PLACES = Place.values();

  // What a third value on the stack says of the other two, where it is no place in the text.
  private static final int GO_ON = -1;
  private static final int RESTORE = -2;

  private int[] code = new int[64];
  private int size;
  private final List<CodePointSet> sets = new ArrayList<>();
  private final CodePointSet[] table;
  private int registers;

  /**
   * The characters that a match may start with; null where it may be empty or start with anything.
   */
  private final @Nullable CodePointSet first;

  /** A literal text to match; null for a program. */
  private final @Nullable String literal;

  private Regex(RegexNode node, @Nullable String literal) throws RegexParser.Unsupported {
    this.literal = literal;
    emit(node);
    emit(MATCH);
    code = Arrays.copyOf(code, size);
    table = sets.toArray(CodePointSet[]::new);
    first = lengths(node)[0] > 0 ? first(node) : null;
  }

  /**
   * Compiles an expression.
   *
   * @param place named in errors
   */
  static Regex compile(String pattern, JsonKey place) {
    try {
      return new Regex(RegexParser.parse(pattern), null);
    } catch (RegexParser.Unsupported e) {
      throw place.expected(
          "a regular expression of the kind that tokenizers use", String.valueOf(e.getMessage()));
    }
  }

  /** Creates an expression for a literal text. */
  static Regex literal(String text) {
    return of(new All(List.of()), text);
  }

  /** Creates an expression that is known to be valid. */
  static Regex of(RegexNode node) {
    return of(node, null);
  }

  private static Regex of(RegexNode node, @Nullable String literal) {
    try {
      return new Regex(node, literal);
    } catch (RegexParser.Unsupported e) {
      throw new IllegalStateException(e);
    }
  }

  // --- compiling

  private void emit(int... words) throws RegexParser.Unsupported {
    if (size + words.length > code.length) {
      if (size > LARGEST) {
        throw new RegexParser.Unsupported("an expression whose repetitions make it too long");
      }
      code = Arrays.copyOf(code, 2 * code.length + words.length);
    }
    System.arraycopy(words, 0, code, size, words.length);
    size += words.length;
  }

  private int set(CodePointSet set) {
    int known = sets.indexOf(set);
    if (known >= 0) {
      return known;
    }
    sets.add(set);
    return sets.size() - 1;
  }

  private void emit(RegexNode node) throws RegexParser.Unsupported {
    switch (node) {
      case One one -> emit(ONE, set(one.set()));
      case All all -> {
        for (RegexNode part : all.parts()) {
          emit(part);
        }
      }
      case Any any -> choices(any.choices());
      case Repeat repeat -> repeat(repeat);
      case Atomic atomic -> {
        int at = size;
        emit(ATOMIC, 0);
        emit(atomic.body());
        emit(MATCH);
        code[at + 1] = size;
      }
      case Look look -> {
        int at = size;
        if (look.ahead()) {
          emit(AHEAD, look.negative() ? 1 : 0, 0);
        } else {
          int[] lengths = lengths(look.body());
          if (lengths[1] < 0 || lengths[1] > 255) {
            throw new RegexParser.Unsupported("a look behind of any length");
          }
          emit(BEHIND, look.negative() ? 1 : 0, 0, lengths[0], lengths[1]);
        }
        emit(look.body());
        emit(MATCH);
        code[at + 2] = size;
      }
      case Place place -> emit(PLACE, place.ordinal());
    }
  }

  private void choices(List<RegexNode> choices) throws RegexParser.Unsupported {
    List<Integer> jumps = new ArrayList<>();
    for (int i = 0; i < choices.size(); i++) {
      int split = size;
      boolean last = i == choices.size() - 1;
      if (!last) {
        emit(SPLIT, size + 3, 0);
      }
      emit(choices.get(i));
      if (!last) {
        jumps.add(size);
        emit(JUMP, 0);
        code[split + 2] = size;
      }
    }
    for (int jump : jumps) {
      code[jump + 1] = size;
    }
  }

  private void repeat(Repeat repeat) throws RegexParser.Unsupported {
    if (repeat.body() instanceof One one && repeat.greed() != Greed.LAZY) {
      int possessive = repeat.greed() == Greed.POSSESSIVE ? 1 : 0;
      emit(RUN, set(one.set()), repeat.least(), repeat.most(), possessive);
      return;
    }
    if (repeat.greed() == Greed.POSSESSIVE) {
      emit(new Atomic(new Repeat(repeat.body(), repeat.least(), repeat.most(), Greed.GREEDY)));
      return;
    }
    for (int i = 0; i < repeat.least(); i++) {
      emit(repeat.body());
    }
    boolean lazy = repeat.greed() == Greed.LAZY;
    if (repeat.most() < 0) {
      int register = registers++;
      int split = size;
      emit(SPLIT, size + 3, 0);
      emit(ENTER, register);
      emit(repeat.body());
      emit(LEAVE, register, 0);
      emit(JUMP, split);
      code[size - 3] = size; // the exit of LEAVE
      exit(split, lazy);
    } else {
      List<Integer> splits = new ArrayList<>();
      for (int i = repeat.least(); i < repeat.most(); i++) {
        splits.add(size);
        emit(SPLIT, size + 3, 0);
        emit(repeat.body());
      }
      for (int split : splits) {
        exit(split, lazy);
      }
    }
  }

  /** Makes a split choose between its body and the code from here on. */
  private void exit(int split, boolean lazy) {
    code[split + 1] = lazy ? size : split + 3;
    code[split + 2] = lazy ? split + 3 : size;
  }

  /** Returns the least and the most characters of a match; -1 for any number. */
  private static int[] lengths(RegexNode node) {
    return switch (node) {
      case One one -> new int[] {1, 1};
      case All all -> {
        int[] sum = {0, 0};
        for (RegexNode part : all.parts()) {
          int[] lengths = lengths(part);
          sum[0] += lengths[0];
          sum[1] = sum[1] < 0 || lengths[1] < 0 ? -1 : sum[1] + lengths[1];
        }
        yield sum;
      }
      case Any any -> {
        int[] span = {Integer.MAX_VALUE, 0};
        for (RegexNode choice : any.choices()) {
          int[] lengths = lengths(choice);
          span[0] = Math.min(span[0], lengths[0]);
          span[1] = span[1] < 0 || lengths[1] < 0 ? -1 : Math.max(span[1], lengths[1]);
        }
        yield span;
      }
      case Repeat repeat -> {
        int[] lengths = lengths(repeat.body());
        long most = (long) lengths[1] * repeat.most();
        yield new int[] {
          (int) Math.min((long) lengths[0] * repeat.least(), 1 << 20),
          lengths[1] < 0 || repeat.most() < 0 ? -1 : (int) Math.min(most, 1 << 20)
        };
      }
      case Atomic atomic -> lengths(atomic.body());
      case Look look -> new int[] {0, 0};
      case Place place -> new int[] {0, 0};
    };
  }

  /**
   * Returns the characters that a match of a node may start with, if it takes at least one; null
   * for any.
   */
  private static @Nullable CodePointSet first(RegexNode node) {
    return switch (node) {
      case One one -> one.set();
      case All all -> {
        CodePointSet set = CodePointSet.NONE;
        for (RegexNode part : all.parts()) {
          CodePointSet of = first(part);
          set = of == null || set == null ? null : set.union(of);
          if (lengths(part)[0] > 0) {
            break;
          }
        }
        yield set;
      }
      case Any any -> {
        CodePointSet set = CodePointSet.NONE;
        for (RegexNode choice : any.choices()) {
          CodePointSet of = first(choice);
          set = of == null || set == null ? null : set.union(of);
        }
        yield set;
      }
      case Repeat repeat -> first(repeat.body());
      case Atomic atomic -> first(atomic.body());
      case Look look -> CodePointSet.NONE; // takes nothing: what follows it counts
      case Place place -> CodePointSet.NONE;
    };
  }

  // --- matching

  /** Receives each match of {@link #find}. */
  interface Matches {
    void accept(int start, int end);
  }

  /**
   * Finds the matches in {@code text[from, to)} from left to right. They do not overlap, and none
   * is empty directly behind another. Text beyond the two ends is invisible.
   */
  void find(String text, int from, int to, Work work, Matches matches) {
    if (literal != null && !literal.isEmpty()) {
      for (int at = text.indexOf(literal, from, to); at >= 0; ) {
        matches.accept(at, at + literal.length());
        at = text.indexOf(literal, at + literal.length(), to);
      }
      work.spend(to - from);
      return;
    }
    Matcher matcher = new Matcher(text, from, to, work);
    int behind = -1; // where the last match ends
    for (int at = from; at <= to; ) {
      int end = start(matcher, at) ? matcher.run(0, at, -1) : -1;
      if (end > at || end == at && at != behind) {
        matches.accept(at, end);
        behind = end;
      }
      at = end > at ? end : at + (at < to ? Character.charCount(text.codePointAt(at)) : 1);
    }
  }

  private boolean start(Matcher matcher, int at) {
    matcher.work.spend(1);
    return first == null || at < matcher.to && first.contains(matcher.text.codePointAt(at));
  }

  /** Runs the program on one text. */
  private final class Matcher {
    private final String text;
    private final int from;
    private final int to;
    private final Work work;
    private final int[] starts = new int[registers];

    Matcher(String text, int from, int to, Work work) {
      this.text = text;
      this.from = from;
      this.to = to;
      this.work = work;
    }

    /**
     * Runs the program from {@code pc} on; returns where the match ends, or -1.
     *
     * @param required where it must end, or -1
     */
    int run(int pc, int at, int required) {
      int base = work.depth();
      while (true) {
        work.spend(1);
        boolean fits =
            switch (code[pc]) {
              case MATCH -> required < 0 || at == required;
              case ONE -> at < to && set(code[pc + 1]).contains(text.codePointAt(at));
              case RUN -> {
                int end = take(pc, at);
                at = Math.max(end, 0);
                yield end >= 0;
              }
              case AHEAD -> run(pc + 3, at, -1) >= 0 == (code[pc + 1] == 0);
              case BEHIND -> behind(pc, at) == (code[pc + 1] == 0);
              case ATOMIC -> {
                int end = run(pc + 2, at, -1);
                at = Math.max(end, 0);
                yield end >= 0;
              }
              case PLACE -> is(PLACES[code[pc + 1]], at);
              default -> true;
            };
        if (!fits) {
          int kept = back(base);
          if (kept < 0) {
            return -1;
          }
          pc = kept;
          at = place;
          continue;
        }
        switch (code[pc]) {
          case MATCH -> {
            work.cutTo(base);
            return at;
          }
          case ONE -> {
            at += Character.charCount(text.codePointAt(at));
            pc += 2;
          }
          case SPLIT -> {
            work.push(code[pc + 2], at, GO_ON);
            pc = code[pc + 1];
          }
          case JUMP, ATOMIC -> pc = code[pc + 1];
          case RUN -> pc += 5;
          case ENTER -> {
            work.push(code[pc + 1], starts[code[pc + 1]], RESTORE);
            starts[code[pc + 1]] = at;
            pc += 2;
          }
          case LEAVE -> pc = starts[code[pc + 1]] == at ? code[pc + 2] : pc + 3;
          case AHEAD, BEHIND -> pc = code[pc + 2];
          default -> pc += 2; // a place
        }
      }
    }

    /** Where {@link #back} continues in the text. */
    private int place;

    /** Returns to the last choice; returns where the program continues, or -1. */
    private int back(int base) {
      while (work.depth() > base) {
        work.pop();
        int target = work.popped(0);
        int at = work.popped(1);
        int kind = work.popped(2);
        if (kind == RESTORE) {
          starts[target] = at;
          continue;
        }
        if (kind != GO_ON) { // a run that can give back one character more
          at = text.offsetByCodePoints(at, -1);
          if (at > kind) {
            work.push(target, at, kind);
          }
        }
        place = at;
        return target;
      }
      return -1;
    }

    private CodePointSet set(int index) {
      return table[index];
    }

    /** Takes the characters of a run; returns where it ends, or -1 where there are too few. */
    private int take(int pc, int at) {
      CodePointSet set = set(code[pc + 1]);
      int least = code[pc + 2];
      int most = code[pc + 3];
      int taken = 0;
      int lowest = least == 0 ? at : -1;
      int start = at;
      while (at < to && taken != most) {
        int c = text.charAt(at);
        int length = 1;
        if (Character.isHighSurrogate((char) c) && at + 1 < to) {
          c = text.codePointAt(at);
          length = Character.charCount(c);
        }
        if (!set.contains(c)) {
          break;
        }
        at += length;
        if (++taken == least) {
          lowest = at;
        }
      }
      work.spend(at - start);
      if (taken < least) {
        return -1;
      }
      if (at > lowest && code[pc + 4] == 0) {
        work.push(pc + 5, at, lowest);
      }
      return at;
    }

    private boolean behind(int pc, int at) {
      int least = code[pc + 3];
      int most = code[pc + 4];
      int start = at;
      for (int characters = 0; characters <= most; characters++) {
        if (characters >= least && run(pc + 5, start, at) >= 0) {
          return true;
        }
        if (start == from) {
          return false;
        }
        start = text.offsetByCodePoints(start, -1);
      }
      return false;
    }

    private boolean is(Place place, int at) {
      return switch (place) {
        case LINE_START -> at == from || at < to && text.charAt(at - 1) == '\n';
        case LINE_END -> at == to || text.charAt(at) == '\n';
        case TEXT_START -> at == from;
        case TEXT_END -> at == to;
        case TEXT_END_OR_LAST_NEWLINE -> at == to || at == to - 1 && text.charAt(at) == '\n';
        case WORD_BORDER -> word(at) != wordBefore(at);
        case NO_WORD_BORDER -> word(at) == wordBefore(at);
      };
    }

    private boolean word(int at) {
      return at < to && CharacterSets.known("word").contains(text.codePointAt(at));
    }

    private boolean wordBefore(int at) {
      return at > from && CharacterSets.known("word").contains(text.codePointBefore(at));
    }
  }
}
