package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.infer.Completion;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.TextPiece;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AnswersTest {
  @TempDir private Path dir;

  private static Call call(String client) {
    Call call = new Call("", Duration.ofMinutes(1).toNanos());
    call.client(client);
    return call;
  }

  private static GenerationRequest request(int tokens) {
    return GenerationRequest.builder(new int[] {7}).maxTokens(tokens).ignoreEnd().build();
  }

  /** Takes 10 milliseconds for a token. */
  private static final Answers.Listener SLOW =
      new Answers.Listener() {
        @Override
        public void piece(int answer, TextPiece piece) {
          try {
            Thread.sleep(10);
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
        }

        @Override
        public void end(int answer, Completion completion) {}
      };

  @Test
  @Tag("slow")
  void aSlowReaderMakesRoomForThoseThatWait() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.sessions = 1;
    builder.patience =
        new ServerSettings.Patience(
            Duration.ofSeconds(1), Duration.ofSeconds(1), Duration.ofMillis(200));
    try (ServedModel model =
        ServedModel.open("tiny", TestServer.model(dir, 1024), builder.settings(), 1 << 26)) {
      // Alone, it has all the time.
      List<Completion> alone =
          new Answers(model, call("a"), 1).run(List.of(request(50)), List.of(), SLOW);
      assertThat(alone.getFirst().usage().newTokens()).isEqualTo(50);
      Thread other =
          Thread.ofVirtual()
              .start(
                  () -> {
                    while (model.admission().running() == 0) {
                      Thread.onSpinWait();
                    }
                    new Answers(model, call("b"), 1)
                        .run(List.of(request(5)), List.of(), Answers.Listener.NONE);
                  });
      assertThatThrownBy(
              () -> new Answers(model, call("a"), 1).run(List.of(request(900)), List.of(), SLOW))
          .isInstanceOfSatisfying(
              ApiException.class,
              e -> {
                assertThat(e.status()).isEqualTo(408);
                assertThat(e).hasMessage("the answer was read too slowly while others waited");
              });
      other.join();
    }
  }

  @Test
  void oneFailureEndsAllAnswersOfARequest() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    try (ServedModel model =
        ServedModel.open("tiny", TestServer.model(dir, 1024), builder.settings(), 1 << 26)) {
      Answers.Listener failing =
          new Answers.Listener() {
            @Override
            public void piece(int answer, TextPiece piece) {
              if (answer == 2) {
                throw new IllegalArgumentException("the third");
              }
            }

            @Override
            public void end(int answer, Completion completion) {}
          };
      assertThatThrownBy(
              () ->
                  new Answers(model, call("a"), 3)
                      .run(
                          List.of(request(1000), request(1000), request(1000)), List.of(), failing))
          .hasMessage("the third");
      assertThat(model.admission().running()).isZero();
      assertThat(model.admission().waiting()).isZero();
    }
  }
}
