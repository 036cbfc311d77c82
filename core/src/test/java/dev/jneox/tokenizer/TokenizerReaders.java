package dev.jneox.tokenizer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.format.hf.TokenizerIds;
import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Readers of tokenizers and texts, for fuzzing. */
public final class TokenizerReaders {
  private static final String TEXT =
      "The theory, l'été: don't  <|endoftext|> 12345\r\n\t Ünï 世界 e\u0301 \uD83D\uDE00 [MASK]▁x ";

  private static final List<Tokenizer> KINDS = new ArrayList<>();

  private TokenizerReaders() {}

  /** A tokenizer of 300 tokens. */
  public static String trained() {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("the theory of the other things that the weather gathers").iterator());
    return trainer.train(merges -> {}).json();
  }

  private static List<ObjectNode> all() {
    List<ObjectNode> all = new ArrayList<>(TokenizerFiles.ALL);
    all.addAll(Pipelines.published().values());
    return all;
  }

  private static void use(Tokenizer tokenizer, String text) {
    int[] ids = tokenizer.encode(text);
    tokenizer.decode(ids);
    StreamingDecoder stream = new StreamingDecoder(tokenizer);
    for (int id : ids) {
      stream.next(id);
    }
    stream.finish();
  }

  /** Every kind of tokenizer.json: models, normalizers, splits, decoders, added tokens. */
  public static Reader files() {
    return Reader.ofFile(
        "tokenizer",
        "tokenizer.json",
        path -> {
          try (Tokenizer tokenizer = Tokenizer.load(path)) {
            use(tokenizer, TEXT);
            tokenizer.decode(new int[] {0, 1, 5, -1, tokenizer.vocabSize(), Integer.MAX_VALUE});
          }
          try (Tokenizer tokenizer = PipelineTokenizer.load(path)) {
            tokenizer.decode(tokenizer.encode(TEXT));
          }
        },
        () -> all().stream().map(file -> Input.of("tokenizer.json", file.toString())).toList());
  }

  /** What a model asks of its tokenizer. */
  public static Reader ids() {
    return Reader.ofFile(
        "tokenizer-ids",
        "tokenizer.json",
        path -> {
          TokenizerIds.size(path);
          TokenizerIds.id(path, "<|endoftext|>");
        },
        () -> List.of(Input.of("tokenizer.json", TokenizerFiles.ADDED.toString())));
  }

  /** The two files of GPT-2, and the tokens beside them. */
  public static Reader gpt2Files() {
    return Reader.ofFile(
        "tokenizer-gpt2",
        "vocab.json",
        path -> {
          try (Tokenizer tokenizer = Tokenizer.load(path)) {
            use(tokenizer, TEXT);
          }
        },
        () -> {
          StringBuilder merges = new StringBuilder("#version: 0.2\n");
          TokenizerFiles.PLAIN
              .at("/model/merges")
              .forEach(
                  rule ->
                      merges
                          .append(
                              rule.isTextual()
                                  ? rule.textValue()
                                  : rule.get(0).textValue() + " " + rule.get(1).textValue())
                          .append('\n'));
          return List.of(
              new Input(
                  Map.of(
                      "vocab.json",
                      TokenizerFiles.PLAIN
                          .at("/model/vocab")
                          .toString()
                          .getBytes(StandardCharsets.UTF_8),
                      "merges.txt",
                      merges.toString().getBytes(StandardCharsets.UTF_8),
                      "added_tokens.json",
                      "{\"<w>\": 900, \"<x>\": 901}".getBytes(StandardCharsets.UTF_8))));
        });
  }

  /** Any text by every kind of tokenizer; what bytes are no UTF-8 give lone surrogates. */
  public static Reader texts() {
    return Reader.ofFile(
        "text",
        "text.txt",
        path -> {
          byte[] bytes = Files.readAllBytes(path);
          String text = new String(bytes, StandardCharsets.UTF_8);
          text = bytes.length % 2 == 0 ? text : text.replace('\uFFFD', '\uD83D');
          // One of the kinds, which follows from the text.
          use(kinds().get(Math.floorMod(text.hashCode(), kinds().size())), text);
        },
        () -> List.of(Input.of("text.txt", TEXT), Input.of("text.txt", "a b")));
  }

  private static List<Tokenizer> kinds() {
    if (KINDS.isEmpty()) {
      for (ObjectNode file : all()) {
        KINDS.add(Tokenizer.parse(file.toString(), Path.of("text.txt")));
      }
    }
    return KINDS;
  }
}
