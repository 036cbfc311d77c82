package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.grammar.Grammar;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.TokenConstraint;
import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Forms and long texts are read beside other requests, once, and as long as somebody waits. */
@Timeout(60)
class PreparationTest {
  private static final long MINUTE = TimeUnit.MINUTES.toNanos(1);

  @TempDir static Path dir;

  private static Path files;
  private static ServedModel model;

  @BeforeAll
  static void open() {
    files = TestServer.model(dir, 256);
    model =
        new ServedModel(
            "tiny",
            LanguageModel.open(files, Precision.STORED),
            new TestServer.Builder().settings(),
            16 << 20);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  /** Asks for a form as a request does, on a thread of its own. */
  private static CompletableFuture<TokenConstraint> ask(
      Call call, String key, Supplier<Grammar> form) {
    CompletableFuture<TokenConstraint> answer = new CompletableFuture<>();
    Thread.ofVirtual()
        .start(
            () ->
                call.run(
                    () -> {
                      try {
                        answer.complete(model.constraint(key, form, "guided_regex"));
                      } catch (Throwable t) {
                        answer.completeExceptionally(t);
                      }
                    }));
    return answer;
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(30, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new CancelledException("interrupted", e);
    }
  }

  @Test
  void aFormThatIsAskedForTwiceAtOnceIsReadOnce() throws Exception {
    AtomicInteger reads = new AtomicInteger();
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch open = new CountDownLatch(1);
    Supplier<Grammar> form =
        () -> {
          reads.incrementAndGet();
          begun.countDown();
          await(open);
          return Grammar.regex("a+");
        };
    List<CompletableFuture<TokenConstraint>> answers = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      answers.add(ask(new Call("", MINUTE), "once", form));
    }
    await(begun);
    Thread.sleep(50); // for the others to come
    open.countDown();
    for (CompletableFuture<TokenConstraint> answer : answers) {
      assertThat(answer.get()).isSameAs(answers.getFirst().get());
    }
    assertThat(reads).hasValue(1);
  }

  @Test
  void theReadingEndsWhenTheClientLeavesAndAnotherGoesOn() throws Exception {
    AtomicBoolean interrupted = new AtomicBoolean();
    CountDownLatch begun = new CountDownLatch(1);
    Call leaves = new Call("", MINUTE);
    CompletableFuture<TokenConstraint> first =
        ask(
            leaves,
            "left",
            () -> {
              begun.countDown();
              try {
                Thread.sleep(30_000);
              } catch (InterruptedException e) {
                interrupted.set(true);
                throw new CancelledException("interrupted", e);
              }
              return Grammar.regex("never");
            });
    await(begun);
    Call waits = new Call("", MINUTE);
    CompletableFuture<TokenConstraint> gone = ask(waits, "left", () -> Grammar.regex("gone"));
    CompletableFuture<TokenConstraint> stays =
        ask(new Call("", MINUTE), "left", () -> Grammar.regex("a"));
    Thread.sleep(50); // for both to wait
    waits.leaving().cancel();
    assertThatThrownBy(gone::get).hasRootCauseMessage("the client has left");
    assertThat(stays).isNotDone();
    leaves.leaving().cancel();
    assertThatThrownBy(first::get).hasRootCauseMessage("the client has left");
    assertThat(stays.get()).isNotNull();
    assertThat(interrupted).isTrue();
  }

  @Test
  void theReadingEndsWithTheTimeOfTheRequest() {
    CompletableFuture<TokenConstraint> answer =
        ask(
            new Call("", TimeUnit.MILLISECONDS.toNanos(100)),
            "slow",
            () -> {
              await(new CountDownLatch(1));
              return Grammar.regex("never");
            });
    assertThatThrownBy(answer::get)
        .hasRootCauseMessage("guided_regex: took longer to read than the server allows");
  }

  @Test
  void aFormThatIsNoneIsRefusedForAllThatAskForIt() {
    CountDownLatch open = new CountDownLatch(1);
    List<CompletableFuture<TokenConstraint>> answers = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      answers.add(
          ask(
              new Call("", MINUTE),
              "wrong",
              () -> {
                await(open);
                throw new InputException("no form");
              }));
    }
    open.countDown();
    for (CompletableFuture<TokenConstraint> answer : answers) {
      assertThatThrownBy(answer::get).hasRootCauseMessage("guided_regex: no form");
    }
  }

  @Test
  @Tag("slow")
  void theServerAnswersWhileManyFormsAreRead() throws Exception {
    try (TestServer server = new TestServer.Builder().start(files)) {
      List<CompletableFuture<HttpResponse<String>>> posts = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        // Some seconds each: a text of which each character may be any of some thousand.
        String schema =
            "{\"enum\": [\"%d%s\"], \"pattern\": \"^[0-9](a?){9000}$\"}"
                .formatted(i, "a".repeat(3000));
        String body = "{\"prompt\": \"int\", \"max_tokens\": 1, \"guided_json\": " + schema + "}";
        posts.add(CompletableFuture.supplyAsync(() -> server.post("/v1/completions", body)));
      }
      long most = 0;
      while (posts.stream().anyMatch(post -> !post.isDone())) {
        long start = System.nanoTime();
        assertThat(server.get("/health/live").statusCode()).isEqualTo(200);
        most = Math.max(most, System.nanoTime() - start);
        Thread.sleep(20);
      }
      for (CompletableFuture<HttpResponse<String>> post : posts) {
        assertThat(post.get().statusCode()).as(post.get().body()).isEqualTo(200);
      }
      assertThat(most / 1e9).isLessThan(2);
    }
  }

  @Test
  void aTextThatCannotFitIsRefusedBeforeItIsEncoded() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.body = 16 << 20;
    try (TestServer server = builder.start(files)) {
      String text = "a".repeat(15 << 20);
      for (String prompt : List.of('"' + text + '"', "[\"int\", \"" + text + "\"]")) {
        HttpResponse<String> response =
            server.post("/v1/completions", "{\"max_tokens\": 1, \"prompt\": " + prompt + "}");
        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(response.body())
            .contains("context_length_exceeded")
            .containsPattern("the context is 256 tokens, found at least \\d+ of the prompt");
      }
      String long_ = "int a, ".repeat(10_000);
      HttpResponse<String> counted = server.post("/tokenize", "{\"prompt\": \"" + long_ + "\"}");
      assertThat(TestServer.JSON.readTree(counted.body()).get("count").intValue())
          .isGreaterThan(10_000);
    }
  }
}
