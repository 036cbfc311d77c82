package dev.jneox.serve;

import java.util.List;
import java.util.Map;

/** Writes a conversation as the text that a model continues. */
interface ChatPrompt {
  /**
   * @param messages of OpenAI's form, each with role and content
   * @param tools definitions of OpenAI's form
   * @param goOn whether the text ends where the model's answer begins
   * @param variables more that a template may read
   */
  String write(
      List<Map<String, Object>> messages,
      List<Object> tools,
      boolean goOn,
      Map<String, Object> variables);

  /** Returns strings before which the model's answer ends. */
  List<String> stop();

  /**
   * Writes a transcript for a base model, which has no template: a line for each turn, as {@code
   * jneox chat} does.
   */
  ChatPrompt TRANSCRIPT =
      new ChatPrompt() {
        @Override
        public String write(
            List<Map<String, Object>> messages,
            List<Object> tools,
            boolean goOn,
            Map<String, Object> variables) {
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
      };
}
