package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.ModelMemory;
import dev.jneox.infer.Precision;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Several models of one server: which are loaded, and who waits. */
@Timeout(120)
class ModelPoolTest {
  private static final String BODY =
      "{\"model\": \"%s\", \"prompt\": \"int max\", \"max_tokens\": %d, \"temperature\": 0,"
          + " \"ignore_eos\": true}";

  @TempDir static Path dir;
  private static Map<String, Path> models;
  private static long bytes; // of any of them

  @BeforeAll
  static void make() throws IOException {
    models = new LinkedHashMap<>();
    for (String id : List.of("a", "b", "c")) {
      models.put(id, model(id, 1024));
    }
    bytes = needed(new TestServer.Builder());
  }

  private static Path model(String id, int context) throws IOException {
    return TestServer.model(Files.createDirectory(dir.resolve(id)), context, id.hashCode());
  }

  private static long needed(TestServer.Builder builder) {
    ModelMemory memory = LanguageModel.memory(models.get("a"), Precision.STORED);
    return memory.weights() + builder.sessions * memory.sequence();
  }

  private static TestServer.Builder lazily(long memory) {
    TestServer.Builder builder = new TestServer.Builder();
    builder.loading = new ServerSettings.Loading(true, OptionalLong.of(memory));
    return builder;
  }

  private static String states(TestServer server) throws IOException {
    StringBuilder states = new StringBuilder();
    for (JsonNode model : TestServer.JSON.readTree(server.get("/v1/models").body()).get("data")) {
      states.append(model.get("id").asText()).append('=').append(model.get("state").asText());
      states.append(' ');
    }
    return states.toString().strip();
  }

  private static String text(TestServer server, String model, int tokens) throws IOException {
    return server
        .ok("/v1/completions", BODY.formatted(model, tokens))
        .at("/choices/0/text")
        .asText();
  }

  @Test
  void aLazyModelIsLoadedByItsFirstRequest() throws IOException {
    TestServer.Builder builder = new TestServer.Builder();
    builder.loading = new ServerSettings.Loading(true, OptionalLong.empty());
    try (TestServer server = builder.start(models)) {
      assertThat(states(server)).isEqualTo("a=unloaded b=unloaded c=unloaded");
      assertThat(server.metric("jneox_model_loaded{model=\"b\"}")).isZero();
      JsonNode b = TestServer.JSON.readTree(server.get("/v1/models/b").body());
      assertThat(b.get("max_model_len").asInt()).isEqualTo(1024);
      assertThat(text(server, "b", 3)).isNotEmpty();
      assertThat(states(server)).isEqualTo("a=unloaded b=loaded c=unloaded");
      assertThat(server.metric("jneox_model_loaded{model=\"b\"}")).isOne();
      assertThat(server.metric("jneox_model_loads_total{model=\"b\"}")).isOne();
      JsonNode health = TestServer.JSON.readTree(server.get("/health").body());
      assertThat(health.get("status").asText()).isEqualTo("ok");
      assertThat(health.at("/models/1/state").asText()).isEqualTo("loaded");
      assertThat(health.at("/models/2/state").asText()).isEqualTo("unloaded");
    }
  }

  @Test
  void theOneUsedLeastRecentlyMakesRoom() throws IOException {
    try (TestServer server = lazily(2 * bytes).start(models)) {
      String a = text(server, "a", 5);
      text(server, "b", 5);
      text(server, "a", 5);
      text(server, "c", 5);
      assertThat(states(server)).isEqualTo("a=loaded b=unloaded c=loaded");
      assertThat(server.metric("jneox_models_bytes")).isEqualTo(2.0 * bytes);
      assertThat(server.metric("jneox_models_limit_bytes")).isEqualTo(2.0 * bytes);
      text(server, "b", 5);
      assertThat(text(server, "a", 5)).as("loaded again").isEqualTo(a);
      assertThat(server.metric("jneox_model_loads_total{model=\"a\"}")).isEqualTo(2);
    }
  }

  @Test
  void atTheStartThoseAreLoadedThatFit() throws IOException {
    TestServer.Builder builder = new TestServer.Builder();
    builder.loading = new ServerSettings.Loading(false, OptionalLong.of(2 * bytes));
    try (TestServer server = builder.start(models)) {
      assertThat(states(server)).isEqualTo("a=loaded b=loaded c=unloaded");
    }
  }

  @Test
  void aModelThatNeverFitsIsRefusedWithBothNumbers() throws IOException {
    Path large = model("large", 8192);
    Map<String, Path> both = new LinkedHashMap<>(models);
    both.put("large", large);
    try (TestServer server = lazily(bytes).start(both)) {
      HttpResponse<String> refused = server.post("/v1/completions", BODY.formatted("large", 1));
      assertThat(refused.statusCode()).isEqualTo(400);
      String message = TestServer.JSON.readTree(refused.body()).at("/error/message").asText();
      assertThat(message)
          .matches(
              "the model large needs [\\d.]+ MB \\(weights [\\d.]+ .B, keys and values [\\d.]+"
                  + " MB\\), and the models of this server may take [\\d.]+ MB: raise --memory.*");
      assertThat(text(server, "a", 1)).isNotNull();
    }
  }

  private static Call call(Duration time) {
    return new Call("", time.toNanos());
  }

  /** With room for one model, it stays while it is in use; requests that come later queue up. */
  @Test
  void aModelInUseIsNotUnloadedAndABusyOneKeepsNobodyOut() throws Exception {
    try (ModelPool pool = new ModelPool(models, lazily(bytes).settings());
        ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
      ModelPool.Lease first = pool.acquire("a", call(Duration.ofMinutes(1)));
      Future<ModelPool.Lease> other =
          clients.submit(() -> pool.acquire("b", call(Duration.ofMinutes(1))));
      TestServer.await(
          () -> {
            try (ModelPool.Lease _ = pool.acquire("a", call(Duration.ofMillis(50)))) {
              return false; // b does not wait yet
            } catch (ApiException e) {
              return e.status() == 408;
            }
          });
      assertThat(pool.status("a").orElseThrow().state()).isEqualTo(ModelPool.State.LOADED);
      assertThat(pool.status("b").orElseThrow().state()).isEqualTo(ModelPool.State.LOADING);
      Future<ModelPool.Lease> later =
          clients.submit(() -> pool.acquire("a", call(Duration.ofMinutes(1))));
      assertThat(other.isDone()).isFalse();
      first.close();
      try (ModelPool.Lease b = other.get()) {
        assertThat(b.model().id()).isEqualTo("b");
        assertThat(later.isDone()).isFalse();
        assertThat(pool.used()).isEqualTo(bytes);
      }
      try (ModelPool.Lease a = later.get()) {
        assertThat(a.model()).isNotSameAs(first.model());
      }
    }
  }

  @Test
  void whoWaitsForRoomWaitsForItsTimeAlone() throws Exception {
    TestServer.Builder builder = lazily(bytes);
    builder.timeout = Duration.ofSeconds(1);
    ServerSettings settings = builder.settings();
    try (ModelPool pool = new ModelPool(models, settings)) {
      Call first = call(Duration.ofMinutes(1));
      ModelPool.Lease lease = pool.acquire("a", first);
      Call second = call(Duration.ofMillis(200));
      assertThatThrownBy(() -> pool.acquire("b", second))
          .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(408))
          .hasMessageContaining("waited for too long for the model b");
      Call third = call(Duration.ofMinutes(1));
      try (ModelPool.Lease again = pool.acquire("a", third)) { // nobody waits for b any more
        assertThat(again.model()).isSameAs(lease.model());
      }
      Call leaving = call(Duration.ofMinutes(1));
      Thread.ofVirtual()
          .start(
              () -> {
                try {
                  TestServer.await(() -> pool.status("b").orElseThrow().requests() > 0);
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
                leaving.leaving().cancel();
              });
      assertThatThrownBy(() -> pool.acquire("b", leaving))
          .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(499));
      lease.close();
      try (ModelPool.Lease b = pool.acquire("b", third)) {
        assertThat(b.model().id()).isEqualTo("b");
      }
    }
  }

  @Test
  void manyClientsOfManyModelsAreAllAnsweredAndTheBoundHolds() throws Exception {
    try (TestServer server = lazily(2 * bytes).start(models);
        ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
      Map<String, String> alone = new LinkedHashMap<>();
      for (String id : models.keySet()) {
        alone.put(id, text(server, id, 20));
      }
      assertThat(Set.copyOf(alone.values())).hasSize(3);
      List<Future<?>> running = new ArrayList<>();
      for (int client = 0; client < 9; client++) {
        int first = client;
        running.add(
            clients.submit(
                () -> {
                  for (int i = 0; i < 12; i++) {
                    String id = List.of("a", "b", "c").get((first + i * 7 / 3) % 3);
                    assertThat(text(server, id, 20)).isEqualTo(alone.get(id));
                    assertThat(server.metric("jneox_models_bytes"))
                        .isLessThanOrEqualTo(2.0 * bytes);
                  }
                  return null;
                }));
      }
      for (Future<?> client : running) {
        client.get();
      }
    }
  }

  @Test
  void aModelThatBreaksLaterIsToldAndTriedAgain() throws IOException {
    Path model = model("later", 64);
    Path config = model.resolve("config.json");
    byte[] whole = Files.readAllBytes(config);
    Map<String, Path> both = new LinkedHashMap<>(models);
    both.put("later", model);
    TestServer.Builder builder = lazily(4 * bytes);
    try (TestServer server = builder.start(both)) {
      Files.writeString(config, "{");
      HttpResponse<String> failed = server.post("/v1/completions", BODY.formatted("later", 1));
      assertThat(failed.statusCode()).isEqualTo(500);
      assertThat(failed.body()).contains("the model later cannot be loaded: ", "config.json");
      assertThat(text(server, "a", 1)).as("the others go on").isNotNull();
      Files.write(config, whole);
      assertThat(text(server, "later", 1)).isNotNull();
    }
    Files.writeString(config, "{");
    assertThatThrownBy(() -> builder.start(both)).isInstanceOf(InputException.class);
  }
}
