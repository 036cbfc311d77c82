package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.infer.Generator.Listener;
import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.RandomWeights;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GeneratorTest {
  private static final int END = 29;
  private static final int USED = 30;
  private static final Sampler DRAWN = Sampler.GREEDY.withTemperature(1.5).withSeed(11);

  private static final PackedModel PACKED = PackedModel.of(model(64), Precision.STORED);
  private static final Engine ENGINE = new Engine(PACKED, Engine.Settings.of(PACKED, 2));

  /** Ids 30 and 31 are padding; the head has a bias so that a test can make an id likely. */
  private static RandomWeights model(int maxPositions) {
    return new RandomWeights(
        ModelSpec.neox(32, 16, 2, 2, maxPositions)
            .withVocabulary(new Vocabulary(32, USED, END))
            .withHead(new Head(false, true)),
        3);
  }

  @AfterAll
  static void close() {
    ENGINE.close();
    PACKED.close();
  }

  private static GenerationRequest request(int maxTokens, Sampler sampler) {
    return request(new int[] {1, 2, 3}, maxTokens, sampler);
  }

  private static GenerationRequest request(int[] prompt, int maxTokens, Sampler sampler) {
    return GenerationRequest.builder(prompt).maxTokens(maxTokens).sampler(sampler).build();
  }

  private static Generator generator() {
    return new Generator(ENGINE, Pieces.letters(32));
  }

  private static Completion generate(GenerationRequest request, String... stop) {
    return generator().generate(request, List.of(stop), Listener.NONE);
  }

  /** What a model writes whose head was changed after it was made. */
  private static Completion generate(RandomWeights model, GenerationRequest request) {
    try (PackedModel packed = PackedModel.of(model, Precision.STORED);
        Engine engine = new Engine(packed, Engine.Settings.of(PACKED, 1))) {
      return new Generator(engine, Pieces.letters(32)).generate(request, Listener.NONE);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "neox-parallel",
        "neox-20b-like",
        "neox-serial-tied",
        "gptj",
        "gpt-neo",
        "gpt2",
        "llama"
      })
  void greedyIdsAreThoseOfHfTransformers(String name) {
    Path dir = Path.of("src/test/resources/parity", name);
    int[] expected;
    try (Safetensors file = Safetensors.open(dir.resolve("expected.safetensors"))) {
      expected = Parity.ints(file, "greedy");
    }
    try (LanguageModel model = LanguageModel.open(dir, Precision.STORED)) {
      GenerationRequest request = request(Arrays.copyOf(expected, 9), 32, Sampler.GREEDY);
      Completion result = model.generator().generate(request, Listener.NONE);
      assertThat(result.generation().ids()).isEqualTo(Arrays.copyOfRange(expected, 9, 41));
      assertThat(result.generation().promptIds()).isEqualTo(request.promptIds());
      assertThat(result.generation().reason()).isEqualTo(FinishReason.MAX_TOKENS);
      assertThat(result.text()).isNull();
    }
  }

  @Test
  void theSameSeedWritesTheSameTextAndAnotherOneAnother() {
    Completion first = generate(request(20, DRAWN));
    assertThat(generate(request(20, DRAWN)).text()).isEqualTo(first.text());
    Completion other = generate(request(20, DRAWN.withSeed(12)));
    assertThat(other.text()).isNotEqualTo(first.text());
    assertThat(first.generation().tokensPerSecond())
        .isEqualTo(20 / first.generation().times().end());
  }

  @Test
  void theListenerHearsEveryTokenAndAllOfTheText() {
    List<Integer> ids = new ArrayList<>();
    StringBuilder text = new StringBuilder();
    Completion result =
        generator()
            .generate(
                request(20, DRAWN),
                List.of("zzz"),
                (id, piece) -> {
                  ids.add(id);
                  text.append(piece);
                  return true;
                });
    assertThat(ids)
        .containsExactlyElementsOf(Arrays.stream(result.generation().ids()).boxed().toList());
    assertThat(text).hasToString(result.text());
    assertThat(result.text()).isEqualTo(Pieces.letters(32).decode(result.generation().ids()));
  }

  @Test
  void aStopStringOverSeveralTokensEndsTheTextBeforeIt() {
    Completion free = generate(request(20, DRAWN));
    // From the middle of one token's text, if it has several characters, to the next but one.
    String before = Pieces.letters(32).decode(Arrays.copyOf(free.generation().ids(), 10));
    String stop = free.text().substring(before.length() - 1, before.length() + 2);
    int at = free.text().indexOf(stop);
    Completion stopped = generate(request(20, DRAWN), "no such text", stop);
    assertThat(stopped.generation().reason()).isEqualTo(FinishReason.STOP_STRING);
    assertThat(stopped.text()).isEqualTo(free.text().substring(0, at)).doesNotContain(stop);
    assertThat(stopped.generation().ids().length).isLessThan(20);
    assertThat(Pieces.letters(32).decode(stopped.generation().ids())).contains(stop);
  }

  @Test
  void nothingBehindAStopStringIsShownOrCounted() {
    GenerationRequest request =
        GenerationRequest.builder(1, 2, 3).maxTokens(40).sampler(DRAWN).logprobs(2).build();
    Completion free = generate(request);
    int[] ids = free.generation().ids();
    for (int n = 1; n < ids.length; n++) {
      String stop = Pieces.letters(32).decode(Arrays.copyOfRange(ids, n - 1, n + 1));
      StringBuilder heard = new StringBuilder();
      Completion stopped =
          generator()
              .generate(
                  request,
                  List.of(stop),
                  (id, piece) -> {
                    heard.append(piece);
                    return true;
                  });
      GenerationResult result = stopped.generation();
      assertThat(stopped.text()).isEqualTo(free.text().substring(0, free.text().indexOf(stop)));
      assertThat(heard).hasToString(stopped.text());
      assertThat(result.tokens())
          .isEqualTo(free.generation().tokens().subList(0, result.tokens().size()));
      assertThat(Pieces.letters(32).decode(result.ids())).endsWith(stop);
      assertThat(result.usage().newTokens()).isEqualTo(result.tokens().size());
    }
  }

  @Test
  void aStopTokenEndsTheTextAndIsNoPartOfIt() {
    int[] ids = generate(request(20, DRAWN)).generation().ids();
    GenerationRequest request =
        GenerationRequest.builder(1, 2, 3)
            .maxTokens(20)
            .sampler(DRAWN)
            .stopIds(Set.of(ids[7], 31))
            .build();
    Completion stopped = generate(request);
    int[] expected = Arrays.copyOf(ids, 1 + Arrays.stream(ids).boxed().toList().indexOf(ids[7]));
    assertThat(stopped.generation().ids()).isEqualTo(expected);
    assertThat(stopped.generation().reason()).isEqualTo(FinishReason.STOP_TOKEN);
    assertThat(stopped.text())
        .isEqualTo(Pieces.letters(32).decode(Arrays.copyOf(expected, expected.length - 1)));
  }

  @Test
  void aListenerThatBlocksHoldsUpItsOwnTextAlone() throws Exception {
    CountDownLatch heard = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    try (ExecutorService readers = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<Completion> slow =
          readers.submit(
              () ->
                  generator()
                      .generate(
                          request(20, DRAWN),
                          (id, text) -> {
                            heard.countDown();
                            await(goOn);
                            return true;
                          }));
      await(heard);
      Completion other = generate(request(20, DRAWN));
      assertThat(slow).isNotDone();
      goOn.countDown();
      assertThat(slow.get().text()).isEqualTo(other.text());
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void anInterruptCancels() {
    Thread.currentThread().interrupt();
    assertThatThrownBy(() -> generate(request(60, DRAWN))).isInstanceOf(CancelledException.class);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(generate(request(20, DRAWN)).generation().ids()).hasSize(20);
  }

  @Test
  void theListenerCancels() {
    Completion result =
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
    assertThat(result.generation().ids()).hasSize(5);
    assertThat(result.generation().reason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(result.text()).isEqualTo(Pieces.letters(32).decode(result.generation().ids()));
  }

  @Test
  void aFullContextEndsTheTextAfterTheTokenThatThereIsNoRoomToRead() {
    Completion result = generate(request(1000, Sampler.GREEDY));
    assertThat(result.generation().reason()).isEqualTo(FinishReason.CONTEXT_FULL);
    assertThat(result.generation().ids()).hasSize(64 - 3 + 1);
    Completion one = generate(request(new int[64], 5, Sampler.GREEDY));
    assertThat(one.generation().ids()).hasSize(1);
    assertThat(one.generation().reason()).isEqualTo(FinishReason.CONTEXT_FULL);
  }

  @Test
  void theEndOfTextTokenEndsTheTextAndIsNoPartOfIt() {
    RandomWeights model = model(64);
    {
      favour(model, END);
      Completion result = generate(model, request(20, Sampler.GREEDY));
      assertThat(result.generation().ids()).containsExactly(END);
      assertThat(result.text()).isEmpty();
      assertThat(result.generation().reason()).isEqualTo(FinishReason.END_OF_TEXT);
    }
  }

  @Test
  void paddingIsNeverWritten() {
    RandomWeights model = model(64);
    {
      favour(model, 31);
      Completion result = generate(model, request(50, DRAWN));
      assertThat(Arrays.stream(result.generation().ids()).max().getAsInt()).isLessThan(USED);
    }
  }

  private static void favour(RandomWeights model, int id) {
    model.set(ParamId.bias(Part.HEAD), id, 1000);
  }

  @Test
  void anEmptyPromptBeginsADocument() {
    Completion empty = generate(request(new int[0], 8, Sampler.GREEDY));
    Completion begun = generate(request(new int[] {END}, 8, Sampler.GREEDY));
    assertThat(empty.generation().promptIds()).containsExactly(END);
    assertThat(empty.generation().ids()).isEqualTo(begun.generation().ids());
  }

  @Test
  void thePenaltyIsOnTheIdsOfThePromptAndOnThoseDrawn() {
    RandomWeights model = model(64);
    {
      favour(model, 5);
      Sampler penalty = Sampler.GREEDY.withRepetitionPenalty(1e6);
      assertThat(generate(model, request(4, Sampler.GREEDY)).generation().ids()).containsOnly(5);
      assertThat(generate(model, request(4, penalty)).generation().ids())
          .startsWith(5)
          .containsOnlyOnce(5);
      GenerationRequest prompted = request(new int[] {1, 5, 2}, 4, penalty);
      assertThat(generate(model, prompted).generation().ids()).doesNotContain(5);
    }
  }

  @Test
  void requestsThatCannotBeMetAreRefusedInOneLine() {
    refused(
        () -> generate(request(new int[65], 1, Sampler.GREEDY)),
        "the prompt has 65 tokens, the model's context is 64: shorten it");
    refused(
        () -> generate(request(new int[] {0, 32}, 1, Sampler.GREEDY)),
        "token 2: expected an id from 0 to 31, found 32");
    refused(
        () -> generate(request(new int[] {-1}, 1, Sampler.GREEDY)),
        "token 1: expected an id from 0 to 31, found -1");
    refused(
        () ->
            new Generator(ENGINE, null).generate(request(5, DRAWN), List.of("stop"), Listener.NONE),
        "stop strings need the model's tokenizer, and it has none");
    refused(() -> request(0, DRAWN), "max tokens: expected 1 or more, found 0");
    refused(() -> generate(request(1, DRAWN), ""), "stop string: expected some text, found none");
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
    assertThat(generate(request(20, DRAWN)).generation().ids()).hasSize(20);
  }

  @Test
  void aModelThatGivesNoNumbersIsNamed() {
    RandomWeights model = model(64);
    {
      model.set(ParamId.bias(Part.HEAD), 7, Float.NaN);
      assertThatThrownBy(() -> generate(model, request(20, DRAWN)))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith("the model's score for token 7 is NaN");
    }
  }
}
