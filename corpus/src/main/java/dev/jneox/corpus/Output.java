package dev.jneox.corpus;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Says how a corpus is written.
 *
 * @param kind jsonl or megatron
 * @param tokenizer a {@code tokenizer.json}; null for jsonl
 * @param endOfDocument the token behind each document; null for none
 * @param heldOut the share of a source's documents that are held out of training where the source
 *     has none of its own, 0 to 0.5
 * @param seed of the order of documents and of the choice of fractions of an epoch
 * @param shardBytes bytes of text in a shard, about
 */
public record Output(
    Kind kind,
    @Nullable Path tokenizer,
    @Nullable String endOfDocument,
    double heldOut,
    long seed,
    long shardBytes) {
  /** Lists the forms of output. */
  public enum Kind {
    /** Lines {@code {"text": .., "meta": {"pile_set_name": .., "document": .., ..}}} in shards. */
    JSONL,
    /** Token ids, {@code train.bin} and {@code train.idx}, as GPT-NeoX trains on them. */
    MEGATRON
  }

  static Output of(Settings settings) {
    Kind kind =
        settings.choice("format", "jsonl", List.of("jsonl", "megatron")).equals("jsonl")
            ? Kind.JSONL
            : Kind.MEGATRON;
    String tokenizer = settings.text("tokenizer").orElse(null);
    if (kind == Kind.MEGATRON && tokenizer == null) {
      throw settings.wrong("tokenizer", "the path of a tokenizer.json", null);
    }
    String end = settings.text("end_of_document").orElse("<|endoftext|>");
    Output output =
        new Output(
            kind,
            kind == Kind.JSONL || tokenizer == null
                ? null
                : Path.of(Settings.resolved(settings.folder(), tokenizer)),
            end.isEmpty() ? null : end,
            settings.number("held_out", 0, 0, 0.5),
            settings.integer("seed", 1234, 0, Integer.MAX_VALUE),
            settings.integer("shard_mb", 64, 1, 1 << 20) * 1_000_000L);
    settings.noOthers();
    return output;
  }
}
