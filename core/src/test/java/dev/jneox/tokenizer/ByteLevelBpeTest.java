package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import java.text.Normalizer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * The fast tokenizer against the library: both read the same file, so every id must be the same.
 */
@Tag("slow")
@net.jqwik.api.Tag("slow")
class ByteLevelBpeTest {
  /** Both tokenizers on one file. */
  private record Pair(ByteLevelBpe fast, HfTokenizer library) {
    static Pair of(ObjectNode json) {
      Pair[] pair = new Pair[1];
      TokenizerFiles.withFile(
          json.toString(),
          path -> pair[0] = new Pair(ByteLevelBpe.load(path), HfTokenizer.load(path)));
      return pair[0];
    }

    void agreeOn(String text) {
      int[] ids = fast.encode(text);
      assertThat(ids).isEqualTo(library.encode(text));
      assertThat(fast.decode(ids)).isEqualTo(library.decode(ids));
      assertThat(fast.leastIds(text.length())).isLessThanOrEqualTo(ids.length);
    }
  }

  private static final List<Pair> PAIRS = TokenizerFiles.ALL.stream().map(Pair::of).toList();
  private static final Pair PLAIN = PAIRS.get(0);
  private static final Pair NEOX = PAIRS.get(1);

  @Provide
  Arbitrary<String> texts() {
    return Texts.any();
  }

  @Provide
  Arbitrary<Pair> pairs() {
    return Arbitraries.of(PAIRS);
  }

  @Property(tries = 4000)
  void encodesAndDecodesAsTheLibraryDoes(@ForAll("pairs") Pair pair, @ForAll("texts") String text) {
    pair.agreeOn(text);
  }

  @Test
  void aTextThatIsFarTooLongIsKnownByItsLength() {
    assertThat(PLAIN.fast.leastIds(0)).isZero();
    assertThat(PLAIN.fast.leastIds(15_000_000)).isBetween(10_000L, 15_000_000L);
    String composed = "\u1F82"; // four code points are made one
    String text = Normalizer.normalize(composed, Normalizer.Form.NFD).repeat(3000);
    assertThat(NEOX.fast.leastIds(text.length())).isLessThan(NEOX.fast.encode(text).length);
  }

  @Property(tries = 1000)
  void decodesAnyIdsAsTheLibraryDoes(@ForAll("pairs") Pair pair, @ForAll List<Integer> numbers) {
    // A bit over the vocabulary: ids that are no token stand for nothing.
    int[] ids =
        numbers.stream().mapToInt(n -> Math.floorMod(n, pair.fast.vocabSize() + 20)).toArray();
    assertThat(pair.fast.decode(ids)).isEqualTo(pair.library.decode(ids));
  }

  @Property(tries = 1000)
  void withoutNormalizerEveryTextComesBack(@ForAll("texts") String text) {
    assertThat(PLAIN.fast.decode(PLAIN.fast.encode(text))).isEqualTo(Utf8.wellFormed(text));
  }

  @Test
  void agreesOnTheTextsOfTheParityCases() throws Exception {
    List<String> lines = TokenizerFiles.resource("texts.jsonl").lines().toList();
    assertThat(lines).hasSize(179);
    for (String line : lines) {
      String text = TokenizerFiles.JSON.readTree(line).get("text").textValue();
      PAIRS.forEach(pair -> pair.agreeOn(text));
    }
  }

  @Test
  void putsEveryCodePointInTheLibrarysClass() {
    // "a" joins a letter, "1" a number, "!" all else but white space, which stays alone.
    for (int from = 0; from <= Character.MAX_CODE_POINT; from += 4096) {
      StringBuilder text = new StringBuilder();
      for (int c = from; c < from + 4096; c++) {
        // Unassigned and private planes are sampled: they hold nothing but gaps.
        if (c < 0x32000 || c >= 0xE0000 && c < 0xE1000 || c % 64 == 0) {
          text.append('a').appendCodePoint(c).append("1");
        }
      }
      PLAIN.agreeOn(text.toString());
    }
  }

  @Test
  void normalizesEveryCodePointAsTheLibraryDoes() {
    for (int from = 1; from < 0x32000; from += 4096) {
      StringBuilder text = new StringBuilder();
      for (int c = from; c < from + 4096; c++) {
        // Among marks of two other combining classes, and taken apart: its reordering and its
        // composition.
        String character = Character.toString(c);
        text.append("q\u0345").append(character).append("\u0334 ");
        text.append(Normalizer.normalize(character, Normalizer.Form.NFD))
            .append('q')
            .append(character)
            .append('\n');
      }
      NEOX.agreeOn(text.toString());
    }
  }

  @Test
  void readsAHalfOfASurrogatePairAsTheReplacementCharacter() {
    for (Pair pair : PAIRS) {
      assertThat(pair.fast.encode("a\uD83Db\uDE42\uD83D"))
          .isEqualTo(pair.fast.encode("a\uFFFDb\uFFFD\uFFFD"));
      assertThat(pair.fast.encode("\uD83D\uDE42")).isEqualTo(pair.fast.encode("🙂"));
    }
  }

  @Test
  void longWordsTakeTimeInProportion() {
    for (String unit : List.of("a", " ", "\n", "é", "世", "-", "ab", "<|", "x1", "'s", "e\u0301")) {
      String text = unit.repeat(250_000 / unit.length());
      assertTimeoutPreemptively(
          Duration.ofSeconds(5), () -> PAIRS.forEach(pair -> pair.fast.encode(text)));
      String part = text.substring(0, 5_000);
      PAIRS.forEach(pair -> pair.agreeOn(part));
    }
  }

  @Test
  void remainsRightWhenMoreWordsAreMetThanTheCacheHolds() {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 200_000; i++) {
      text.append(" w")
          .append(
              Integer.toString(i, 7)
                  .replace('0', 'a')
                  .replace('1', 'e')
                  .replace('2', 't')
                  .replace('3', 'i')
                  .replace('4', 'o')
                  .replace('5', 'n')
                  .replace('6', 'r'));
      if (i % 7 == 0) {
        text.append("IllegalStateExceptionNumber");
        text.append((char) ('a' + i % 26))
            .append((char) ('a' + i / 26 % 26))
            .append((char) ('a' + i / 676 % 26));
      }
    }
    int[] first = PLAIN.fast.encode(text.toString());
    assertThat(PLAIN.fast.encode(text.toString())).isEqualTo(first);
    assertThat(first).isEqualTo(PLAIN.library.encode(text.toString()));
  }

  @Test
  void severalThreadsGetWhatOneGets() {
    List<String> texts = new ArrayList<>(TokenizerFiles.resource("texts.jsonl").lines().toList());
    texts.add(TokenizerFiles.resource("sample.txt"));
    List<int[]> alone = texts.stream().map(NEOX.library::encode).toList();
    IntStream.range(0, 40 * texts.size())
        .parallel()
        .forEach(
            i ->
                assertThat(NEOX.fast.encode(texts.get(i % texts.size())))
                    .isEqualTo(alone.get(i % texts.size())));
  }

  @Test
  void knowsTokensByTheirWrittenForm() {
    assertThat(NEOX.fast.id("<|endoftext|>")).hasValue(0);
    assertThat(NEOX.fast.id("<|padding|>")).hasValue(1);
    assertThat(NEOX.fast.id("Ġthe")).isPresent();
    assertThat(NEOX.fast.id("  ")).hasValue(NEOX.fast.vocabSize() - 1);
    assertThat(NEOX.fast.id("no such token")).isEmpty();
    assertThat(NEOX.fast.vocabSize()).isEqualTo(PLAIN.fast.vocabSize() + 23);
  }

  @Test
  void spellsADocumentsEndAsOneToken() {
    assertThat(NEOX.fast.encode("<|endoftext|>")).containsExactly(0);
    assertThat(NEOX.fast.encode("")).isEmpty();
    assertThat(
            Arrays.stream(NEOX.fast.encode(" ".repeat(50)))
                .mapToObj(id -> NEOX.fast.decode(new int[] {id}).length()))
        .containsExactly(24, 24, 2);
  }

  @Test
  void knowsFilesWithoutATypeOfModel() {
    Pair pair =
        Pair.of(
            TokenizerFiles.change(
                TokenizerFiles.PLAIN, file -> file.withObject("/model").remove("type")));
    pair.agreeOn("the words of the café  <|endoftext|>");
  }

  @Test
  void leavesFilesItDoesNotKnowToThePipeline() {
    List<ObjectNode> others =
        List.of(
            TokenizerFiles.change(
                TokenizerFiles.PLAIN,
                file -> file.putObject("normalizer").put("type", "Lowercase")),
            TokenizerFiles.change(
                TokenizerFiles.PLAIN, file -> file.withObject("/model").put("ignore_merges", true)),
            TokenizerFiles.change(
                TokenizerFiles.PLAIN,
                file -> file.putObject("pre_tokenizer").put("type", "Whitespace")),
            // The library counts ids itself, whatever is written beside an added token.
            TokenizerFiles.change(
                TokenizerFiles.PLAIN,
                file -> {
                  TokenizerFiles.add(file, "<gap>", false, false, false, false);
                  ((ObjectNode) file.at("/added_tokens/2")).put("id", 5000);
                }));
    for (ObjectNode other : others) {
      TokenizerFiles.withFile(
          other.toString(),
          path -> {
            assertThatThrownBy(() -> ByteLevelBpe.load(path))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("" + path);
            try (Tokenizer tokenizer = Tokenizer.load(path)) {
              assertThat(tokenizer).isInstanceOf(PipelineTokenizer.class);
              assertThat(tokenizer.encode("The word")).isNotEmpty();
            }
          });
    }
    TokenizerFiles.withFile(
        TokenizerFiles.NEOX.toString(),
        path -> assertThat(Tokenizer.load(path)).isInstanceOf(ByteLevelBpe.class));
  }
}
