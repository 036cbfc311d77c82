package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class AdmissionTest {
  private static Call call(String client, long millis) {
    Call call = new Call("", TimeUnit.MILLISECONDS.toNanos(millis));
    call.client(client);
    return call;
  }

  @Test
  void clientsTakeTurns() throws Exception {
    Admission admission = new Admission(1, 1000);
    List<String> order = Collections.synchronizedList(new ArrayList<>());
    List<Thread> threads = new ArrayList<>();
    try (Admission.Place _ = admission.enter(call("first", 1000), new Cancellation())) {
      for (int i = 0; i < 500; i++) {
        threads.add(enter(admission, "many", order));
      }
      TestServer.await(() -> admission.waiting() == 500);
      threads.add(enter(admission, "one", order));
      TestServer.await(() -> admission.waiting() == 501);
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertThat(order).hasSize(501);
    assertThat(order.indexOf("one")).isEqualTo(1);
    assertThat(admission.running()).isZero();
    assertThat(admission.waiting()).isZero();
  }

  private static Thread enter(Admission admission, String client, List<String> order) {
    return Thread.ofVirtual()
        .start(
            () -> {
              try (Admission.Place _ = admission.enter(call(client, 20_000), new Cancellation())) {
                order.add(client);
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
  }

  @Test
  void theQueueIsBounded() {
    Admission admission = new Admission(2, 3);
    try (Admission.Reservation _ = admission.reserve(4)) {
      assertThatThrownBy(() -> admission.reserve(2).close())
          .isInstanceOfSatisfying(
              ApiException.class,
              e -> {
                assertThat(e.status()).isEqualTo(429);
                assertThat(e.retryAfter()).isEqualTo(1);
              });
      admission.reserve(1).close();
    }
    admission.reserve(5).close();
  }

  @Test
  void aWaitEndsByItsTimeByACancellationAndAtTheEnd() throws Exception {
    Admission admission = new Admission(1, 10);
    try (Admission.Place _ = admission.enter(call("a", 1000), new Cancellation())) {
      assertStatus(408, admission, call("b", 20), new Cancellation());
      Cancellation cancelled = new Cancellation();
      cancelled.cancel();
      assertStatus(499, admission, call("b", 10_000), cancelled);
      Thread closing =
          Thread.ofVirtual()
              .start(
                  () -> {
                    while (admission.waiting() == 0) {
                      Thread.onSpinWait();
                    }
                    admission.close();
                  });
      assertStatus(503, admission, call("b", 10_000), new Cancellation());
      closing.join();
      assertThat(admission.waiting()).isZero();
    }
    assertThat(admission.running()).isZero();
  }

  private static void assertStatus(
      int status, Admission admission, Call call, Cancellation cancellation) {
    assertThatThrownBy(() -> admission.enter(call, cancellation).close())
        .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(status));
  }
}
