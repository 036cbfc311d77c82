package dev.jneox.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentLinkedDeque;
import org.jspecify.annotations.Nullable;

/**
 * Implements the byte-level byte-pair encoding of GPT-2, GPT-J, GPT-Neo and GPT-NeoX (Radford et
 * al. 2019), read from a {@code tokenizer.json}. It may normalize the text to form C, cuts added
 * tokens out, splits the rest into words by GPT-2's pattern and merges the bytes of each word by
 * rank. The ids equal those of the Hugging Face library, several times as fast.
 */
public final class ByteLevelBpe implements Tokenizer {
  private static final int LARGEST_VOCABULARY = 1 << 24;

  /** No more UTF-16 units are composed to one: four code points, of two units at most. */
  private static final int MOST_COMPOSED = 8;

  private final Map<String, Integer> vocab;
  private final Map<String, Integer> added = new HashMap<>();
  private final BitSet addedIds = new BitSet();
  private final Rules rules;

  /** Id {@code i} represents {@code bytes[starts[i], starts[i + 1])}. */
  private final byte[] bytes;

  private final int[] starts;
  private final long widest; // most UTF-16 units of a text that are one id; 0 for no bound
  private final ConcurrentLinkedDeque<BpeEncoder> idle = new ConcurrentLinkedDeque<>();

  /**
   * Holds everything that determines the ids of a text.
   *
   * @param nfc normalize to form C first
   * @param prefixSpace put a space before every piece between added tokens that has none
   * @param words split by GPT-2's pattern; otherwise a whole piece is one word
   * @param raw the added tokens looked for before normalization
   * @param normalized those looked for after it
   * @param byteIds the id of each byte; -1 for bytes that no UTF-8 text has
   */
  record Rules(
      boolean nfc,
      boolean prefixSpace,
      boolean words,
      AddedTokens raw,
      AddedTokens normalized,
      int[] byteIds,
      Merges merges) {}

  private ByteLevelBpe(TokenizerFile file, Rules rules) {
    this.rules = rules;
    this.vocab = file.vocab();
    file.added().forEach(token -> added.put(token.content(), token.id()));
    added.values().forEach(addedIds::set);
    byte[][] written = new byte[file.vocabSize()][0];
    vocab.forEach((token, id) -> written[id] = ByteAlphabet.read(token));
    added.forEach((token, id) -> written[id] = ByteAlphabet.read(token));
    starts = new int[written.length + 1];
    for (int id = 0; id < written.length; id++) {
      starts[id + 1] = Math.addExact(starts[id], written[id].length);
    }
    bytes = new byte[starts[written.length]];
    for (int id = 0; id < written.length; id++) {
      System.arraycopy(written[id], 0, bytes, starts[id], written[id].length);
    }
    widest = widest(file, written, rules.nfc());
  }

  private static long widest(TokenizerFile file, byte[][] written, boolean nfc) {
    long widest = 0; // in bytes, of which a UTF-16 unit has one or more
    for (byte[] token : written) {
      widest = Math.max(widest, token.length);
    }
    for (AddedToken token : file.added()) {
      if (token.lstrip() || token.rstrip()) {
        return 0; // it takes any amount of white space
      }
      widest = Math.max(widest, 3L * token.content().length());
    }
    return nfc ? MOST_COMPOSED * widest : widest;
  }

  /**
   * Loads a local {@code tokenizer.json}.
   *
   * @throws InputException when it is not a tokenizer of this kind; the message has the reason
   */
  public static ByteLevelBpe load(Path path) {
    return of(TokenizerFile.read(path))
        .orElseThrow(
            () ->
                new InputException(
                    path + ": expected a byte-level BPE like GPT-2's, found another tokenizer"));
  }

  /**
   * Creates the tokenizer of a file; empty if the file uses a feature that this class does not
   * have.
   */
  static Optional<ByteLevelBpe> of(TokenizerFile file) {
    boolean supported =
        ("BPE".equals(file.text("model", "type")) || untypedBpe(file))
            && empty(file.node("model", "dropout"))
            && empty(file.node("model", "continuing_subword_prefix"))
            && empty(file.node("model", "end_of_word_suffix"))
            && !file.node("model", "ignore_merges").asBoolean()
            && emptyOr(file, "normalizer", "NFC")
            && "ByteLevel".equals(file.text("pre_tokenizer", "type"))
            && file.node("pre_tokenizer", "add_prefix_space").isBoolean()
            && "ByteLevel".equals(file.text("decoder", "type"))
            // Both put nothing around a text when special tokens are not asked for.
            && (emptyOr(file, "post_processor", "ByteLevel")
                || emptyOr(file, "post_processor", "TemplateProcessing"))
            && file.vocabSize() <= LARGEST_VOCABULARY
            && dense(file.vocab())
            && addedIdsAsTheLibraryCounts(file);
    if (!supported) {
      return Optional.empty();
    }
    int[] byteIds = byteIds(file.vocab());
    Merges merges = merges(file);
    if (byteIds == null || merges == null) {
      return Optional.empty();
    }
    boolean nfc = !empty(file.node("normalizer"));
    JsonNode split = file.node("pre_tokenizer");
    return Optional.of(
        new ByteLevelBpe(
            file,
            new Rules(
                nfc,
                split.path("add_prefix_space").booleanValue(),
                split.path("use_regex").asBoolean(true),
                addedTokens(file, false, nfc),
                addedTokens(file, true, nfc),
                byteIds,
                merges)));
  }

  /**
   * Returns whether a model without a type is BPE. GPT-2's own file is older than the type; only
   * BPE has merge rules.
   */
  private static boolean untypedBpe(TokenizerFile file) {
    return file.node("model", "type").isMissingNode() && file.node("model", "merges").isArray();
  }

  private static boolean empty(JsonNode node) {
    return node.isMissingNode() || node.isNull() || node.isTextual() && node.textValue().isEmpty();
  }

  private static boolean emptyOr(TokenizerFile file, String part, String type) {
    return empty(file.node(part)) || type.equals(file.text(part, "type"));
  }

  private static boolean dense(Map<String, Integer> vocab) {
    BitSet ids = new BitSet();
    vocab.values().stream().filter(id -> id < vocab.size()).forEach(ids::set);
    return ids.cardinality() == vocab.size();
  }

  /**
   * Returns whether added tokens have the ids that the library assigns: the id in the vocabulary,
   * or the next free one, whatever id the file states. Files where they differ, and files with an
   * added token twice, are left to {@link PipelineTokenizer}.
   */
  private static boolean addedIdsAsTheLibraryCounts(TokenizerFile file) {
    int next = file.vocab().size();
    HashSet<String> seen = new HashSet<>();
    for (AddedToken token : file.added()) {
      Integer known = file.vocab().get(token.content());
      int id = known == null ? next : known;
      if (token.content().isEmpty()
          || token.id() != id
          || !seen.add(NormalForm.NFC.normalize(token.content()))) {
        return false;
      }
      next = Math.max(next, token.id() + 1);
    }
    return true;
  }

  private static AddedTokens addedTokens(TokenizerFile file, boolean normalized, boolean nfc) {
    List<AddedToken> tokens =
        file.added().stream().filter(token -> token.normalized() == normalized).toList();
    return new AddedTokens(
        tokens,
        tokens.stream()
            .map(AddedToken::content)
            .map(content -> nfc && normalized ? NormalForm.NFC.normalize(content) : content)
            .map(content -> Utf8.wellFormed(content).getBytes(StandardCharsets.UTF_8))
            .map(bytes -> new String(bytes, StandardCharsets.ISO_8859_1).toCharArray())
            .toList());
  }

  /** Returns the id of each byte; null if a byte that UTF-8 uses has none. */
  private static int @Nullable [] byteIds(Map<String, Integer> vocab) {
    int[] byteIds = new int[256];
    for (int b = 0; b < byteIds.length; b++) {
      byteIds[b] = vocab.getOrDefault(String.valueOf(ByteAlphabet.character(b)), -1);
      boolean inUtf8 = b != 0xC0 && b != 0xC1 && b < 0xF5;
      if (inUtf8 && byteIds[b] < 0) {
        return null;
      }
    }
    return byteIds;
  }

  /** Returns the merge rules; null if one names an unknown token. */
  private static @Nullable Merges merges(TokenizerFile file) {
    List<String> sides = file.merges();
    Merges merges = new Merges(sides.size() / 2);
    for (int i = 0; i < sides.size(); i += 2) {
      Integer left = file.vocab().get(sides.get(i));
      Integer right = file.vocab().get(sides.get(i + 1));
      Integer merged = file.vocab().get(sides.get(i).concat(sides.get(i + 1)));
      if (left == null || right == null || merged == null) {
        return null;
      }
      merges.put(left, right, i / 2, merged);
    }
    return merges;
  }

  @Override
  public int[] encode(String text) {
    BpeEncoder encoder = idle.pollFirst();
    if (encoder == null) {
      encoder = new BpeEncoder(rules);
    }
    try {
      return encoder.encode(text);
    } finally {
      idle.offerFirst(encoder);
    }
  }

  @Override
  public long leastIds(int length) {
    return widest == 0 ? 0 : Math.ceilDiv(length, widest);
  }

  @Override
  public String decode(int[] ids) {
    int length = 0;
    for (int id : ids) {
      length = Math.addExact(length, length(id));
    }
    byte[] text = new byte[length];
    int at = 0;
    for (int id : ids) {
      int n = length(id);
      if (n > 0) {
        System.arraycopy(bytes, starts[id], text, at, n);
        at += n;
      }
    }
    return Utf8.decode(text);
  }

  /**
   * Returns how many bytes an id represents; 0 for an id without a token, as in a model's padded
   * vocabulary.
   */
  private int length(int id) {
    return id < 0 || id >= starts.length - 1 ? 0 : starts[id + 1] - starts[id];
  }

  @Override
  public byte[] bytes(int id, boolean first) {
    return length(id) == 0 || addedIds.get(id)
        ? new byte[0]
        : Arrays.copyOfRange(bytes, starts[id], starts[id + 1]);
  }

  @Override
  public int vocabSize() {
    return starts.length - 1;
  }

  @Override
  public OptionalInt id(String token) {
    Integer id = vocab.getOrDefault(token, added.get(token));
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /** Clears the cache of words; no other resource is held. */
  @Override
  public void close() {
    idle.clear();
  }
}
