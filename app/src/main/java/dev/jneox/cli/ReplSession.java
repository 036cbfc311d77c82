package dev.jneox.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.List;

/**
 * What a session file has of a conversation, beside the keys and values of the model.
 *
 * @param command that wrote it
 * @param written turns that the model has written, those taken back included
 * @param turns of the conversation
 */
record ReplSession(String command, long written, List<Conversation.Turn> turns) {
  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .build();

  String json() {
    try {
      return MAPPER.writeValueAsString(this);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Reads what {@link #json} wrote.
   *
   * @param file for messages
   * @throws InputException when it is something else, or of another command
   */
  static ReplSession parse(String json, String command, Path file) {
    ReplSession session;
    try {
      session = MAPPER.readValue(json, ReplSession.class);
    } catch (JsonProcessingException e) {
      throw new InputException(
          file + ": expected a session of jneox " + command + ", found that of a program", e);
    }
    if (!session.command.equals(command)) {
      throw new InputException(
          file
              + ": expected a session of jneox "
              + command
              + ", found one of jneox "
              + session.command);
    }
    return session;
  }
}
