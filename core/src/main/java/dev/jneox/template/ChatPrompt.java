package dev.jneox.template;

import dev.jneox.io.InputException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Writes a conversation as the text that a model continues. */
public interface ChatPrompt {
  /**
   * Writes a conversation.
   *
   * @param messages of OpenAI's form, each with role and content
   * @param tools definitions of OpenAI's form
   * @param goOn whether the text ends where the model's answer begins
   * @param variables more that a template may read
   * @throws InputException where they cannot be written
   */
  String write(
      List<? extends Map<String, ?>> messages,
      List<? extends Map<String, ?>> tools,
      boolean goOn,
      Map<String, ? extends @Nullable Object> variables);

  /** Returns strings before which the model's answer ends. */
  List<String> stop();

  /** Returns the answer that begins with this text of the model, without what only separates it. */
  String answer(String text);

  /** Returns the text of the template; null where there is none. */
  @Nullable String source();

  /**
   * Writes by the templates that a model came with, or a transcript where it has none.
   *
   * @throws InputException when a template cannot be parsed
   */
  static ChatPrompt of(Optional<ChatTemplates> templates) {
    return templates.map(ChatPrompt::of).orElse(TRANSCRIPT);
  }

  private static ChatPrompt of(ChatTemplates templates) {
    ChatTemplate plain = templates.template(false);
    ChatTemplate withTools = templates.template(true);
    return new ChatPrompt() {
      @Override
      public String write(
          List<? extends Map<String, ?>> messages,
          List<? extends Map<String, ?>> tools,
          boolean goOn,
          Map<String, ? extends @Nullable Object> variables) {
        Map<String, @Nullable Object> all = new LinkedHashMap<>(templates.specialTokens());
        all.putAll(variables);
        return (tools.isEmpty() ? plain : withTools).render(messages, tools, goOn, all);
      }

      @Override
      public List<String> stop() {
        return List.of();
      }

      @Override
      public String answer(String text) {
        return text;
      }

      @Override
      public @Nullable String source() {
        return templates.sources().get(ChatTemplates.DEFAULT);
      }
    };
  }

  /**
   * Writes a transcript for a base model, which has no template: a line for each turn, {@code User:
   * ..} and {@code Assistant: ..}. Tools are not written.
   */
  ChatPrompt TRANSCRIPT =
      new ChatPrompt() {
        @Override
        public String write(
            List<? extends Map<String, ?>> messages,
            List<? extends Map<String, ?>> tools,
            boolean goOn,
            Map<String, ? extends @Nullable Object> variables) {
          if (!tools.isEmpty()) {
            throw new InputException("tools: this model has no chat template that writes tools");
          }
          StringBuilder text = new StringBuilder();
          for (Map<String, ?> message : messages) {
            String role = String.valueOf(message.get("role"));
            text.append(text.isEmpty() ? "" : "\n")
                .append(
                    switch (role) {
                      case "system", "developer" -> "System: ";
                      case "assistant" -> "Assistant: ";
                      case "tool", "function" -> "Tool: ";
                      default -> "User: ";
                    })
                .append(message.get("content"));
          }
          return goOn ? text.append("\nAssistant:").toString() : text.toString();
        }

        @Override
        public List<String> stop() {
          return List.of("\nUser:");
        }

        @Override
        public String answer(String text) {
          return text.startsWith(" ") ? text.substring(1) : text;
        }

        @Override
        public @Nullable String source() {
          return null;
        }
      };
}
