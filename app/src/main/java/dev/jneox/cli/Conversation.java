package dev.jneox.cli;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A text that a person and a model write in turns. */
final class Conversation {
  private final String before;
  private final String behind;
  private final String between;
  private final List<String> stop;
  private final List<Turn> turns = new ArrayList<>();

  /**
   * What a person wrote, and the model to it.
   *
   * @param answer null until it is there
   */
  record Turn(String input, @Nullable String answer) {}

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
    turns.add(new Turn(input, null));
  }

  /** Adds what the model wrote. */
  void answer(String written) {
    turns.add(new Turn(turns.removeLast().input, written));
  }

  /** Takes back the last turn and what the model wrote to it; false where there is none. */
  boolean undo() {
    if (turns.isEmpty()) {
      return false;
    }
    turns.removeLast();
    return true;
  }

  void clear() {
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

  /** Goes on from the turns of another one. */
  void restore(List<Turn> from) {
    turns.clear();
    turns.addAll(from);
  }

  /** Returns the turns from the first on. */
  List<Turn> turns() {
    return List.copyOf(turns);
  }

  /** What the model is to continue. */
  String text() {
    StringBuilder text = new StringBuilder();
    for (Turn turn : turns) {
      text.append(before).append(turn.input).append(behind);
      if (turn.answer != null) {
        text.append(turn.answer).append(between);
      }
    }
    return text.toString();
  }
}
