package dev.jneox.serve;

import com.fasterxml.jackson.databind.JsonNode;
import io.helidon.common.socket.SocketWriterException;
import io.helidon.http.HeaderNames;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Sends the chunks of a streamed answer as server-sent events, each at once. The status is sent
 * with the first one: until then an error can still have its own. Writes {@code data: } with a
 * space, as OpenAI does, because many clients look for it.
 */
final class EventStream implements AutoCloseable {
  private final ServerResponse response;
  private @Nullable OutputStream out;

  EventStream(ServerResponse response) {
    this.response = response;
  }

  /** Whether a chunk was sent. */
  synchronized boolean started() {
    return out != null;
  }

  /**
   * Sends a chunk.
   *
   * @throws UncheckedIOException when the client has left
   */
  void send(JsonNode chunk) {
    write("data: " + chunk + "\n\n");
  }

  /** Sends a chunk with the name of its event, as the responses API has it. */
  void send(String event, JsonNode chunk) {
    write("event: " + event + "\ndata: " + chunk + "\n\n");
  }

  /** Sends the end that OpenAI's clients wait for. */
  void done() {
    write("data: [DONE]\n\n");
  }

  private synchronized void write(String event) {
    try {
      if (out == null) {
        response.header(HeaderNames.CONTENT_TYPE, "text/event-stream; charset=utf-8");
        response.header(HeaderNames.CACHE_CONTROL, "no-cache");
        response.header("X-Accel-Buffering", "no"); // nginx passes each event on at once
        out = response.outputStream();
      }
      out.write(event.getBytes(StandardCharsets.UTF_8));
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (CloseConnectionException | SocketWriterException e) {
      throw new UncheckedIOException(new IOException(e));
    }
  }

  @Override
  public synchronized void close() {
    if (out != null) {
      try {
        out.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } catch (CloseConnectionException | SocketWriterException e) {
        throw new UncheckedIOException(new IOException(e));
      }
    }
  }
}
