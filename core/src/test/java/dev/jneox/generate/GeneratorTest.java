package dev.jneox.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.checkpoint.Safetensors;
import dev.jneox.generate.Generator.Listener;
import dev.jneox.generate.Generator.Request;
import dev.jneox.generate.Generator.Result;
import dev.jneox.generate.Generator.StopReason;
import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.RandomModel;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GeneratorTest {
  private static final int END = 29;
  private static final int USED = 30;
  private static final Sampler DRAWN = new Sampler(1.5, 0, 1, 1, 11);

  private static final CausalLM MODEL = model(64);
  private static final PackedModel PACKED = PackedModel.of(MODEL);
  private static final Engine ENGINE =
      new Engine(PACKED, Pieces.letters(32), Engine.Settings.of(PACKED, 2));
  private static final Engine ENGINE_OF_IDS =
      new Engine(PACKED, null, Engine.Settings.of(PACKED, 1));

  /** Ids 30 and 31 are padding; the head has a bias so that a test can make an id likely. */
  private static CausalLM model(int maxPositions) {
    ModelConfig neox = ModelConfig.neox(32, 16, 2, 2, maxPositions);
    return RandomModel.of(
        new ModelConfig(
            32,
            USED,
            16,
            2,
            2,
            64,
            maxPositions,
            neox.position(),
            Residual.PARALLEL,
            Activation.GELU,
            1e-5,
            neox.windows(),
            true,
            true,
            true,
            true,
            false,
            END),
        3);
  }

  @AfterAll
  static void close() {
    ENGINE.close();
    ENGINE_OF_IDS.close();
    PACKED.close();
    MODEL.close();
  }

  private static Request request(int maxTokens, Sampler sampler, String... stop) {
    return new Request(new int[] {1, 2, 3}, maxTokens, sampler, List.of(stop));
  }

  private static Generator generator() {
    return new Generator(ENGINE);
  }

  /** What a model writes whose head was changed after it was made. */
  private static Result generate(CausalLM model, Request request) {
    try (PackedModel packed = PackedModel.of(model);
        Engine engine = new Engine(packed, Pieces.letters(32), Engine.Settings.of(PACKED, 1))) {
      return new Generator(engine).generate(request, Listener.NONE);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"neox-parallel", "neox-20b-like", "neox-serial-tied", "gptj", "gpt-neo", "gpt2"})
  void greedyIdsAreThoseOfHfTransformers(String name) {
    Path dir = Path.of("src/test/resources/parity", name);
    int[] expected;
    try (Safetensors file = Safetensors.open(dir.resolve("expected.safetensors"));
        Tensor greedy = file.tensor("greedy")) {
      expected = Arrays.stream(Tensors.longs(greedy)).mapToInt(Math::toIntExact).toArray();
    }
    try (LanguageModel model = LanguageModel.open(dir, Precision.STORED)) {
      Request request = new Request(Arrays.copyOf(expected, 9), 32, Sampler.GREEDY, List.of());
      Result result = model.generator().generate(request, Listener.NONE);
      assertThat(result.ids()).isEqualTo(Arrays.copyOfRange(expected, 9, 41));
      assertThat(result.promptIds()).isEqualTo(request.promptIds());
      assertThat(result.stopReason()).isEqualTo(StopReason.MAX_TOKENS);
      assertThat(result.text()).isNull();
    }
  }

  @Test
  void theSameSeedWritesTheSameTextAndAnotherOneAnother() {
    Result first = generator().generate(request(20, DRAWN), Listener.NONE);
    assertThat(generator().generate(request(20, DRAWN), Listener.NONE).text())
        .isEqualTo(first.text());
    Result other = generator().generate(request(20, new Sampler(1.5, 0, 1, 1, 12)), Listener.NONE);
    assertThat(other.text()).isNotEqualTo(first.text());
    assertThat(first.tokensPerSecond()).isEqualTo(first.ids().length / first.seconds());
  }

  @Test
  void theListenerHearsEveryTokenAndAllOfTheText() {
    List<Integer> ids = new ArrayList<>();
    StringBuilder text = new StringBuilder();
    Result result =
        generator()
            .generate(
                request(20, DRAWN, "zzz"),
                (id, piece) -> {
                  ids.add(id);
                  text.append(piece);
                  return true;
                });
    assertThat(ids).containsExactlyElementsOf(Arrays.stream(result.ids()).boxed().toList());
    assertThat(text).hasToString(result.text());
    assertThat(result.text()).isEqualTo(Pieces.letters(32).decode(result.ids()));
  }

  @Test
  void aStopStringOverSeveralTokensEndsTheTextBeforeIt() {
    Result free = generator().generate(request(20, DRAWN), Listener.NONE);
    // From the middle of one token's text, if it has several characters, to the next but one.
    String before = Pieces.letters(32).decode(Arrays.copyOf(free.ids(), 10));
    String stop = free.text().substring(before.length() - 1, before.length() + 2);
    int at = free.text().indexOf(stop);
    Result stopped = generator().generate(request(20, DRAWN, "no such text", stop), Listener.NONE);
    assertThat(stopped.stopReason()).isEqualTo(StopReason.STOP_STRING);
    assertThat(stopped.text()).isEqualTo(free.text().substring(0, at)).doesNotContain(stop);
    assertThat(stopped.ids().length).isLessThan(20);
    assertThat(Pieces.letters(32).decode(stopped.ids())).contains(stop);
  }

  @Test
  void theListenerCancels() {
    Result result =
        generator()
            .generate(
                request(20, DRAWN),
                new Listener() {
                  private int left = 5;

                  @Override
                  public boolean token(int id, String text) {
                    return --left > 0;
                  }
                });
    assertThat(result.ids()).hasSize(5);
    assertThat(result.stopReason()).isEqualTo(StopReason.CANCELLED);
    assertThat(result.text()).isEqualTo(Pieces.letters(32).decode(result.ids()));
  }

  @Test
  void aFullContextEndsTheTextAfterTheTokenThatThereIsNoRoomToRead() {
    Result result = generator().generate(request(1000, Sampler.GREEDY), Listener.NONE);
    assertThat(result.stopReason()).isEqualTo(StopReason.CONTEXT_FULL);
    assertThat(result.ids()).hasSize(64 - 3 + 1);
    Result one =
        generator().generate(new Request(new int[64], 5, Sampler.GREEDY, List.of()), Listener.NONE);
    assertThat(one.ids()).hasSize(1);
    assertThat(one.stopReason()).isEqualTo(StopReason.CONTEXT_FULL);
  }

  @Test
  void theEndOfTextTokenEndsTheTextAndIsNoPartOfIt() {
    try (CausalLM model = model(64)) {
      favour(model, END);
      Result result = generate(model, request(20, Sampler.GREEDY));
      assertThat(result.ids()).containsExactly(END);
      assertThat(result.text()).isEmpty();
      assertThat(result.stopReason()).isEqualTo(StopReason.END_OF_TEXT);
    }
  }

  @Test
  void paddingIsNeverWritten() {
    try (CausalLM model = model(64)) {
      favour(model, 31);
      Result result = generate(model, request(50, DRAWN));
      assertThat(Arrays.stream(result.ids()).max().getAsInt()).isLessThan(USED);
    }
  }

  private static void favour(CausalLM model, int id) {
    Tensors.segment(model.weights().get("embed_out.bias"))
        .setAtIndex(ValueLayout.JAVA_FLOAT, id, 1000);
  }

  @Test
  void anEmptyPromptBeginsADocument() {
    Result empty =
        generator().generate(new Request(new int[0], 8, Sampler.GREEDY, List.of()), Listener.NONE);
    Result begun =
        generator()
            .generate(new Request(new int[] {END}, 8, Sampler.GREEDY, List.of()), Listener.NONE);
    assertThat(empty.promptIds()).containsExactly(END);
    assertThat(empty.ids()).isEqualTo(begun.ids());
  }

  @Test
  void thePenaltyIsOnTheIdsOfThePromptAndOnThoseDrawn() {
    try (CausalLM model = model(64)) {
      favour(model, 5);
      Sampler penalty = new Sampler(0, 0, 1, 1e6, 0);
      assertThat(generate(model, request(4, Sampler.GREEDY)).ids()).containsOnly(5);
      assertThat(generate(model, request(4, penalty)).ids()).startsWith(5).containsOnlyOnce(5);
      Request prompted = new Request(new int[] {1, 5, 2}, 4, penalty, List.of());
      assertThat(generate(model, prompted).ids()).doesNotContain(5);
    }
  }

  @Test
  void requestsThatCannotBeMetAreRefusedInOneLine() {
    refused(
        () ->
            generator()
                .generate(new Request(new int[65], 1, Sampler.GREEDY, List.of()), Listener.NONE),
        "the prompt has 65 tokens, the model's context is 64: shorten it");
    refused(
        () ->
            generator()
                .generate(
                    new Request(new int[] {0, 32}, 1, Sampler.GREEDY, List.of()), Listener.NONE),
        "token 2: expected an id from 0 to 31, found 32");
    refused(
        () ->
            generator()
                .generate(new Request(new int[] {-1}, 1, Sampler.GREEDY, List.of()), Listener.NONE),
        "token 1: expected an id from 0 to 31, found -1");
    refused(
        () -> new Generator(ENGINE_OF_IDS).generate(request(5, DRAWN, "stop"), Listener.NONE),
        "stop strings need the model's tokenizer, and it has none");
    refused(() -> request(0, DRAWN), "max tokens: expected 1 or more, found 0");
    refused(() -> request(1, DRAWN, ""), "stop string: expected some text, found none");
  }

  private static void refused(
      org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(InputException.class).hasMessage(message);
  }

  @Test
  void whatTheListenerThrowsReachesTheCallerAndEndsNothingElse() {
    assertThatThrownBy(
            () ->
                generator()
                    .generate(
                        request(20, DRAWN),
                        (id, text) -> {
                          throw new IllegalStateException("no more");
                        }))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("no more");
    assertThat(generator().generate(request(20, DRAWN), Listener.NONE).ids()).hasSize(20);
  }

  @Test
  void aModelThatGivesNoNumbersIsNamed() {
    try (CausalLM model = model(64)) {
      Tensors.segment(model.weights().get("embed_out.bias"))
          .setAtIndex(ValueLayout.JAVA_FLOAT, 7, Float.NaN);
      assertThatThrownBy(() -> generate(model, request(20, DRAWN)))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith("the model's score for token 7 is NaN");
    }
  }
}
