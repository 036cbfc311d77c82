package dev.jneox.cli;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/** A text that a person and a model write in turns. */
final class Conversation {
  private final String before;
  private final String behind;
  private final String between;
  private final List<String> stop;
  private final StringBuilder text = new StringBuilder();
  private final Deque<Integer> turns = new ArrayDeque<>(); // where each begins

  private Conversation(String before, String behind, String between, List<String> stop) {
    this.before = before;
    this.behind = behind;
    this.between = between;
    this.stop = stop;
  }

  /** Each turn follows the other without anything between. */
  static Conversation continued() {
    return new Conversation("", "", "", List.of());
  }

  /** Turns are lines of a transcript, as those of JNeoX's adapters for chats. */
  static Conversation transcript() {
    return new Conversation("User: ", "\nAssistant:", "\n", List.of("\nUser:"));
  }

  /** Adds a turn of the person; an empty one, where turns simply follow, lets the model go on. */
  void add(String input) {
    turns.push(text.length());
    text.append(before).append(input).append(behind);
  }

  /** Adds what the model wrote. */
  void answer(String written) {
    text.append(written);
    text.append(between);
  }

  /** Takes back the last turn and what the model wrote to it; false where there is none. */
  boolean undo() {
    if (turns.isEmpty()) {
      return false;
    }
    text.setLength(turns.pop());
    return true;
  }

  void clear() {
    text.setLength(0);
    turns.clear();
  }

  /** Whether a turn may be empty. */
  boolean goesOn() {
    return before.isEmpty();
  }

  /** Strings before which the model's part ends. */
  List<String> stop() {
    return stop;
  }

  /** What the model is to continue. */
  String text() {
    return text.toString();
  }
}
