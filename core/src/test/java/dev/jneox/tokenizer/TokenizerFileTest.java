package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tag;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files that are no tokenizer: one line says what is wrong, whatever is in them. */
class TokenizerFileTest {
  private static final String NEOX = TokenizerFiles.NEOX.toPrettyString();

  @Test
  void aFileCutShortAnywhereIsRefused() {
    for (int end = 0;
        end < NEOX.length() - 1;
        end += end < 4000 || end > NEOX.length() - 500 ? 37 : 997) {
      refused(NEOX.substring(0, end), "");
    }
  }

  /**
   * Characters put in or taken out: still a tokenizer by luck, and then the same one to both, or
   * refused in one line.
   */
  @Tag("slow")
  @Property(tries = 1000)
  void aDamagedFileLoadsOrIsRefused(
      @ForAll("places") int at,
      @ForAll @IntRange(max = 20) int removed,
      @ForAll("damage") String put) {
    String damaged =
        NEOX.substring(0, at) + put + NEOX.substring(Math.min(NEOX.length(), at + removed));
    TokenizerFiles.withFile(
        Utf8.wellFormed(damaged),
        path -> {
          try (Tokenizer tokenizer = Tokenizer.load(path);
              Tokenizer library = HfTokenizer.load(path)) {
            String text = "the words of GPT\n  🙂 <|endoftext|> <|padding|>  e\u0301    isn't";
            int[] ids = tokenizer.encode(text);
            assertThat(ids).isEqualTo(library.encode(text));
            assertThat(tokenizer.decode(ids)).isEqualTo(library.decode(ids));
          } catch (JneoxException e) {
            oneLine(path, e);
          }
        });
  }

  /** Most of the file is its vocabulary; what stands before and after deserves as much. */
  @Provide
  Arbitrary<Integer> places() {
    int model = NEOX.indexOf("\"model\"");
    return Arbitraries.oneOf(
        Arbitraries.integers().between(0, model + 300),
        Arbitraries.integers().between(0, NEOX.length()),
        Arbitraries.integers().between(NEOX.length() - 100, NEOX.length()));
  }

  @Provide
  Arbitrary<String> damage() {
    return Arbitraries.oneOf(
        Arbitraries.strings().withChars("{}[]\",:0123456789-.eE\\ntrufalse \u0000é").ofMaxLength(6),
        Arbitraries.of(
            "null",
            "[]",
            "{}",
            "\"\"",
            "-1",
            "4294967296",
            "2147483647",
            "1e999",
            "true",
            "\"\\ud800\""));
  }

  @Test
  void whatIsMissingOrOfAnotherKindIsNamed() {
    change("key model.vocab", file -> file.remove("model"));
    change("key model.vocab", file -> file.withObject("/model").put("vocab", 3));
    change("token Ġthe", file -> file.withObject("/model/vocab").put("Ġthe", "3"));
    change("token Ġthe", file -> file.withObject("/model/vocab").put("Ġthe", 1L << 40));
    change("token Ġthe", file -> file.withObject("/model/vocab").put("Ġthe", -1));
    // A table of all ids would take gigabytes.
    change("token Ġthe", file -> file.withObject("/model/vocab").put("Ġthe", 1_000_000_000));
    change("entry 0, content", file -> ((ObjectNode) file.at("/added_tokens/0")).remove("content"));
    change("entry 1, lstrip", file -> ((ObjectNode) file.at("/added_tokens/1")).put("lstrip", 1));
    change("key model.merges", file -> file.withArray("/model/merges").add("Ġthe qqqq"));
    change("key model.merges", file -> file.withArray("/model/merges").add("Ġthe"));
    change("key model.type", file -> file.withObject("/model").put("type", "Magic"));
    change("key decoder.type", file -> file.withObject("/decoder").put("type", "Magic"));
    refused("", "");
    refused("[]", "key model.vocab");
    refused("\"text\"", "key model.vocab");
    refused("{\"model_type\": \"gpt_neox\"}", "key model.vocab");
    refused(NEOX + "{", "line");
    refused("[".repeat(100_000), "nesting");
  }

  private static void change(String place, Consumer<ObjectNode> change) {
    refused(TokenizerFiles.change(TokenizerFiles.NEOX, change).toString(), place);
  }

  private static void refused(String json, String message) {
    TokenizerFiles.withFile(
        json,
        path -> {
          for (Consumer<Path> load :
              List.<Consumer<Path>>of(
                  Tokenizer::load, PipelineTokenizer::load, ByteLevelBpe::load)) {
            assertThatThrownBy(() -> load.accept(path))
                .isInstanceOfSatisfying(InputException.class, e -> oneLine(path, e));
          }
          assertThatThrownBy(() -> Tokenizer.load(path)).hasMessageContaining(message);
        });
  }

  private static void oneLine(Path path, JneoxException e) {
    assertThat(e.getMessage())
        .startsWith(path + ": ")
        .doesNotContain("\n", "\r")
        .hasSizeLessThan(600);
  }

  @Test
  void otherFilesAreRefused(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("tokenizer.json");
    assertThatThrownBy(() -> Tokenizer.load(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("no such file");
    assertThatThrownBy(() -> Tokenizer.load(folder))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(folder + ": expected a tokenizer.json, found a folder");
    Files.write(file, "{\"é\": 1}".getBytes(StandardCharsets.ISO_8859_1));
    assertThatThrownBy(() -> Tokenizer.load(file))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("UTF-8");
  }

  @Test
  void aTextThatTheVocabularyCannotWriteNamesTheFile() {
    ObjectNode words =
        TokenizerFiles.change(
            TokenizerFiles.PLAIN,
            file ->
                file.putObject("model")
                    .put("type", "WordLevel")
                    .put("unk_token", "?")
                    .putObject("vocab")
                    .put("<|endoftext|>", 0)
                    .put("<|padding|>", 1));
    TokenizerFiles.withFile(
        words.toString(),
        path -> {
          try (Tokenizer tokenizer = Tokenizer.load(path)) {
            assertThat(tokenizer.encode("<|padding|>")).containsExactly(1);
            assertThatThrownBy(() -> tokenizer.encode("word"))
                .isInstanceOfSatisfying(InputException.class, e -> oneLine(path, e));
          }
        });
  }
}
