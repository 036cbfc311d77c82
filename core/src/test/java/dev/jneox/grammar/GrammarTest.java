package dev.jneox.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.JsonNodeType;
import dev.jneox.grammar.Forms.Case;
import dev.jneox.grammar.Forms.Drawn;
import dev.jneox.infer.Completion;
import dev.jneox.infer.Engine;
import dev.jneox.infer.FinishReason;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.Generator;
import dev.jneox.infer.PackedModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Sampler;
import dev.jneox.infer.TokenConstraint;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Vocabulary;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.weights.RandomWeights;
import java.io.IOException;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class GrammarTest {
  private static final Tokenizer TOKENIZER = Forms.tokenizer();
  private static final TokenTrie TRIE = TokenTrie.of(TOKENIZER, List.of(0));

  private static Set<String> texts(Grammar grammar, int seeds) {
    TokenConstraint constraint = grammar.over(TRIE);
    Set<String> texts = new HashSet<>();
    for (int seed = 0; seed < seeds; seed++) {
      Drawn drawn = Forms.draw(constraint, TRIE, 400, Forms.any(new Random(seed)));
      if (drawn.ended()) {
        texts.add(drawn.text());
      }
    }
    return texts;
  }

  @Test
  void aChoiceIsOneOfItsTexts() {
    List<String> texts = List.of("yes", "yes, really", "no", "né 😀");
    assertThat(texts(Grammar.choice(texts), 200)).containsExactlyInAnyOrderElementsOf(texts);
    assertThatThrownBy(() -> Grammar.choice(List.of()))
        .isInstanceOf(InputException.class)
        .hasMessage("choice: expected texts, found none");
    assertThatThrownBy(() -> Grammar.choice(List.of("a", "")))
        .hasMessage("choice: expected texts, found an empty one");
  }

  @Test
  void anyObjectIsWritten() throws IOException {
    Set<String> texts = texts(Grammar.json(), 300);
    assertThat(texts).hasSizeGreaterThan(20);
    for (String text : texts) {
      assertThat(Forms.JSON.readTree(text).getNodeType()).isEqualTo(JsonNodeType.OBJECT);
    }
  }

  @Test
  void theTextsOfAnExpressionMatchIt() {
    Set<String> texts = texts(Grammar.regex("(?:[a-z]{2,4}|\\d+)(?:, [éü😀]+)?!"), 100);
    assertThat(texts).hasSizeGreaterThan(50);
    assertThat(texts).allMatch(text -> text.matches("(?:[a-z]{2,4}|\\d+)(?:, [éü😀]+)?!"));
  }

  @Test
  void addedTokensAreNeverAllowedAndTheEndOnlyWhereTheTextMayEnd() {
    TokenConstraint.Cursor cursor = Grammar.regex("[\\s\\S]{1,3}").over(TRIE).begin();
    assertThat(cursor.allowed().get(0)).isFalse();
    int padding = TOKENIZER.id("<|padding|>").getAsInt();
    assertThat(cursor.allowed().get(padding)).isFalse();
    int a = TOKENIZER.id("a").getAsInt();
    cursor.accept(a);
    assertThat(cursor.allowed().get(0)).isTrue();
    assertThat(cursor.allowed().get(padding)).isFalse();
    cursor.accept(a);
    cursor.accept(a);
    assertThat(cursor.allowed().isEmpty()).isTrue();
  }

  @Test
  void whatIsKnownIsWhatWasFound() {
    TokenConstraint constraint = Grammar.regex("[a-c]{2,9}(?:\\d+|é)?").over(TRIE);
    for (int seed = 0; seed < 20; seed++) {
      Drawn drawn = Forms.draw(constraint, TRIE, 12, Forms.any(new Random(seed)));
      TokenConstraint.Cursor found = constraint.begin();
      TokenConstraint.Cursor known = constraint.begin();
      assertThat(known.allowed()).isEqualTo(found.allowed());
      for (int id : drawn.ids()) {
        found.accept(id);
        assertThat(known.acceptKnown(id)).isEqualTo(found.allowed());
      }
    }
  }

  @Test
  void whatIsNotKnownChangesNothing() {
    int a = TOKENIZER.id("a").getAsInt();
    TokenConstraint.Cursor cursor = Grammar.regex("ab{0,3}").over(TRIE).begin();
    assertThat(cursor.acceptKnown(a)).isNull();
    assertThat(cursor.allowed().get(a)).isTrue();
    assertThat(cursor.acceptKnown(a)).isNull(); // the mask behind it
    cursor.accept(a);
    assertThat(cursor.allowed().get(a)).isFalse();
  }

  @Test
  void afterAnEndThatIsDrawnNothingIsAllowed() {
    TokenConstraint.Cursor cursor = Grammar.regex("a*").over(TRIE).begin();
    assertThat(cursor.allowed().get(0)).isTrue();
    cursor.accept(0);
    assertThat(cursor.allowed().isEmpty()).isTrue();
  }

  @Test
  void aStateThatIsForgottenIsFoundAgain() {
    // Each length of the string is a state of its own: more than are kept.
    TokenConstraint constraint =
        Grammar.jsonSchema("{\"type\":\"string\",\"maxLength\":60000}").over(TRIE);
    int a = TOKENIZER.id("a").getAsInt();
    int quote = TOKENIZER.id("\"").getAsInt();
    TokenConstraint.Cursor held = constraint.begin();
    held.accept(quote);
    BitSet before = (BitSet) held.allowed().clone();
    TokenConstraint.Cursor cursor = constraint.begin();
    cursor.accept(quote);
    for (int i = 0; i < 40_000; i++) {
      if (i % 40 == 0) {
        assertThat(cursor.allowed().get(quote)).isTrue();
      }
      cursor.accept(a);
    }
    assertThat(held.allowed()).isEqualTo(before);
    held.accept(quote);
    assertThat(held.allowed().isEmpty()).isTrue();
  }

  @Test
  void aVocabularyThatCannotWriteTheFormIsNamed() {
    Tokenizer words =
        new Tokenizer() {
          private final List<String> tokens = List.of("yes", "y", "e", "s", "{", "}", "no");

          @Override
          public int[] encode(String text) {
            throw new UnsupportedOperationException();
          }

          @Override
          public String decode(int[] ids) {
            throw new UnsupportedOperationException();
          }

          @Override
          public int vocabSize() {
            return tokens.size();
          }

          @Override
          public java.util.OptionalInt id(String token) {
            throw new UnsupportedOperationException();
          }

          @Override
          public byte[] bytes(int id, boolean first) {
            return tokens.get(id).getBytes(java.nio.charset.StandardCharsets.UTF_8);
          }

          @Override
          public void close() {}
        };
    TokenTrie trie = TokenTrie.of(words, List.of());
    assertThatThrownBy(() -> Grammar.regex("no").over(trie))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "regular expression: expected a vocabulary with a token for each byte of the form,"
                + " found none for 0x6E ('n')");
    TokenConstraint.Cursor cursor = Grammar.regex("yes|no").over(trie).begin();
    assertThat(cursor.allowed().toString()).isEqualTo("{0, 1}");
    assertThat(Grammar.json().over(trie).begin().allowed().toString()).isEqualTo("{4}");
  }

  /** Random weights at a high temperature: whatever ends by itself is valid. */
  @Test
  @Tag("slow")
  void textsOfAModelOfRandomWeightsAreValidAndTheSameForASeed() {
    int size = TOKENIZER.vocabSize();
    ModelSpec spec = ModelSpec.neox(size, 16, 1, 2, 320).withVocabulary(Vocabulary.of(size, 0));
    Map<Integer, Double> bias = new HashMap<>(); // so that strings end
    for (int id = 0; id < size; id++) {
      byte[] bytes = TRIE.bytes(id, false);
      if (bytes.length > 0 && (bytes[0] == '"' || bytes[0] == '}' || bytes[0] == ']')) {
        bias.put(id, 3.0);
      }
    }
    int ended = 0;
    int requests = 0;
    try (PackedModel packed = PackedModel.of(new RandomWeights(spec, 3), Precision.STORED);
        Engine engine = new Engine(packed, Engine.Settings.of(packed, 2))) {
      Generator generator = new Generator(engine, TOKENIZER);
      for (Case each : Forms.cases()) {
        Judge judge = new Judge(each.schema());
        TokenConstraint constraint = Grammar.jsonSchema(each.schema()).over(TRIE);
        for (int seed = 0; seed < 3; seed++) {
          GenerationRequest request =
              GenerationRequest.builder(5, 6)
                  .maxTokens(300)
                  .sampler(Sampler.GREEDY.withTemperature(2).withSeed(seed).withLogitBias(bias))
                  .constraint(constraint)
                  .build();
          Completion first = generator.generate(request, Generator.Listener.NONE);
          FinishReason reason = first.generation().reason();
          requests++;
          if (reason == FinishReason.END_OF_TEXT || reason == FinishReason.CONSTRAINT) {
            ended++;
            assertThat(judge.faults(first.text())).as(each + " " + first.text()).isEmpty();
          }
          if (seed == 0) {
            Completion again = generator.generate(request, Generator.Listener.NONE);
            assertThat(again.generation().ids()).isEqualTo(first.generation().ids());
            // What is known of the form changes nothing.
            TokenConstraint fresh = Grammar.jsonSchema(each.schema()).over(TRIE);
            GenerationRequest other =
                GenerationRequest.builder(5, 6)
                    .maxTokens(300)
                    .sampler(request.sampler())
                    .constraint(fresh)
                    .build();
            assertThat(generator.generate(other, Generator.Listener.NONE).generation().ids())
                .isEqualTo(first.generation().ids());
          }
        }
      }
    }
    assertThat(ended).isGreaterThan(requests * 2 / 3);
  }
}
