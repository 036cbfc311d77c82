package dev.jneox.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.gguf.GgufFile;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.format.torch.TorchFile;
import dev.jneox.io.InputException;
import dev.jneox.io.Placeholder;
import dev.jneox.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Git LFS pointers and web pages in place of the files of a model. */
class PlaceholderTest {
  private static final String POINTER =
      "version https://git-lfs.github.com/spec/v1\noid sha256:4665f0d2a2a7\nsize 35742000\n";

  @TempDir Path dir;

  @ParameterizedTest
  @ValueSource(
      strings = {
        POINTER,
        "<!DOCTYPE html>\n<html class=\"\">\n",
        "\n <html><body>Entry not found</body></html>",
        "\uFEFF<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
      })
  void whatLiesInPlaceOfAFileIsTold(String content) throws IOException {
    Map<String, Consumer<Path>> readers =
        Map.of(
            "m.gguf", file -> GgufFile.open(file).close(),
            "model.safetensors", file -> Safetensors.open(file).close(),
            "pytorch_model.bin", file -> TorchFile.open(file).close(),
            "tokenizer.json", file -> Tokenizer.load(file).close(),
            "config.json", file -> HfFolder.spec(dir));
    String told =
        content.equals(POINTER)
            ? "a Git LFS pointer; fetch the file itself with git lfs pull"
            : "a web page; fetch the file itself";
    readers.forEach(
        (name, reader) -> {
          Path file = write(name, content);
          assertThatThrownBy(() -> reader.accept(file))
              .as(name)
              .isInstanceOf(InputException.class)
              .hasMessageStartingWith(file.toString())
              .hasMessageContaining(told)
              .message()
              .hasLineCount(1);
        });
    // The tokenizer beside a model, and the index of its shards.
    write("config.json", "{\"model_type\":\"gpt_neox\"}");
    assertThatThrownBy(() -> HfFolder.spec(dir)).hasMessageContainingAll("tokenizer.json", told);
    Files.delete(dir.resolve("tokenizer.json"));
    Files.delete(dir.resolve("model.safetensors"));
    write("model.safetensors.index.json", content);
    assertThatThrownBy(() -> HfFolder.open(dir).close())
        .hasMessageContainingAll("model.safetensors.index.json", told);
  }

  private Path write(String name, String content) {
    try {
      return Files.writeString(dir.resolve(name), content);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void otherContentIsNotTaken() {
    assertThat(Placeholder.hint("version 2")).isEmpty();
    assertThat(Placeholder.hint("< 3")).isEmpty();
    assertThat(Placeholder.hint("")).isEmpty();
    assertThat(Placeholder.hint(dir)).isEmpty();
    assertThat(Placeholder.hint(dir.resolve("none"))).isEmpty();
  }
}
