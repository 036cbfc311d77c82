package dev.jneox.serve;

import dev.jneox.io.InputException;
import dev.jneox.template.ChatTemplates;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes a conversation as the text that a model continues. */
interface ChatPrompt {
  /**
   * @param messages of OpenAI's form, each with role and content
   * @param tools definitions of OpenAI's form
   * @throws ApiException where they cannot be written
   * @param goOn whether the text ends where the model's answer begins
   * @param variables more that a template may read
   */
  String write(
      List<Map<String, Object>> messages,
      List<Map<String, Object>> tools,
      boolean goOn,
      Map<String, ? extends @Nullable Object> variables);

  /** Returns strings before which the model's answer ends. */
  List<String> stop();

  /** Returns the text of the template; null where there is none. */
  @Nullable String source();

  /** Writes as the templates say that the model came with. */
  static ChatPrompt of(ChatTemplates templates) {
    return new ChatPrompt() {
      @Override
      public String write(
          List<Map<String, Object>> messages,
          List<Map<String, Object>> tools,
          boolean goOn,
          Map<String, ? extends @Nullable Object> variables) {
        try {
          return templates.render(messages, tools, goOn, variables);
        } catch (InputException e) {
          throw ApiException.invalid("messages", e.getMessage());
        }
      }

      @Override
      public List<String> stop() {
        return List.of();
      }

      @Override
      public @Nullable String source() {
        return templates.sources().get(ChatTemplates.DEFAULT);
      }
    };
  }

  /**
   * Writes a transcript for a base model, which has no template: a line for each turn, as {@code
   * jneox chat} does.
   */
  ChatPrompt TRANSCRIPT =
      new ChatPrompt() {
        @Override
        public String write(
            List<Map<String, Object>> messages,
            List<Map<String, Object>> tools,
            boolean goOn,
            Map<String, ? extends @Nullable Object> variables) {
          if (!tools.isEmpty()) {
            throw ApiException.unsupported(
                "tools", "tools: this model has no chat template that writes tools");
          }
          StringBuilder text = new StringBuilder();
          for (Map<String, Object> message : messages) {
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
        public @Nullable String source() {
          return null;
        }
      };
}
