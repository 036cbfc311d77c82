package dev.jneox.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.infer.FinishReason;
import dev.jneox.infer.Sampler;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.io.VisibleText;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * Has a server of OpenAI's API write the turns of a conversation: {@code /completions} where turns
 * simply follow, {@code /chat/completions} where they are questions and answers. Fields beyond
 * OpenAI's are sent only where they were asked for.
 */
final class ServerModel implements ReplModel, AutoCloseable {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Duration CONNECT = Duration.ofSeconds(10);
  private static final Duration LIST = Duration.ofSeconds(30);
  private static final int LONGEST_LIST = 16 << 20;
  private static final int LONGEST_ERROR = 1 << 16;
  private static final int LONGEST_SHOWN = 300;

  private final HttpClient client =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(CONNECT)
          .followRedirects(HttpClient.Redirect.NORMAL)
          .build();
  private final URI base;
  private final String key;
  private final Sampler sampler;
  private final String model; // empty where the server has a model without a name
  private final int maxTokens;

  /**
   * Asks the server for its models.
   *
   * @param base as {@link #base} has it
   * @param key empty for none
   * @param wanted name of a model; empty for the only one
   * @throws InputException when there is no such model, or the server refuses
   * @throws StorageException when the server cannot be reached
   */
  ServerModel(URI base, String key, String wanted, Sampler sampler, int maxTokens) {
    this.base = base;
    this.key = key;
    this.sampler = sampler;
    try {
      JsonNode found = find(models(), wanted);
      this.model = found.path("id").asText(wanted);
      int context = found.path("max_model_len").asInt(0); // of JNeoX and vLLM
      this.maxTokens = context < 1 ? maxTokens : Math.min(maxTokens, Math.max(1, context / 2));
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /**
   * Returns the address under which the paths of OpenAI's API lie: with {@code /v1} behind it,
   * unless it has a path already.
   *
   * @throws InputException when it is no address of HTTP
   */
  static URI base(String url) {
    try {
      URI uri = new URI(url.strip().replaceFirst("/+$", ""));
      boolean http = "http".equalsIgnoreCase(uri.getScheme());
      if ((http || "https".equalsIgnoreCase(uri.getScheme()))
          && uri.getHost() != null
          && uri.getRawQuery() == null
          && uri.getRawFragment() == null
          && uri.getRawUserInfo() == null) {
        return uri.getRawPath().isEmpty() ? new URI(uri + "/v1") : uri;
      }
    } catch (URISyntaxException e) {
      // told below
    }
    throw new InputException(
        "--server: expected an address such as http://127.0.0.1:8080, found "
            + VisibleText.of(url));
  }

  /** Returns the name of the model that writes. */
  String model() {
    return model;
  }

  @Override
  public int maxTokens() {
    return maxTokens;
  }

  private HttpRequest.Builder request(String path) {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path));
    if (!key.isEmpty()) {
      request.header("Authorization", "Bearer " + key);
    }
    return request;
  }

  /** Lists the models; empty where the server keeps no list. */
  private List<JsonNode> models() {
    HttpResponse<InputStream> response =
        answer(
            client.sendAsync(
                request("/models").timeout(LIST).build(), BodyHandlers.ofInputStream()));
    try (InputStream body = response.body()) {
      if (response.statusCode() == 404) {
        return List.of();
      }
      if (response.statusCode() != 200) {
        throw refused(response);
      }
      JsonNode data = MAPPER.readTree(body.readNBytes(LONGEST_LIST)).path("data");
      List<JsonNode> models = new ArrayList<>();
      data.forEach(models::add);
      return models;
    } catch (JsonProcessingException e) {
      throw new InputException(
          base + "/models: expected a list of models in JSON: is it a server of OpenAI's API?", e);
    } catch (IOException e) {
      throw unreachable(e);
    }
  }

  private JsonNode find(List<JsonNode> models, String wanted) {
    if (models.isEmpty() || wanted.isEmpty() && models.size() == 1) {
      return models.isEmpty() ? MissingNode.getInstance() : models.getFirst();
    }
    List<String> names = models.stream().map(model -> model.path("id").asText()).toList();
    int at = names.indexOf(wanted);
    if (at < 0) {
      throw new InputException(
          base
              + ": --model: expected one of "
              + VisibleText.line(String.join(", ", names))
              + ", found "
              + (wanted.isEmpty() ? "none" : VisibleText.of(wanted)));
    }
    return models.get(at);
  }

  @Override
  public TurnStream start(Conversation conversation, long turn, Consumer<String> note) {
    ObjectNode body = MAPPER.createObjectNode();
    if (!model.isEmpty()) {
      body.put("model", model);
    }
    boolean chat = !conversation.goesOn();
    if (chat) {
      ArrayNode messages = body.putArray("messages");
      for (Map<String, String> said : conversation.messages()) {
        messages.addObject().put("role", said.get("role")).put("content", said.get("content"));
      }
    } else {
      body.put("prompt", conversation.text());
    }
    body.put("max_tokens", maxTokens)
        .put("temperature", sampler.temperature())
        .put("seed", sampler.seed() + turn)
        .put("stream", true);
    if (sampler.topP() < 1) {
      body.put("top_p", sampler.topP());
    }
    if (sampler.topK() > 0) {
      body.put("top_k", sampler.topK());
    }
    if (sampler.repetitionPenalty() != 1) {
      body.put("repetition_penalty", sampler.repetitionPenalty());
    }
    HttpRequest request =
        request(chat ? "/chat/completions" : "/completions")
            .header("Content-Type", "application/json")
            .header("Accept", "text/event-stream")
            .POST(HttpRequest.BodyPublishers.ofString(body.toString()))
            .build();
    return new Events(chat, client.sendAsync(request, BodyHandlers.ofInputStream()));
  }

  /** Waits for the head of a response. */
  private HttpResponse<InputStream> answer(CompletableFuture<HttpResponse<InputStream>> sent) {
    try {
      return sent.get();
    } catch (InterruptedException e) {
      sent.cancel(true);
      Thread.currentThread().interrupt();
      throw new CancelledException("interrupted while waiting for " + base, e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException cause) {
        throw unreachable(cause);
      }
      if (e.getCause() instanceof CancellationException cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  private StorageException unreachable(IOException e) {
    String reason = AtomicFile.reason(e);
    String hint =
        e instanceof SSLException
            ? "; a certificate that no authority signed is trusted by"
                + " JNEOX_JAVA_OPTS=-Djavax.net.ssl.trustStore=FILE"
            : "; does a server run there?";
    return new StorageException(
        base + ": cannot be reached: " + reason + hint, null, "cannot be reached", reason, e);
  }

  /** Says in one line why the server does not answer. */
  private InputException refused(HttpResponse<InputStream> response) {
    String said = "";
    try (InputStream body = response.body()) {
      said = new String(body.readNBytes(LONGEST_ERROR), StandardCharsets.UTF_8);
      said = message(MAPPER.readTree(said)).orElse(said);
    } catch (IOException e) {
      // A body that is no JSON, or is cut off, is shown as far as it was read.
    }
    int status = response.statusCode();
    String remedy =
        switch (status) {
          case 401, 403 ->
              key.isEmpty()
                  ? "; it asks for a key: give one by --api-key or the environment variable"
                      + " JNEOX_API_KEY"
                  : "; it does not take the key that was sent";
          case 429 ->
              "; try again"
                  + response
                      .headers()
                      .firstValue("Retry-After")
                      .filter(value -> value.matches("\\d{1,6}"))
                      .map(seconds -> " in " + seconds + " s")
                      .orElse(" later");
          default -> "";
        };
    return new InputException(base + ": refused with status " + status + shown(said) + remedy);
  }

  private static String shown(String said) {
    String line = VisibleText.line(said.strip());
    return line.isEmpty()
        ? ""
        : ": " + (line.length() > LONGEST_SHOWN ? line.substring(0, LONGEST_SHOWN) + "..." : line);
  }

  /** Returns the message of an error in OpenAI's form, or in one that others have. */
  private static Optional<String> message(JsonNode json) {
    for (JsonNode place :
        List.of(
            json.path("error").path("message"),
            json.path("error"),
            json.path("message"),
            json.path("detail"))) {
      if (place.isTextual()) {
        return Optional.of(place.asText());
      }
    }
    return Optional.empty();
  }

  @Override
  public void close() {
    client.shutdownNow();
  }

  /** Reads the server-sent events of a turn. */
  private final class Events implements TurnStream {
    private final boolean chat;
    private final CompletableFuture<HttpResponse<InputStream>> sent;
    private volatile @Nullable InputStream body; // null before the head of the response
    private volatile boolean cancelled;
    private @Nullable BufferedReader lines; // likewise
    private String piece = "";
    private @Nullable FinishReason reason; // null before it is known
    private boolean ended;

    Events(boolean chat, CompletableFuture<HttpResponse<InputStream>> sent) {
      this.chat = chat;
      this.sent = sent;
    }

    @Override
    public boolean hasNext() {
      try {
        while (piece.isEmpty() && !ended && !cancelled) {
          if (lines == null) {
            begin();
          } else {
            take(lines.readLine());
          }
        }
      } catch (CancellationException e) {
        // by cancel() alone
      } catch (IOException e) {
        if (!cancelled) {
          throw cut(e);
        }
      }
      return !piece.isEmpty() && !cancelled;
    }

    private void begin() {
      HttpResponse<InputStream> response = answer(sent);
      body = response.body();
      if (cancelled) {
        close(); // which may have come before there was one
        return;
      }
      if (response.statusCode() != 200) {
        throw refused(response);
      }
      String type = response.headers().firstValue("Content-Type").orElse("none");
      if (!type.startsWith("text/event-stream")) {
        throw new InputException(
            base
                + ": expected a stream of events (text/event-stream), found "
                + VisibleText.of(type)
                + ": does it stream?");
      }
      lines = new BufferedReader(new InputStreamReader(body, StandardCharsets.UTF_8));
    }

    private void take(@Nullable String line) throws IOException {
      if (line == null) {
        if (reason == null) {
          throw new IOException("the connection ended");
        }
        ended = true;
        return;
      }
      if (!line.startsWith("data:")) {
        return; // names of events, comments, empty lines
      }
      String data = line.substring(5).strip();
      if (data.equals("[DONE]")) {
        ended = true;
        return;
      }
      JsonNode event;
      try {
        event = MAPPER.readTree(data);
      } catch (JsonProcessingException e) {
        throw new InputException(base + ": expected an event in JSON, found" + shown(data), e);
      }
      if (event.hasNonNull("error")) {
        throw new InputException(
            base + ": ended the text with an error" + shown(message(event).orElse(data)));
      }
      JsonNode choice = event.path("choices").path(0);
      piece = (chat ? choice.path("delta").path("content") : choice.path("text")).asText("");
      String why = choice.path("finish_reason").asText("");
      if (!why.isEmpty()) {
        reason =
            why.equals("length")
                ? FinishReason.MAX_TOKENS
                : chat ? FinishReason.STOP_STRING : FinishReason.END_OF_TEXT;
      }
    }

    private StorageException cut(IOException e) {
      String why = AtomicFile.reason(e);
      return new StorageException(
          base + ": ended in the middle of the text: " + why, null, "ended", why, e);
    }

    @Override
    public String next() {
      if (!hasNext()) {
        return "";
      }
      String next = piece;
      piece = "";
      return next;
    }

    @Override
    public FinishReason reason() {
      return cancelled
          ? FinishReason.CANCELLED
          : reason == null ? FinishReason.END_OF_TEXT : reason;
    }

    /** Ends the connection, from which the server learns that nobody waits. */
    @Override
    public void cancel() {
      cancelled = true;
      close();
    }

    @Override
    public void close() {
      sent.cancel(true);
      InputStream open = body;
      if (open != null) {
        try {
          open.close();
        } catch (IOException e) {
          // it was to end
        }
      }
    }
  }
}
