package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.infer.Engine.Settings;
import dev.jneox.model.ModelSpec;
import dev.jneox.weights.RandomWeights;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Taps on single requests of an engine, beside others that share its steps. */
@Timeout(60)
class EngineTapsTest {
  private static final String POINT = "blocks.1.hook_resid_pre";
  private static final ModelSpec SPEC = ModelSpec.neox(60, 32, 2, 2, 512);
  private static final PackedModel PACKED =
      PackedModel.of(new RandomWeights(SPEC, 3), Precision.STORED);
  private static final int[] PROMPT =
      new Random(4).ints(3 * KvFormat.POSITIONS / 2, 1, 60).toArray();

  private final Engine engine = new Engine(PACKED, Settings.of(PACKED, 4).withPromptRows(7));

  @AfterAll
  static void close() {
    PACKED.close();
  }

  private static GenerationRequest.Builder request() {
    return GenerationRequest.builder(PROMPT).maxTokens(20).ignoreEnd();
  }

  /** Notes the positions of rows at one point, and adds to their values. */
  private static final class Adding implements Taps {
    final List<Integer> positions = new ArrayList<>();
    final List<Long> sequences = new ArrayList<>();
    private final float more;

    Adding(float more) {
      this.more = more;
    }

    @Override
    public boolean wants(String name) {
      return name.equals(POINT);
    }

    @Override
    public void apply(String name, float[] values, int at, int width, long sequence, int position) {
      assertThat(name).isEqualTo(POINT);
      assertThat(width).isEqualTo(32);
      positions.add(position);
      sequences.add(sequence);
      for (int i = at; i < at + width; i += 2) {
        values[i] += more;
      }
    }
  }

  @Test
  void tapsSeeEveryPositionOfTheirRequestAndNoOther() {
    try (engine) {
      GenerationResult plain = engine.submit(request().build()).result(); // its prefix stays
      Adding one = new Adding(0);
      Adding two = new Adding(0);
      Session first = engine.submit(request().taps(one).build());
      Session other = engine.submit(request().maxTokens(9).build());
      Session second = engine.submit(request().maxTokens(5).taps(two).build());
      assertThat(first.result().ids()).isEqualTo(plain.ids());
      assertThat(other.result().usage().reusedTokens()).isPositive();
      assertThat(second.result().usage().reusedTokens()).isZero();
      // The last token drawn is not read.
      assertThat(one.positions).isEqualTo(IntStream.range(0, PROMPT.length + 19).boxed().toList());
      assertThat(two.positions).isEqualTo(IntStream.range(0, PROMPT.length + 4).boxed().toList());
      assertThat(one.sequences.stream().distinct()).hasSize(1);
    }
  }

  @Test
  void whatTapsChangeIsForTheirRequestAlone() {
    try (engine) {
      GenerationResult plain = engine.submit(request().build()).result();
      Session changed = engine.submit(request().taps(new Adding(3)).build());
      Session beside = engine.submit(request().build());
      assertThat(changed.result().ids()).isNotEqualTo(plain.ids());
      assertThat(beside.result().ids()).isEqualTo(plain.ids());
      // Nor do later requests find its keys and values.
      assertThat(engine.submit(request().build()).result().ids()).isEqualTo(plain.ids());
      assertThat(engine.submit(request().taps(new Adding(3)).build()).result().ids())
          .isEqualTo(changed.result().ids());
    }
  }

  @Test
  void whatTapsThrowEndsTheirRequestAlone() {
    try (engine) {
      GenerationResult plain = engine.submit(request().build()).result();
      for (String point : List.of(POINT, "ln_final.hook_normalized")) {
        Taps broken =
            new Taps() {
              @Override
              public boolean wants(String name) {
                return name.equals(point);
              }

              @Override
              public void apply(
                  String name, float[] values, int at, int width, long sequence, int position) {
                if (position >= PROMPT.length - 1) {
                  throw new IllegalStateException("broken");
                }
              }
            };
        Session failing = engine.submit(request().taps(broken).build());
        Session beside = engine.submit(request().build());
        assertThatThrownBy(failing::result)
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("broken");
        assertThat(beside.result().ids()).isEqualTo(plain.ids());
      }
      Taps unwilling =
          new Taps() {
            @Override
            public boolean wants(String name) {
              throw new IllegalStateException("unwilling");
            }

            @Override
            public void apply(
                String name, float[] values, int at, int width, long sequence, int position) {}
          };
      assertThatThrownBy(() -> engine.submit(request().taps(unwilling).build()).result())
          .hasMessage("unwilling");
      assertThat(engine.metrics().active()).isZero();
    }
  }

  @Test
  void aTapThatInterruptsItsThreadEndsNothing() {
    try (engine) {
      Taps taps =
          new Taps() {
            @Override
            public boolean wants(String name) {
              return name.equals(POINT);
            }

            @Override
            public void apply(
                String name, float[] values, int at, int width, long sequence, int position) {
              Thread.currentThread().interrupt();
            }
          };
      assertThat(engine.submit(request().taps(taps).build()).result().ids()).hasSize(20);
      assertThat(engine.submit(request().build()).result().ids()).hasSize(20);
    }
  }

  /** Its thread would wait for itself: that is told, and the engine goes on. */
  @Test
  void waitingOrClosingInATapIsRefused() {
    try (engine) {
      List<Runnable> deeds =
          List.of(
              () -> engine.submit(request().build()).result(),
              () -> engine.stream(request().build()).next(),
              engine::close);
      for (Runnable deed : deeds) {
        Taps taps =
            new Taps() {
              @Override
              public boolean wants(String name) {
                return name.equals(POINT);
              }

              @Override
              public void apply(
                  String name, float[] values, int at, int width, long sequence, int position) {
                deed.run();
              }
            };
        Session session = engine.submit(request().taps(taps).build());
        assertThatThrownBy(session::result)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("in a tap, on the engine's own thread");
        assertThat(engine.submit(request().build()).result().ids()).hasSize(20);
      }
    }
  }

  /** A token that was seen is taken, and what was taken is the result. */
  @Test
  void aTextMayBeCancelledByAnyThreadAtAnyMoment() throws InterruptedException {
    try (engine) {
      Generator generator = new Generator(engine, null);
      for (int i = 0; i < 200; i++) {
        TextStream text = generator.stream(request().maxTokens(200).build(), List.of());
        long nanos = i * 20_000L;
        Thread other =
            Thread.startVirtualThread(
                () -> {
                  LockSupport.parkNanos(nanos);
                  text.cancel();
                });
        int taken = 0;
        while (text.hasNext()) {
          text.next();
          taken++;
        }
        other.join();
        Completion completion = text.result();
        assertThat(completion.generation().ids()).hasSize(taken);
        assertThat(completion.generation().reason())
            .isEqualTo(taken < 200 ? FinishReason.CANCELLED : FinishReason.MAX_TOKENS);
      }
    }
  }
}
