package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.ModelMemory;
import dev.jneox.infer.Precision;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A model whose files are replaced while it answers. */
@Timeout(120)
class ReloadTest {
  private static final String BODY =
      "{\"prompt\": \"int max\", \"max_tokens\": %d, \"temperature\": 0, \"ignore_eos\": true%s}";
  private static final String[] KEY = {"Authorization", "Bearer root"};

  @TempDir private Path dir;
  private Path live;
  private int moved;

  @BeforeEach
  void make() throws IOException {
    live = dir.resolve("live");
    replace(1);
  }

  /** Puts a model of other weights in the place of the one that is there. */
  private void replace(long seed) throws IOException {
    Path next = TestServer.model(Files.createDirectory(dir.resolve("new-" + moved)), 512, seed);
    if (Files.exists(live)) {
      Files.move(live, dir.resolve("old-" + moved));
    }
    Files.move(next, live);
    moved++;
  }

  private static TestServer.Builder builder() {
    TestServer.Builder builder = new TestServer.Builder();
    builder.admin = Optional.of(new ApiKey("root", "admin", 0));
    return builder;
  }

  private static String text(TestServer server, int tokens) throws IOException {
    return server.ok("/v1/completions", BODY.formatted(tokens, "")).at("/choices/0/text").asText();
  }

  private static String streamed(TestServer server, int tokens) throws IOException {
    StringBuilder text = new StringBuilder();
    for (JsonNode event :
        server.events("/v1/completions", BODY.formatted(tokens, ", \"stream\": true"))) {
      text.append(event.at("/choices/0/text").asText());
    }
    return text.toString();
  }

  private String alone(long seed, int tokens) throws IOException {
    Path model = TestServer.model(Files.createDirectory(dir.resolve("alone-" + seed)), 512, seed);
    try (TestServer server = new TestServer.Builder().start(model)) {
      return text(server, tokens);
    }
  }

  @Test
  void noRequestFailsAndEachAnswerIsThatOfOneModel() throws Exception {
    String first = alone(1, 100);
    String second = alone(2, 100);
    assertThat(first).isNotEqualTo(second);
    AtomicBoolean ended = new AtomicBoolean();
    AtomicInteger answered = new AtomicInteger();
    try (TestServer server = builder().start(live);
        ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Set<String>>> running = new ArrayList<>();
      for (int client = 0; client < 8; client++) {
        boolean streams = client % 2 == 0;
        running.add(
            clients.submit(
                () -> {
                  Set<String> texts = new HashSet<>();
                  while (!ended.get()) {
                    texts.add(streams ? streamed(server, 100) : text(server, 100));
                    answered.incrementAndGet();
                  }
                  return texts;
                }));
      }
      try {
        for (int reload = 0; reload < 8; reload++) {
          int before = answered.get();
          TestServer.await(() -> answered.get() > before + 8);
          replace(reload % 2 == 0 ? 2 : 1);
          HttpResponse<String> answer = server.post("/admin/reload", "{}", KEY);
          assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
          assertThat(text(server, 100)).isEqualTo(reload % 2 == 0 ? second : first);
        }
      } finally {
        ended.set(true);
      }
      for (Future<Set<String>> client : running) {
        assertThat(client.get()).isSubsetOf(first, second);
      }
      assertThat(server.metric("jneox_model_loads_total{model=\"tiny\"}")).isEqualTo(9);
      double one = server.metric("jneox_model_bytes{model=\"tiny\"}");
      TestServer.await(() -> server.metric("jneox_models_bytes") == one); // the old ones are closed
    }
  }

  /** It begins before the reload and ends after it. */
  @Test
  void aRequestEndsWithTheModelItBeganWith() throws Exception {
    String first = alone(1, 500);
    try (TestServer server = builder().start(live);
        RawClient client = server.connect()) {
      client.write(RawClient.post("/v1/completions", BODY.formatted(500, ", \"stream\": true")));
      TestServer.await(() -> server.metric("jneox_engine_tokens_total{model=\"tiny\"}") > 0);
      replace(2);
      assertThat(server.post("/admin/reload", "{}", KEY).statusCode()).isEqualTo(200);
      StringBuilder text = new StringBuilder();
      for (String event : client.read().body().split("\n\n")) {
        if (!event.endsWith("[DONE]")) {
          text.append(TestServer.JSON.readTree(event.substring(6)).at("/choices/0/text").asText());
        }
      }
      assertThat(text.toString()).isEqualTo(first);
    }
  }

  /** Keeps the lines of a log. */
  private static Handler keeping(List<String> lines) {
    return new Handler() {
      @Override
      public void publish(LogRecord line) {
        lines.add(line.getMessage());
      }

      @Override
      public void flush() {}

      @Override
      public void close() {}
    };
  }

  @Test
  void aBrokenModelChangesNothingAndIsToldInOneLine() throws IOException {
    List<String> lines = new ArrayList<>();
    Handler handler = keeping(lines);
    Logger log = Logger.getLogger("dev.jneox");
    try (TestServer server = builder().start(live)) {
      log.addHandler(handler);
      String before = text(server, 20);
      for (String file : List.of("config.json", "tokenizer.json", "model.safetensors")) {
        replace(2);
        Files.writeString(live.resolve(file), "{");
        lines.clear();
        HttpResponse<String> answer = server.post("/admin/reload", "{\"model\": \"tiny\"}", KEY);
        assertThat(answer.statusCode()).as(answer.body()).isEqualTo(422);
        assertThat(answer.body())
            .contains("the model tiny goes on as it was, the new one cannot be loaded: ", file);
        assertThat(lines).singleElement().asString().contains(file).hasLineCount(1);
        assertThat(text(server, 20)).isEqualTo(before);
      }
      replace(2);
      assertThat(server.post("/admin/reload", "{}", KEY).statusCode()).isEqualTo(200);
      assertThat(text(server, 20)).isNotEqualTo(before);
    } finally {
      log.removeHandler(handler);
    }
  }

  @Test
  void filesThatChangeUnderAModelAreToldOnce() throws Exception {
    List<String> lines = Collections.synchronizedList(new ArrayList<>());
    Handler handler = keeping(lines);
    Logger log = Logger.getLogger("dev.jneox");
    try (TestServer server = builder().start(live)) {
      log.addHandler(handler);
      assertThat(text(server, 5)).isNotNull();
      Files.setLastModifiedTime(live.resolve("model.safetensors"), FileTime.fromMillis(1));
      // The engine looks at the files once in a while.
      TestServer.await(
          () -> server.post("/v1/completions", BODY.formatted(1, "")).statusCode() != 200);
      for (int i = 0; i < 3; i++) {
        HttpResponse<String> answer = server.post("/v1/completions", BODY.formatted(1, ""));
        assertThat(answer.statusCode()).isEqualTo(503);
        assertThat(answer.body())
            .contains("the files of the model tiny were changed", "/admin/reload")
            .doesNotContain(dir.toString());
      }
      assertThat(server.get("/health/ready").statusCode()).isEqualTo(503);
      assertThat(lines).singleElement().asString().contains("model.safetensors").hasLineCount(1);
      replace(2);
      assertThat(server.post("/admin/reload", "{}", KEY).statusCode()).isEqualTo(200);
      assertThat(server.get("/health/ready").statusCode()).isEqualTo(200);
      assertThat(text(server, 5)).isNotNull();
    } finally {
      log.removeHandler(handler);
    }
  }

  @Test
  void aBrokenChatTemplateIsToldAtTheStart() throws Exception {
    List<String> lines = Collections.synchronizedList(new ArrayList<>());
    Handler handler = keeping(lines);
    Logger log = Logger.getLogger("dev.jneox");
    log.addHandler(handler);
    Files.writeString(
        live.resolve("tokenizer_config.json"),
        TestServer.JSON.createObjectNode().put("chat_template", "{% for m in %}").toString());
    String chat = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}";
    try (TestServer server = builder().start(live)) {
      assertThat(lines).singleElement().asString().contains("chat template", live.toString());
      HttpResponse<String> answer = server.post("/v1/chat/completions", chat);
      assertThat(answer.statusCode()).isEqualTo(500);
      assertThat(answer.body()).contains("chat template").doesNotContain(dir.toString());
      assertThat(text(server, 5)).isNotNull();
    } finally {
      log.removeHandler(handler);
    }
    Files.writeString(
        live.resolve("tokenizer_config.json"),
        TestServer.JSON
            .createObjectNode()
            .put("chat_template", "{{ raise_exception('no such role') }}")
            .toString());
    try (TestServer server = builder().start(live)) {
      HttpResponse<String> answer = server.post("/v1/chat/completions", chat);
      assertThat(answer.statusCode()).isEqualTo(400);
      assertThat(answer.body()).contains("no such role").doesNotContain(dir.toString());
    }
  }

  @Test
  void theOldOneStaysWhereThereIsNoRoomForBoth() throws IOException {
    TestServer.Builder builder = builder();
    ModelMemory memory = LanguageModel.memory(live, Precision.STORED);
    long bytes = memory.weights() + builder.sessions * memory.sequence();
    builder.loading = new ServerSettings.Loading(true, OptionalLong.of(bytes * 3 / 2));
    try (TestServer server = builder.start(live)) {
      HttpResponse<String> unloaded = server.post("/admin/reload", "{}", KEY);
      assertThat(unloaded.statusCode()).isEqualTo(200);
      assertThat(unloaded.body()).contains("\"state\":\"unloaded\"");
      String before = text(server, 20);
      replace(2);
      HttpResponse<String> refused = server.post("/admin/reload", "{}", KEY);
      assertThat(refused.statusCode()).isEqualTo(422);
      assertThat(refused.body()).contains("MB in use, of 1", "raise --memory");
      assertThat(text(server, 20)).isEqualTo(before);
    }
    builder.loading = new ServerSettings.Loading(true, OptionalLong.of(2 * bytes));
    try (TestServer server = builder.start(Map.of("tiny", live, "other", live))) {
      for (String id : List.of("tiny", "other")) {
        server.ok("/v1/completions", "{\"prompt\": \"a\", \"model\": \"" + id + "\"}");
      }
      HttpResponse<String> answer = server.post("/admin/reload", "{\"model\": \"tiny\"}", KEY);
      assertThat(answer.statusCode()).as("an idle one makes room: " + answer.body()).isEqualTo(200);
    }
  }

  @Test
  void itTakesAKeyOfItsOwn() throws IOException {
    TestServer.Builder builder = new TestServer.Builder();
    builder.keys = List.of(new ApiKey("user", "ann", 0));
    try (TestServer server = builder.start(live)) {
      HttpResponse<String> none =
          server.post("/admin/reload", "{}", "Authorization", "Bearer user");
      assertThat(none.statusCode()).isEqualTo(403);
      assertThat(none.body()).contains("--admin-key-file");
    }
    builder.admin = Optional.of(new ApiKey("root", "admin", 0));
    try (TestServer server = builder.start(live)) {
      assertThat(server.post("/admin/reload", "{}").statusCode()).isEqualTo(401);
      assertThat(server.post("/admin/reload", "{}", "Authorization", "Bearer user").statusCode())
          .isEqualTo(401);
      assertThat(server.post("/admin/reload", "{}", KEY).statusCode()).isEqualTo(200);
      assertThat(server.post("/v1/completions", BODY.formatted(1, ""), KEY).statusCode())
          .isEqualTo(401);
      assertThat(server.get("/admin/reload", KEY).statusCode()).isEqualTo(405);
      HttpResponse<String> unknown = server.post("/admin/reload", "{\"model\": \"x\"}", KEY);
      assertThat(unknown.statusCode()).isEqualTo(404);
      assertThat(server.post("/admin/reload", "{\"more\": 1}", KEY).statusCode()).isEqualTo(400);
    }
  }
}
