package dev.jneox.tokenizer;

import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Limits the cost of one text under a tokenizer's rules: steps of its regular expressions,
 * characters that its rules write, choices to return to. A file may hold rules of exponential time
 * or space; they end in an {@link InputException}. Not thread-safe.
 */
final class Work {
  private static final int STEPS_PER_CHARACTER = 1000;
  private static final int STEPS = 1_000_000;
  private static final int LONGER = 64;
  private static final int LONGEST = 1 << 29;
  private static final int DEEPEST = 1 << 25;

  private final Path file;
  private long characters;
  private long steps;
  private long longest;

  /** The choices of the regular expressions: where to continue after a failed one. */
  private int[] stack = new int[96];

  private int depth;

  /**
   * Starts without a text.
   *
   * @param file named in errors
   */
  Work(Path file) {
    this.file = file;
  }

  /** Resets the limits for a text of so many characters. */
  Work begin(int characters) {
    this.characters = 0;
    steps = STEPS;
    depth = 0;
    return grant(characters);
  }

  /** Raises the limits for so many more characters. */
  Work grant(int characters) {
    this.characters += characters;
    steps += (long) STEPS_PER_CHARACTER * characters;
    longest = Math.min(LONGER * this.characters + (1 << 16), LONGEST);
    return this;
  }

  /** Counts steps, or characters that are written one by one. */
  void spend(long count) {
    steps -= count;
    if (steps < 0) {
      throw tooMuch("fewer steps for a text of this length", "more: a rule backtracks too much");
    }
  }

  /** Counts a text of so many characters that a rule writes. */
  void write(long characters) {
    bound(characters);
    spend(characters);
  }

  /** Rejects a text of too many characters. */
  void bound(long characters) {
    if (characters > longest) {
      throw tooMuch(
          "a text that becomes at most " + LONGER + " times as long", characters + " characters");
    }
  }

  private InputException tooMuch(String expected, String found) {
    return InputException.in(file, "the rules for a text", expected, found);
  }

  int depth() {
    return depth;
  }

  /** Drops everything pushed since the stack had this depth. */
  void cutTo(int depth) {
    this.depth = depth;
  }

  void push(int first, int second, int third) {
    if (depth + 3 > stack.length) {
      if (stack.length >= DEEPEST) {
        throw tooMuch("fewer open choices", "more than " + depth / 3 + ": a rule nests too deeply");
      }
      stack = Arrays.copyOf(stack, 2 * stack.length);
    }
    stack[depth] = first;
    stack[depth + 1] = second;
    stack[depth + 2] = third;
    depth += 3;
  }

  /** Removes the top three values, for {@link #popped}. */
  void pop() {
    depth -= 3;
  }

  /** Returns one of the three values that {@link #pop} removed. */
  int popped(int index) {
    return stack[depth + index];
  }

  /** Frees a large stack. */
  void end() {
    if (stack.length > 1 << 16) {
      stack = new int[96];
    }
  }
}
