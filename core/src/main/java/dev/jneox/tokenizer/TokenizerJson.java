package dev.jneox.tokenizer;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Reads the text of a {@code tokenizer.json}, or builds it from the two files of GPT-2: a {@code
 * vocab.json} of tokens with their ids and a {@code merges.txt} of rules, as GPT-NeoX's {@code
 * GPT2BPETokenizer} takes them.
 *
 * <p>The built tokenizer is that of HF transformers for these files: byte-level BPE without a
 * normalizer, {@code <|endoftext|>} as a special token, and the tokens of an {@code
 * added_tokens.json} beside them.
 */
public final class TokenizerJson {
  private static final String VOCABULARY = "vocab.json";
  private static final String MERGES = "merges.txt";
  private static final String ADDED = "added_tokens.json";

  private TokenizerJson() {}

  /** Finds the tokenizer of a folder: its {@code tokenizer.json}, else GPT-2's two files. */
  public static Optional<Path> in(Path folder) {
    Path whole = folder.resolve("tokenizer.json");
    if (Files.exists(whole)) {
      return Optional.of(whole);
    }
    return Optional.of(folder.resolve(VOCABULARY))
        .filter(file -> Files.exists(file) && Files.exists(folder.resolve(MERGES)));
  }

  /**
   * Reads a {@code tokenizer.json}, or a vocabulary of GPT-2 with the merges beside it: {@code
   * merges.txt} for {@code vocab.json}, {@code gpt2-merges.txt} for {@code gpt2-vocab.json}.
   *
   * @throws InputException when the file is missing or not text, or has no merges
   */
  public static String read(Path file) {
    return read(file, Optional.empty());
  }

  /** Does the same with the merges of a given file, if there is one and the other needs it. */
  public static String read(Path file, Optional<Path> merges) {
    String json = text(file, "a tokenizer.json");
    if (!isVocabulary(json)) {
      return json;
    }
    Path rules = merges.orElseGet(() -> merges(file));
    if (rules.equals(file) || !Files.exists(rules)) {
      throw InputException.in(
          file,
          "content",
          "a tokenizer.json, or the tokens of GPT-2 with their merges in "
              + (rules.equals(file) ? MERGES : rules),
          "tokens alone");
    }
    return build(file, json, rules);
  }

  private static Path merges(Path vocabulary) {
    String name = vocabulary.getFileName().toString();
    return vocabulary.resolveSibling(name.replaceFirst("vocab[.]json$", MERGES));
  }

  /** Returns whether the merges of a vocabulary lie beside it. */
  public static boolean hasMerges(Path vocabulary) {
    return Files.exists(merges(vocabulary)) && !merges(vocabulary).equals(vocabulary);
  }

  private static String text(Path path, String expected) {
    if (Files.isDirectory(path)) {
      String found =
          in(path).map(file -> "a folder: did you mean " + file + "?").orElse("a folder");
      throw new InputException(path + ": expected " + expected + ", found " + found);
    }
    try {
      return InputFile.text(path, InputFile.MAX_TOKENIZER);
    } catch (NoSuchFileException e) {
      throw new InputException(path + ": expected " + expected + ", found no such file", e);
    } catch (CharacterCodingException e) {
      throw new InputException(path + ": expected " + expected + " in UTF-8, found other bytes", e);
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be read", e);
    }
  }

  /** Returns whether a text is an object whose first value is an id. */
  private static boolean isVocabulary(String json) {
    try (JsonParser parser = JsonObject.LINES.createParser(json)) {
      return parser.nextToken() == JsonToken.START_OBJECT
          && parser.nextToken() == JsonToken.FIELD_NAME
          && parser.nextToken() == JsonToken.VALUE_NUMBER_INT;
    } catch (IOException e) {
      return false; // the parser of the whole file reports the error
    }
  }

  private static String build(Path file, String vocabulary, Path merges) {
    StringWriter text = new StringWriter(vocabulary.length() * 2);
    Path added = file.resolveSibling(ADDED);
    try (JsonGenerator json = JsonObject.LINES.createGenerator(text)) {
      json.writeStartObject();
      json.writeStringField("version", "1.0");
      json.writeNullField("truncation");
      json.writeNullField("padding");
      json.writeArrayFieldStart("added_tokens");
      endOfText(file, vocabulary, json);
      if (Files.exists(added)) {
        added(added, json);
      }
      json.writeEndArray();
      json.writeNullField("normalizer");
      for (String part : new String[] {"pre_tokenizer", "post_processor", "decoder"}) {
        json.writeObjectFieldStart(part);
        json.writeStringField("type", "ByteLevel");
        json.writeBooleanField("add_prefix_space", false);
        json.writeBooleanField("trim_offsets", true);
        json.writeBooleanField("use_regex", true);
        json.writeEndObject();
      }
      json.writeObjectFieldStart("model");
      json.writeStringField("type", "BPE");
      for (String none :
          new String[] {
            "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"
          }) {
        json.writeNullField(none);
      }
      json.writeBooleanField("fuse_unk", false);
      json.writeBooleanField("byte_fallback", false);
      json.writeBooleanField("ignore_merges", false);
      json.writeFieldName("vocab");
      copy(file, vocabulary, json);
      json.writeArrayFieldStart("merges");
      for (String rule : (Iterable<String>) text(merges, MERGES).lines()::iterator) {
        if (!rule.isBlank() && !rule.startsWith("#version")) {
          json.writeString(rule);
        }
      }
      json.writeEndArray();
      json.writeEndObject();
      json.writeEndObject();
    } catch (IOException e) {
      throw new IllegalStateException(e); // writing to memory
    }
    return text.toString();
  }

  private static void copy(Path file, String vocabulary, JsonGenerator json) {
    try (JsonParser parser = JsonObject.LINES.createParser(vocabulary)) {
      parser.nextToken();
      json.copyCurrentStructure(parser);
    } catch (IOException e) {
      throw JsonObject.unreadable(file, "content", e);
    }
  }

  private static void endOfText(Path file, String vocabulary, JsonGenerator json)
      throws IOException {
    try (JsonParser parser = JsonObject.LINES.createParser(vocabulary)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String token = parser.currentName();
        if (parser.nextToken() == JsonToken.VALUE_NUMBER_INT
            && token.equals(BpeTrainer.END_OF_TEXT)) {
          token(json, token, parser.getText(), true);
        }
        parser.skipChildren();
      }
    } catch (JsonProcessingException e) {
      throw JsonObject.unreadable(file, "content", e);
    }
  }

  private static void added(Path file, JsonGenerator json) throws IOException {
    JsonObject tokens = JsonObject.read(file, 16 << 20);
    for (String token : tokens.keys()) {
      if (!token.equals(BpeTrainer.END_OF_TEXT)) {
        int id = tokens.integer(token, -1, 0, Integer.MAX_VALUE - 1);
        token(json, token, String.valueOf(id), false);
      }
    }
  }

  private static void token(JsonGenerator json, String content, String id, boolean special)
      throws IOException {
    json.writeStartObject();
    json.writeFieldName("id");
    json.writeNumber(id);
    json.writeStringField("content", content);
    json.writeBooleanField("single_word", false);
    json.writeBooleanField("lstrip", false);
    json.writeBooleanField("rstrip", false);
    json.writeBooleanField("normalized", !special);
    json.writeBooleanField("special", special);
    json.writeEndObject();
  }
}
