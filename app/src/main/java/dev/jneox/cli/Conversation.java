package dev.jneox.cli;

import dev.jneox.template.ChatPrompt;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A text that a person and a model write in turns. */
final class Conversation {
  private final Optional<ChatPrompt> chat;
  private final List<Turn> turns = new ArrayList<>();

  /**
   * What a person wrote, and the model to it.
   *
   * @param answer null until it is there
   */
  record Turn(String input, @Nullable String answer) {}

  private Conversation(Optional<ChatPrompt> chat) {
    this.chat = chat;
  }

  /** Each turn follows the other without anything between. */
  static Conversation continued() {
    return new Conversation(Optional.empty());
  }

  /** Turns are questions and answers, written by the model's template or as a transcript. */
  static Conversation chat(ChatPrompt prompt) {
    return new Conversation(Optional.of(prompt));
  }

  /** Adds a turn of the person; an empty one, where turns simply follow, lets the model go on. */
  void add(String input) {
    turns.add(new Turn(input, null));
  }

  /** Adds what the model wrote. */
  void answer(String written) {
    turns.add(new Turn(turns.removeLast().input, written));
  }

  /** Returns the beginning of an answer, without what only separates it from the question. */
  String begun(String text) {
    return chat.map(prompt -> prompt.answer(text)).orElse(text);
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
    return chat.isEmpty();
  }

  /** Strings before which the model's part ends. */
  List<String> stop() {
    return chat.map(ChatPrompt::stop).orElse(List.of());
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

  /** Returns the messages of the turns, in OpenAI's form. */
  List<Map<String, String>> messages() {
    return messages(0);
  }

  private List<Map<String, String>> messages(int first) {
    List<Map<String, String>> messages = new ArrayList<>();
    for (Turn turn : turns.subList(first, turns.size())) {
      messages.add(Map.of("role", "user", "content", turn.input));
      if (turn.answer != null) {
        messages.add(Map.of("role", "assistant", "content", turn.answer));
      }
    }
    return messages;
  }

  /** Returns what the model is to continue. */
  String text() {
    return text(0);
  }

  /**
   * Returns what the model is to continue, without the turns before one. Where turns simply follow,
   * all of them are there.
   */
  String text(int first) {
    if (chat.isPresent()) {
      boolean asked = !turns.isEmpty() && turns.getLast().answer == null;
      return turns.isEmpty() ? "" : chat.get().write(messages(first), List.of(), asked, Map.of());
    }
    StringBuilder text = new StringBuilder();
    for (Turn turn : turns) {
      text.append(turn.input).append(turn.answer == null ? "" : turn.answer);
    }
    return text.toString();
  }
}
