package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BpeTrainerTest {
  private static final String SAMPLE = TokenizerFiles.resource("sample.txt");

  private static TrainedBpe train(int vocabSize, Iterator<String> texts) {
    BpeTrainer trainer = new BpeTrainer(vocabSize);
    trainer.count(texts);
    return trainer.train(merges -> {});
  }

  private static TrainedBpe train(int vocabSize, String... texts) {
    return train(vocabSize, List.of(texts).iterator());
  }

  @Provide
  Arbitrary<String> texts() {
    return Texts.any();
  }

  @Test
  void learnsTheMergesThatTheHuggingFaceTrainerLearns() {
    // Written by tokenizers 0.23.2: BpeTrainer(min_frequency=2,
    // initial_alphabet=ByteLevel.alphabet()) on the same text.
    List<String> expected = TokenizerFiles.resource("sample-merges.txt").lines().toList();
    assertThat(train(800, SAMPLE).merges()).isEqualTo(expected);
    assertThat(train(400, SAMPLE).merges()).isEqualTo(expected.subList(0, 400 - 258));
  }

  @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
  void everyTextComesBackByteForByte(
      @ForAll("texts") String training, @ForAll("texts") String text) {
    TokenizerFiles.withFile(
        train(300, training).json(),
        path -> {
          try (Tokenizer fast = Tokenizer.load(path);
              Tokenizer library = HfTokenizer.load(path)) {
            assertThat(fast).isInstanceOf(ByteLevelBpe.class);
            assertThat(fast.decode(fast.encode(text))).isEqualTo(Utf8.wellFormed(text));
            assertThat(library.encode(text)).isEqualTo(fast.encode(text));
            assertThat(library.decode(fast.encode(text))).isEqualTo(Utf8.wellFormed(text));
          }
        });
  }

  @Test
  void theOrderOfTheTextsAndTheThreadsDoNotMatter() {
    List<String> texts = new ArrayList<>(TokenizerFiles.resource("texts.jsonl").lines().toList());
    for (int i = 0; i < 200; i++) {
      texts.add(SAMPLE.substring(i, SAMPLE.length() - i) + i);
    }
    String first = train(1000, texts.iterator()).json();
    for (int seed = 0; seed < 3; seed++) {
      Collections.shuffle(texts, new Random(seed));
      assertThat(train(1000, texts.iterator()).json()).isEqualTo(first);
    }
  }

  @Test
  void equalCountsAreDecidedByTheLowestIds() {
    // "cd", "ab", "ba" and "xy" twice each, as words of their own
    assertThat(train(262, "cd\ncd\nab\nab\nba\nba\nxy\nxy").merges())
        .containsExactly("a b", "b a", "c d", "x y");
    assertThat(train(259, "cd\ncd\nab\nab").merges()).containsExactly("a b");
  }

  @Test
  void theVocabularySizeCountsEverything() {
    TrainedBpe trained = train(300, SAMPLE);
    assertThat(trained.vocab().keySet())
        .hasSize(300)
        .startsWith("<|endoftext|>", "<|padding|>", "!", "\"");
    assertThat(trained.vocab().values())
        .containsExactlyElementsOf(IntStream.range(0, 300).boxed().toList());
    assertThat(trained.merges()).hasSize(300 - 258);
  }

  @Test
  void stopsWhenNoPairOccursTwice() {
    TrainedBpe trained = train(1000, "abc abc");
    assertThat(trained.merges()).containsExactly("a b", "ab c");
    assertThat(train(1000).vocab()).hasSize(258);
  }

  @Test
  void countsWhatItSawAndHowManyTokensThatMakes() {
    BpeTrainer trainer = new BpeTrainer(500);
    trainer.count(List.of(SAMPLE).iterator());
    trainer.count(List.of("héllo", "").iterator());
    AtomicLong merges = new AtomicLong();
    TrainedBpe trained = trainer.train(merges::addAndGet);
    assertThat(merges).hasValue(trained.merges().size());
    assertThat(trained.documents()).isEqualTo(3);
    assertThat(trained.bytes()).isEqualTo(SAMPLE.getBytes(StandardCharsets.UTF_8).length + 6);
    TokenizerFiles.withFile(
        trained.json(),
        path -> {
          Tokenizer tokenizer = Tokenizer.load(path);
          assertThat(trained.tokens())
              .isEqualTo(tokenizer.encode(SAMPLE).length + tokenizer.encode("héllo").length);
        });
  }

  @Test
  void aWordOfAMegabyteIsNoTrouble() {
    TrainedBpe trained =
        train(
            300,
            "a".repeat(1 << 20),
            new Random(1)
                .ints(1 << 18, 'a', 'z')
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString());
    assertThat(trained.merges()).startsWith("a a", "aa aa").hasSize(42);
  }

  @Test
  void aSourceThatFailsEndsTheCounting() {
    Iterator<String> failing =
        new Iterator<>() {
          private int left = 5000;

          @Override
          public boolean hasNext() {
            return true;
          }

          @Override
          public String next() {
            if (left-- == 0) {
              throw new InputException("corpus.jsonl: line 5001: expected a JSON object, found x");
            }
            return SAMPLE;
          }
        };
    BpeTrainer trainer = new BpeTrainer(300);
    assertThatThrownBy(() -> trainer.count(failing))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("line 5001");
  }

  @Test
  void aVocabularyWithoutRoomForTheBytesIsRefused() {
    assertThatThrownBy(() -> new BpeTrainer(257))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("258", "257");
  }

  @Test
  void writesAFileThatLoads(@TempDir Path folder) {
    Path file = folder.resolve("new/tokenizer.json");
    train(300, SAMPLE).write(file);
    assertThat(Files.exists(file)).isTrue();
    assertThat(Tokenizer.load(file).vocabSize()).isEqualTo(300);
  }
}
