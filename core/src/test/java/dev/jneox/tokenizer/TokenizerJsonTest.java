package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** GPT-2's {@code vocab.json} and {@code merges.txt} against the {@code tokenizer.json} of them. */
class TokenizerJsonTest {
  private static final String TEXT =
      "the words of the text, its words: don't they'll 12 1234  \n\n <|endoftext|> <|padding|> ä 世";

  @TempDir Path dir;

  private TrainedBpe write(String vocabulary, String merges, String firstLine) throws IOException {
    BpeTrainer trainer = new BpeTrainer(290);
    trainer.count(List.of(TEXT.repeat(3)).iterator());
    TrainedBpe trained = trainer.train(done -> {});
    Files.write(dir.resolve(vocabulary), new ObjectMapper().writeValueAsBytes(trained.vocab()));
    Files.writeString(dir.resolve(merges), firstLine + String.join("\n", trained.merges()) + "\n");
    return trained;
  }

  @Test
  void aFolderIsNoTokenizerAndItsOwnIsNamed() throws IOException {
    Path folder = Files.createDirectory(dir.resolve("model"));
    assertThatThrownBy(() -> TokenizerJson.read(folder))
        .isInstanceOf(InputException.class)
        .hasMessage(folder + ": expected a tokenizer.json, found a folder");
    Path file = Files.writeString(folder.resolve("tokenizer.json"), "{}");
    assertThatThrownBy(() -> TokenizerJson.read(folder))
        .isInstanceOf(InputException.class)
        .hasMessage(
            folder + ": expected a tokenizer.json, found a folder: did you mean " + file + "?");
  }

  @Test
  void theFilesOfGpt2MakeTheSameTokenizer() throws IOException {
    TrainedBpe trained = write("vocab.json", "merges.txt", "#version: 0.2\n");
    trained.write(dir.resolve("whole.json"));
    try (Tokenizer built = Tokenizer.load(dir.resolve("vocab.json"));
        Tokenizer whole = Tokenizer.load(dir.resolve("whole.json"));
        PipelineTokenizer general = PipelineTokenizer.load(dir.resolve("vocab.json"))) {
      assertThat(built).isInstanceOf(ByteLevelBpe.class);
      String text = TEXT.replace("<|padding|>", ""); // which only the other knows as a token
      assertThat(built.encode(text)).isEqualTo(whole.encode(text)).contains(0);
      assertThat(general.encode(TEXT)).isEqualTo(built.encode(TEXT)).doesNotContain(1);
      assertThat(built.decode(built.encode(TEXT))).isEqualTo(TEXT);
    }
    assertThat(TokenizerJson.read(dir.resolve("whole.json")))
        .isEqualTo(Files.readString(dir.resolve("whole.json")));
  }

  @Test
  void mergesHaveTheVocabularysPrefixOrAreGiven() throws IOException {
    write("gpt2-vocab.json", "gpt2-merges.txt", "");
    Path vocabulary = dir.resolve("gpt2-vocab.json");
    String beside = TokenizerJson.read(vocabulary);
    Path elsewhere = Files.createDirectory(dir.resolve("x")).resolve("rules");
    Files.move(dir.resolve("gpt2-merges.txt"), elsewhere);
    assertThat(TokenizerJson.read(vocabulary, Optional.of(elsewhere))).isEqualTo(beside);
    assertThatThrownBy(() -> TokenizerJson.read(vocabulary))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "%s: content: expected a tokenizer.json, or the tokens of GPT-2 with their merges in"
                    .formatted(vocabulary)
                + " %s, found tokens alone".formatted(dir.resolve("gpt2-merges.txt")));
    Path other = Files.move(vocabulary, dir.resolve("tokens.json"));
    assertThatThrownBy(() -> Tokenizer.load(other))
        .hasMessageEndingWith("with their merges in merges.txt, found tokens alone");
  }

  @Test
  void anOldFolderOfGpt2HasATokenizer() throws IOException {
    write("vocab.json", "merges.txt", "#version: 0.2\n");
    Files.writeString(dir.resolve("config.json"), "{\"model_type\": \"gpt2\"}");
    assertThat(HfFolder.spec(dir).vocabulary().used()).isEqualTo(290);
    Files.writeString(dir.resolve("added_tokens.json"), "{\"<|extratoken_1|>\": 290}");
    assertThat(HfFolder.spec(dir).vocabulary().used()).isEqualTo(291);
    try (Tokenizer tokenizer = Tokenizer.load(TokenizerJson.in(dir).orElseThrow())) {
      assertThat(tokenizer.encode("<|extratoken_1|>")).containsExactly(290);
    }
    Files.delete(dir.resolve("merges.txt"));
    assertThat(TokenizerJson.in(dir)).isEmpty();
  }

  @Test
  void brokenFilesAreNamed() throws IOException {
    write("vocab.json", "merges.txt", "#version: 0.2\n");
    Files.writeString(dir.resolve("merges.txt"), "#version: 0.2\na b c\n");
    refused("key model.merges, entry 0");
    Files.writeString(dir.resolve("merges.txt"), "q zz\n");
    refused("zz");
    Files.writeString(dir.resolve("vocab.json"), "{\"a\": 1, \"b\": ");
    refused("not valid JSON");
    Files.writeString(dir.resolve("vocab.json"), "{\"a\": 1, \"b\": 1.5}");
    refused("token b");
  }

  private void refused(String named) {
    assertThatThrownBy(() -> Tokenizer.load(dir.resolve("vocab.json")).close())
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(dir.resolve("vocab.json").toString())
        .hasMessageContaining(named);
  }
}
