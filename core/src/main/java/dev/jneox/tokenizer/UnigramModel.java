package dev.jneox.tokenizer;

import dev.jneox.io.InputException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Implements SentencePiece's unigram language model (Kudo 2018, arXiv:1804.10959): of all ways to
 * write a word with pieces of the vocabulary, it takes the one with the largest sum of scores, by
 * the Viterbi algorithm from left to right. The time is proportional to the text times the longest
 * piece.
 */
final class UnigramModel implements WordModel {
  /** How much worse a character without a piece scores than the worst piece. */
  private static final double UNKNOWN_PENALTY = 10;

  private final JsonKey unknownKey;
  private final List<TokenizerFile.ScoredPiece> pieces;
  private final Map<String, Integer> ids;

  /** -1 where there is none. */
  private final int unknown;

  private final boolean byteFallback;
  private final double unknownScore;
  private final Trie trie = new Trie();

  /** For each node one more than the id of the piece that ends there, or 0. */
  private int[] ends = new int[1 << 10];

  private UnigramModel(TokenizerFile file, JsonKey key) {
    pieces = Objects.requireNonNull(file.pieces());
    ids = file.vocab();
    unknownKey = key.at("unk_id");
    unknown = unknownKey.isAbsent() ? -1 : unknownKey.count(0);
    if (unknown >= pieces.size()) {
      throw unknownKey.expected("an id below " + pieces.size() + ", the size of the vocabulary");
    }
    byteFallback = key.at("byte_fallback").flag(false);
    unknownScore =
        pieces.stream().mapToDouble(TokenizerFile.ScoredPiece::score).min().orElse(0)
            - UNKNOWN_PENALTY;
    for (int id = 0; id < pieces.size(); id++) {
      add(file, id);
    }
  }

  static UnigramModel read(TokenizerFile file, JsonKey key) {
    return new UnigramModel(file, key);
  }

  private void add(TokenizerFile file, int id) {
    String piece = pieces.get(id).text();
    if (!Utf8.wellFormed(piece).equals(piece)) {
      throw InputException.in(
          file.path(),
          "key model.vocab, entry " + id,
          "whole characters",
          "half of a surrogate pair");
    }
    int node = 0;
    try {
      for (int i = 0; i < piece.length(); i++) {
        node = trie.grow(node, piece.charAt(i));
      }
    } catch (ArithmeticException e) {
      throw new InputException(
          file.path() + ": key model.vocab: expected a smaller vocabulary, found " + e.getMessage(),
          e);
    }
    if (node >= ends.length) {
      ends = Arrays.copyOf(ends, Math.max(2 * ends.length, node + 1));
    }
    ends[node] = id + 1; // of a piece that is there twice the last one counts
  }

  @Override
  public void encode(String word, IdList out, Work work) {
    int n = word.length();
    double[] best = new double[n + 1];
    int[] starts = new int[n + 1]; // of the best piece that ends here
    int[] which = new int[n + 1]; // its id
    Arrays.fill(starts, -1);
    int next;
    for (int at = 0; at < n; at = next) {
      next = at + Character.charCount(word.codePointAt(at));
      boolean single = false;
      int node = 0;
      for (int end = at; end < n && (node = trie.child(node, word.charAt(end++))) != 0; ) {
        int id = node < ends.length ? ends[node] - 1 : -1;
        if (id >= 0) {
          single |= end == next;
          double score = pieces.get(id).score() + best[at];
          if (starts[end] < 0 || score > best[end]) {
            best[end] = score;
            starts[end] = at;
            which[end] = id;
          }
        }
      }
      double score = unknownScore + best[at];
      if (!single && (starts[next] < 0 || score > best[next])) {
        best[next] = score;
        starts[next] = at;
        which[next] = unknown();
      }
    }
    work.spend(n);
    write(word, starts, which, out);
  }

  private int unknown() {
    if (unknown < 0) {
      throw WordModel.noUnknown(unknownKey);
    }
    return unknown;
  }

  /** Appends the ids of the best path; adjacent unknown pieces become one. */
  private void write(String word, int[] starts, int[] which, IdList out) {
    // The path is known from its end; each place is made to point to the next instead.
    int[] ends = new int[starts.length];
    for (int end = word.length(); end > 0; end = starts[end]) {
      ends[starts[end]] = end;
    }
    for (int at = 0; at < word.length(); ) {
      int end = ends[at];
      if (which[end] != unknown) {
        out.add(which[end]);
        at = end;
        continue;
      }
      while (end < word.length() && which[ends[end]] == unknown) {
        end = ends[end];
      }
      spell(word.substring(at, end), out);
      at = end;
    }
  }

  private void spell(String text, IdList out) {
    Integer id = ids.get(text);
    if (id != null) {
      out.add(id);
      return;
    }
    if (byteFallback) {
      byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
      int[] bytes = new int[utf8.length];
      boolean all = true;
      for (int i = 0; i < utf8.length && all; i++) {
        id = ids.get(BpeModel.byteToken(utf8[i] & 0xFF));
        all = id != null;
        bytes[i] = id == null ? 0 : id;
      }
      if (all) {
        out.addAll(bytes);
        return;
      }
    }
    out.add(unknown());
  }

  @Override
  public int size() {
    return pieces.size();
  }

  @Override
  public @Nullable String token(int id) {
    return id >= 0 && id < pieces.size() ? pieces.get(id).text() : null;
  }

  @Override
  public @Nullable Integer id(String token) {
    return ids.get(token);
  }
}
