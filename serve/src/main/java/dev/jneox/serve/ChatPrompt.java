package dev.jneox.serve;

import dev.jneox.io.InputException;
import dev.jneox.template.ChatTemplate;
import dev.jneox.template.ChatTemplates;
import java.util.LinkedHashMap;
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

  /** Writes as the templates say that the model came with; says at once when one is broken. */
  static ChatPrompt of(ChatTemplates templates) {
    ChatTemplate plain = parsed(templates, false);
    ChatTemplate withTools = parsed(templates, true);
    return new ChatPrompt() {
      @Override
      public String write(
          List<Map<String, Object>> messages,
          List<Map<String, Object>> tools,
          boolean goOn,
          Map<String, ? extends @Nullable Object> variables) {
        ChatTemplate template = tools.isEmpty() ? plain : withTools;
        if (template == null) {
          throw ApiException.http(
              500, "the chat template of this model is broken: the log of the server says how");
        }
        Map<String, @Nullable Object> all = new LinkedHashMap<>(templates.specialTokens());
        all.putAll(variables);
        try {
          return template.render(messages, tools, goOn, all);
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

  private static @Nullable ChatTemplate parsed(ChatTemplates templates, boolean tools) {
    try {
      // Errors of rendering go to clients, which the place of the files is of no use to.
      return new ChatTemplates(templates.sources(), templates.specialTokens(), "the model")
          .template(tools);
    } catch (InputException e) {
      if (!tools || templates.sources().containsKey(ChatTemplates.TOOLS)) {
        System.getLogger("dev.jneox")
            .log(
                System.Logger.Level.WARNING,
                "%s: chats will be answered with status 500: %s"
                    .formatted(templates.origin(), e.getMessage()));
      }
      return null;
    }
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
