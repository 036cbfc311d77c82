package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class StreamingDecoderTest {
  private static final Tokenizer BPE = load(TokenizerFiles.NEOX);
  private static final Tokenizer PIPELINE = PipelineTokenizer.of(file(TokenizerFiles.NEOX));

  /** A decoder that drops the space of a text's first word, as SentencePiece models have it. */
  private static final Tokenizer METASPACE =
      PipelineTokenizer.of(
          file(
              TokenizerFiles.change(
                  TokenizerFiles.PLAIN,
                  file -> {
                    for (String part : List.of("pre_tokenizer", "decoder")) {
                      file.putObject(part)
                          .put("type", "Metaspace")
                          .put("replacement", "▁")
                          .put("prepend_scheme", "always")
                          .put("split", true);
                    }
                    file.putObject("model")
                        .put("type", "WordLevel")
                        .put("unk_token", "?")
                        .putObject("vocab")
                        .put("?", 0)
                        .put("▁to", 1)
                        .put("▁be", 2)
                        .put("▁or", 3)
                        .put("▁not", 4)
                        .put("<|endoftext|>", 5)
                        .put("<|padding|>", 6);
                  })));

  private static TokenizerFile file(ObjectNode json) {
    TokenizerFile[] file = new TokenizerFile[1];
    TokenizerFiles.withFile(json.toString(), path -> file[0] = TokenizerFile.read(path));
    return file[0];
  }

  private static Tokenizer load(ObjectNode json) {
    return ByteLevelBpe.of(file(json)).orElseThrow();
  }

  private static List<String> stream(Tokenizer tokenizer, int[] ids) {
    StreamingDecoder decoder = new StreamingDecoder(tokenizer);
    List<String> pieces = new ArrayList<>();
    for (int id : ids) {
      pieces.add(decoder.next(id));
    }
    pieces.add(decoder.finish());
    return pieces;
  }

  @Provide
  Arbitrary<String> texts() {
    return Texts.any();
  }

  /**
   * Ids of single bytes are as likely as all others together, so that broken characters are
   * frequent.
   */
  @Provide
  Arbitrary<int[]> ids() {
    return Arbitraries.oneOf(
            Arbitraries.integers().between(0, 257),
            Arbitraries.integers().between(0, BPE.vocabSize() + 3))
        .array(int[].class)
        .ofMaxSize(40);
  }

  @Property(tries = 2000)
  void whatIsStreamedIsWhatIsDecoded(@ForAll("ids") int[] ids) {
    assertThat(String.join("", stream(BPE, ids))).isEqualTo(BPE.decode(ids));
    assertThat(String.join("", stream(PIPELINE, ids))).isEqualTo(BPE.decode(ids));
  }

  @Property(tries = 1000)
  void charactersAreNeverSplit(@ForAll("texts") String text) {
    String whole = Utf8.wellFormed(text).replace('\uFFFD', ' ');
    for (String piece : stream(BPE, BPE.encode(whole))) {
      assertThat(piece).doesNotContain("\uFFFD").isEqualTo(Utf8.wellFormed(piece));
    }
  }

  @Property(tries = 200)
  void decodersThatLookAtTheFirstTokenAreStreamedRight(@ForAll("words") int[] ids) {
    assertThat(String.join("", stream(METASPACE, ids))).isEqualTo(METASPACE.decode(ids));
  }

  @Provide
  Arbitrary<int[]> words() {
    return Arbitraries.integers().between(0, 4).array(int[].class).ofMaxSize(10);
  }

  @Test
  void textIsGivenAsSoonAsItIsWhole() {
    int[] ids = BPE.encode("a🤖b");
    List<String> pieces = stream(BPE, ids);
    assertThat(ids).hasSizeGreaterThan(4);
    assertThat(pieces.getFirst()).isEqualTo("a");
    assertThat(pieces.get(pieces.size() - 3)).isEqualTo("🤖");
    assertThat(pieces.get(pieces.size() - 2)).isEqualTo("b");
    assertThat(pieces.getLast()).isEmpty();
  }

  @Test
  void finishGivesWhatWasHeldBackAndStartsAnew() {
    StreamingDecoder decoder = new StreamingDecoder(BPE);
    int[] robot = BPE.encode("🤖");
    assertThat(decoder.next(robot[0])).isEmpty();
    assertThat(decoder.finish()).isEqualTo("\uFFFD");
    assertThat(decoder.next(BPE.encode("x")[0])).isEqualTo("x");
    assertThat(decoder.finish()).isEmpty();
  }
}
