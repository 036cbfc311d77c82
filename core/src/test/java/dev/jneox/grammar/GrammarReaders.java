package dev.jneox.grammar;

import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import dev.jneox.infer.TokenConstraint;
import dev.jneox.io.InputException;
import dev.jneox.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.BitSet;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;

/** Readers of forms, for fuzzing. */
public final class GrammarReaders {
  private static final Supplier<TokenTrie> TRIE =
      new Supplier<>() {
        private TokenTrie trie;

        @Override
        public TokenTrie get() {
          if (trie == null) {
            Tokenizer tokenizer = Forms.tokenizer();
            trie = TokenTrie.of(tokenizer, List.of(0));
          }
          return trie;
        }
      };

  private GrammarReaders() {}

  /** Any schema. */
  public static Reader schemas() {
    return reader(
        "json-schema",
        "schema.json",
        Grammar::jsonSchema,
        Forms.cases().stream().map(each -> each.schema().toString()).toList());
  }

  /** Any regular expression. */
  public static Reader expressions() {
    return reader(
        "regex",
        "regex.txt",
        Grammar::regex,
        List.of(
            "^(?:[a-z]{2,4}|\\d+)(?:, [^éü😀\\]]+)?!$",
            "(?<year>\\d{4})-(?P<m>\\d\\d)[\\s\\S]*?x{,3}y{2,}",
            "\\p{Lu}\\P{L}+\\u00e9\\x41\\uD83D\\uDE00\\u{1F600}[\\b\\w-]|a||\\.\\/"));
  }

  private static Reader reader(
      String name, String file, Function<String, Grammar> read, List<String> seeds) {
    return Reader.ofFile(
        name,
        file,
        path -> {
          String text = new String(Files.readAllBytes(path), StandardCharsets.UTF_8);
          try {
            use(read.apply(text).over(TRIE.get()));
          } catch (InputException e) {
            throw e.withMessage(path + ": " + e.getMessage());
          }
        },
        () -> seeds.stream().map(seed -> Input.of(file, seed)).toList());
  }

  /** Draws some ids: there is one at each place. */
  private static void use(TokenConstraint constraint) {
    for (int side = 0; side < 2; side++) {
      TokenConstraint.Cursor cursor = constraint.begin();
      for (int i = 0; i < 20; i++) {
        BitSet allowed = cursor.allowed();
        if (allowed.isEmpty()) {
          break;
        }
        int id = side == 0 ? allowed.nextSetBit(0) : allowed.length() - 1;
        cursor.accept(id);
      }
    }
  }
}
