package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Holds the bytes of single tokens against the text of many. */
class TokenBytesTest {
  private static final Path FILE = Path.of("tokenizer.json");

  private static Map<String, ObjectNode> kinds() {
    Map<String, ObjectNode> kinds = new TreeMap<>(Pipelines.published());
    for (int i = 0; i < TokenizerFiles.ALL.size(); i++) {
      kinds.put("byte-level " + i, TokenizerFiles.ALL.get(i));
    }
    Random random = new Random(4);
    while (kinds.size() < 150) {
      ObjectNode file = Pipelines.random(random);
      try (Tokenizer _ = Tokenizer.parse(file.toString(), FILE)) {
        kinds.put("random " + kinds.size(), file);
      } catch (InputException e) {
        assertThat(e).hasMessageContaining("added_tokens"); // of which normalizing leaves nothing
      }
    }
    return kinds;
  }

  /** Returns the bytes of all ids in turn. */
  private static byte[] bytes(Tokenizer tokenizer, List<Integer> ids) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int i = 0; i < ids.size(); i++) {
      bytes.writeBytes(tokenizer.bytes(ids.get(i), i == 0));
    }
    return bytes.toByteArray();
  }

  @Tag("slow")
  @Test
  void theBytesOfTokensAreThoseOfTheirText() {
    Random random = new Random(5);
    int compared = 0;
    List<String> refused = new ArrayList<>();
    for (Map.Entry<String, ObjectNode> kind : kinds().entrySet()) {
      try (Tokenizer tokenizer = Tokenizer.parse(kind.getValue().toString(), FILE)) {
        List<Integer> first = new ArrayList<>();
        List<Integer> later = new ArrayList<>();
        try {
          for (int id = 0; id < tokenizer.vocabSize(); id++) {
            if (tokenizer.bytes(id, true).length > 0) {
              first.add(id);
            }
            if (tokenizer.bytes(id, false).length > 0) {
              later.add(id);
            }
          }
        } catch (InputException e) {
          assertThat(e).hasMessageContaining("key decoder: expected one by which each token adds");
          refused.add(kind.getKey());
          continue;
        }
        for (int n = 0; n < 60 && !first.isEmpty() && !later.isEmpty(); n++) {
          List<Integer> ids = new ArrayList<>();
          ids.add(first.get(random.nextInt(first.size())));
          for (int i = random.nextInt(8); i > 0; i--) {
            ids.add(later.get(random.nextInt(later.size())));
          }
          byte[] bytes = bytes(tokenizer, ids);
          if (Utf8.isWellFormed(bytes)) {
            compared++;
            assertThat(tokenizer.decode(ids.stream().mapToInt(Integer::intValue).toArray()))
                .as(kind.getKey() + " " + ids)
                .isEqualTo(new String(bytes, StandardCharsets.UTF_8));
          }
        }
      }
    }
    assertThat(compared).isGreaterThan(3000);
    assertThat(refused).noneMatch(name -> name.startsWith("byte-level"));
    assertThat(refused).hasSizeLessThan(kinds().size() / 2);
  }

  @Test
  void addedTokensAndIdsWithoutATokenAddNothing() {
    for (ObjectNode file : TokenizerFiles.ALL) {
      Tokenizer fast = Tokenizer.parse(file.toString(), FILE);
      Tokenizer pipeline = PipelineTokenizer.of(TokenizerFile.of(FILE, file.toString()));
      for (Tokenizer tokenizer : List.of(fast, pipeline)) {
        int end = tokenizer.id("<|endoftext|>").getAsInt();
        assertThat(tokenizer.bytes(end, false)).isEmpty();
        assertThat(tokenizer.bytes(tokenizer.vocabSize(), false)).isEmpty();
        assertThat(tokenizer.bytes(-1, true)).isEmpty();
      }
      for (int id = 0; id < fast.vocabSize(); id++) {
        assertThat(pipeline.bytes(id, false)).isEqualTo(fast.bytes(id, false));
      }
    }
  }

  @Test
  void aDecoderThatLooksAtOtherTokensIsNamed() {
    ObjectNode file =
        TokenizerFiles.change(
            TokenizerFiles.PLAIN,
            changed ->
                changed.putObject("decoder").put("type", "BPEDecoder").put("suffix", "</w>"));
    Tokenizer tokenizer = Tokenizer.parse(file.toString(), FILE);
    assertThatThrownBy(() -> tokenizer.bytes(5, true))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "tokenizer.json: key decoder: expected one by which each token adds a text of its own,"
                + " found WordEnds");
  }
}
