package dev.jneox.grammar;

import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.infer.TokenConstraint;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.function.ToIntFunction;

/** Schemas, tokenizers and texts that are drawn without a model. */
final class Forms {
  static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .enable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
          .build();

  /** A schema of a user. */
  record Case(String name, JsonNode schema) {
    @Override
    public String toString() {
      return name;
    }
  }

  private Forms() {}

  static List<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (String line : resource("/grammar/schemas.jsonl").lines().toList()) {
      try {
        JsonNode node = JSON.readTree(line);
        cases.add(new Case(node.get("name").asText(), node.get("schema")));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return cases;
  }

  static String resource(String name) {
    try (InputStream in = Forms.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A byte-level tokenizer with many tokens of JSON. */
  static Tokenizer tokenizer() {
    BpeTrainer trainer = new BpeTrainer(700);
    trainer.count(
        List.of(
                resource("/grammar/schemas.jsonl"),
                "{\"a\":1,\"b\":[true,false,null]}, {\"name\": \"x\"}, \"y\"}]}]}".repeat(50))
            .iterator());
    try {
      Path folder = Files.createTempDirectory("grammar");
      Path file = folder.resolve("tokenizer.json");
      trainer.train(merges -> {}).write(file);
      Tokenizer tokenizer = Tokenizer.load(file);
      Files.delete(file);
      Files.delete(folder);
      return tokenizer;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The CPU time of this thread: other work of the machine does not count. */
  static long cpuNanos() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  /** A text, and whether it ended by itself. */
  record Drawn(String text, List<Integer> ids, boolean ended) {}

  /** Draws ids until the text ends or there are too many. */
  static Drawn draw(
      TokenConstraint constraint, TokenTrie trie, int most, ToIntFunction<BitSet> choose) {
    TokenConstraint.Cursor cursor = constraint.begin();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    List<Integer> ids = new ArrayList<>();
    while (ids.size() < most) {
      BitSet allowed = cursor.allowed();
      int id = allowed.isEmpty() ? -1 : choose.applyAsInt(allowed);
      if (id < 0 || trie.ends().get(id)) {
        return new Drawn(bytes.toString(StandardCharsets.UTF_8), ids, true);
      }
      bytes.writeBytes(trie.bytes(id, ids.isEmpty()));
      ids.add(id);
      cursor.accept(id);
    }
    return new Drawn(bytes.toString(StandardCharsets.UTF_8), ids, false);
  }

  /** Chooses any id alike. */
  static ToIntFunction<BitSet> any(Random random) {
    return allowed -> {
      int skip = random.nextInt(allowed.cardinality());
      int id = allowed.nextSetBit(0);
      for (; skip > 0; skip--) {
        id = allowed.nextSetBit(id + 1);
      }
      return id;
    };
  }
}
