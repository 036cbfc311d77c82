package dev.jneox.tokenizer;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Turns tokens into text: the key {@code decoder} of a tokenizer.json. Each decoder is a step of a
 * stream, so that decoding token by token gives the same text as decoding at once.
 */
sealed interface Decoder {
  /** Receives tokens in order; each may come in several parts. */
  interface Sink {
    /** Receives the next part of the current token. */
    void part(String text);

    /** Ends the current token. */
    void endToken();

    /** Ends the stream. */
    void end();

    /** Receives a whole token. */
    default void token(String text) {
      part(text);
      endToken();
    }
  }

  /** Creates a sink that writes to the next one. */
  Sink to(Sink next, Work work);

  /**
   * Returns the bytes that a token adds to a text; empty where that depends on the tokens around
   * it, other than on whether there are some before it.
   */
  default Optional<byte[]> bytes(String token, boolean first, Work work) {
    List<Decoder> steps = this instanceof Sequence sequence ? sequence.steps : List.of(this);
    if (steps.equals(List.of(new ByteLevel()))) {
      return Optional.of(ByteAlphabet.read(token));
    }
    int fuse = steps.indexOf(new Fuse());
    // A character of the start is stripped, if any: one of the first token.
    boolean strips =
        fuse < 0
            || steps.size() <= fuse + 1
            || steps.size() == fuse + 2
                && steps.getLast() instanceof Strip strip
                && strip.start <= 1;
    int fallback = steps.indexOf(new ByteFallback());
    // Several tokens of a byte become one, which only a step that joins all may follow.
    boolean joins =
        fallback < 0
            || fallback == steps.lastIndexOf(new ByteFallback())
                && (fuse == fallback + 1 || fallback == steps.size() - 1)
                && steps.subList(0, fallback).stream().allMatch(Replace.class::isInstance);
    if (!strips || !joins || !steps.stream().allMatch(Decoder::separate)) {
      return Optional.empty();
    }
    if (fallback >= 0) {
      String read = token;
      for (Decoder step : steps.subList(0, fallback)) {
        read = ((Replace) step).rule.normalize(read, work);
      }
      if (ByteFallback.value(read) > 0x7F) { // part of a character
        return Optional.of(new byte[] {(byte) ByteFallback.value(read)});
      }
    }
    StringBuilder text = new StringBuilder();
    Sink sink =
        to(
            new Sink() {
              @Override
              public void part(String part) {
                text.append(part);
              }

              @Override
              public void endToken() {}

              @Override
              public void end() {}
            },
            work);
    int before = 0;
    if (!first) {
      sink.token("x"); // takes the place of the first token
      sink.token("x"); // ends a run of bytes
      before = text.length();
    }
    sink.token(token);
    sink.end();
    return Optional.of(text.substring(before).getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Returns whether a token's text depends on nothing but the token and whether it is the first.
   */
  private boolean separate() {
    return switch (this) {
      case Metaspace _, WordPiece _, ByteFallback _, Fuse _, Replace _, Spaces _ -> true;
      case Strip strip -> strip.stop == 0;
      case Sequence _, ByteLevel _, WordEnds _, Ctc _ -> false;
    };
  }

  /** Is a step that needs each token whole. */
  abstract class Whole implements Sink {
    final Sink next;
    private final StringBuilder parts = new StringBuilder();

    Whole(Sink next) {
      this.next = next;
    }

    @Override
    public void part(String text) {
      parts.append(text);
    }

    @Override
    public void endToken() {
      String text = parts.toString();
      parts.setLength(0);
      token(text);
    }

    @Override
    public abstract void token(String text);

    @Override
    public void end() {
      next.end();
    }
  }

  /** Runs several decoders in order. */
  record Sequence(List<Decoder> steps) implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      for (Decoder step : steps.reversed()) {
        next = step.to(next, work);
      }
      return next;
    }
  }

  /** Reads the bytes that the characters of {@link ByteAlphabet} represent as UTF-8. */
  record ByteLevel() implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return new Whole(next) {
        private final Utf8.Reader reader = new Utf8.Reader();

        @Override
        public void token(String text) {
          next.part(reader.next(ByteAlphabet.read(text)));
        }

        @Override
        public void end() {
          next.part(reader.end());
          next.endToken();
          next.end();
        }
      };
    }
  }

  /** Writes spaces for the character that represents them, none at the start. */
  record Metaspace(String replacement, boolean keepsFirst) implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return new Whole(next) {
        private boolean first = true;

        @Override
        public void token(String text) {
          next.token(text.replace(replacement, first && !keepsFirst ? "" : " "));
          first = false;
        }
      };
    }
  }

  /** Joins the tokens of a word, with a space between two words. */
  record WordPiece(String prefix, boolean cleanup) implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return new Whole(next) {
        private boolean first = true;

        @Override
        public void token(String text) {
          String spaced =
              first ? text : text.startsWith(prefix) ? text.substring(prefix.length()) : " " + text;
          next.token(cleanup ? clean(spaced) : spaced);
          first = false;
        }
      };
    }

    /** Removes the spaces that splitting put before English punctuation. */
    static String clean(String text) {
      return text.replace(" .", ".")
          .replace(" ?", "?")
          .replace(" !", "!")
          .replace(" ,", ",")
          .replace(" ' ", "'")
          .replace(" n't", "n't")
          .replace(" 'm", "'m")
          .replace(" do not", " don't")
          .replace(" 's", "'s")
          .replace(" 've", "'ve")
          .replace(" 're", "'re");
    }
  }

  /** Writes a space for each mark of the end of a word, except at the last token. */
  record WordEnds(String suffix) implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return new Whole(next) {
        private @Nullable String held;

        @Override
        public void token(String text) {
          if (held != null) {
            next.token(replaced(held, " ", work));
          }
          held = text;
        }

        @Override
        public void end() {
          if (held != null) {
            next.token(replaced(held, "", work));
          }
          next.end();
        }
      };
    }

    private String replaced(String text, String replacement, Work work) {
      work.spend(text.length());
      return text.replace(suffix, replacement);
    }
  }

  /**
   * Reads tokens of the form {@code <0x0A>} as bytes: runs that are UTF-8 as text, others as U+FFFD
   * for each byte.
   */
  record ByteFallback() implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return new Whole(next) {
        private final ByteArrayOutputStream run = new ByteArrayOutputStream();

        @Override
        public void token(String text) {
          int b = value(text);
          if (b >= 0) {
            run.write(b);
          } else {
            flush();
            next.token(text);
          }
        }

        @Override
        public void end() {
          flush();
          next.end();
        }

        private void flush() {
          if (run.size() == 0) {
            return;
          }
          byte[] bytes = run.toByteArray();
          run.reset();
          if (Utf8.isWellFormed(bytes)) {
            next.token(new String(bytes, StandardCharsets.UTF_8));
          } else {
            for (int i = 0; i < bytes.length; i++) {
              next.token("\uFFFD");
            }
          }
        }
      };
    }

    /** Returns the byte that a token represents, or -1. */
    private static int value(String token) {
      if (token.length() != 6 || !token.startsWith("<0x") || token.charAt(5) != '>') {
        return -1;
      }
      int high = Character.digit(token.charAt(3), 16);
      int low = Character.digit(token.charAt(4), 16);
      boolean ascii = token.charAt(3) < 0x80 && token.charAt(4) < 0x80;
      if (ascii && token.charAt(3) == '+' && low >= 0) {
        return low; // Rust reads a sign
      }
      return ascii && high >= 0 && low >= 0 ? high << 4 | low : -1;
    }
  }

  /** Joins all tokens to one. */
  record Fuse() implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return new Sink() {
        @Override
        public void part(String text) {
          next.part(text);
        }

        @Override
        public void endToken() {}

        @Override
        public void end() {
          next.endToken();
          next.end();
        }
      };
    }
  }

  /** Removes up to a number of a character from both ends of each token. */
  record Strip(int content, int start, int stop) implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return stop > 0 ? both(next) : left(next);
    }

    private Sink both(Sink next) {
      return new Whole(next) {
        @Override
        public void token(String text) {
          int from = 0;
          for (int i = 0; i < start && from < text.length(); i++) {
            if (text.codePointAt(from) != content) {
              break;
            }
            from += Character.charCount(content);
          }
          int to = text.length();
          for (int i = 0; i < stop && to > from; i++) {
            if (text.codePointBefore(to) != content) {
              break;
            }
            to -= Character.charCount(content);
          }
          next.token(text.substring(from, to));
        }
      };
    }

    /** Strips the left end only, without waiting for the end of the token. */
    private Sink left(Sink next) {
      return new Sink() {
        private int left = start;

        @Override
        public void part(String text) {
          int from = 0;
          while (left > 0 && from < text.length()) {
            boolean strip = text.codePointAt(from) == content;
            from += strip ? Character.charCount(content) : 0;
            left = strip ? left - 1 : 0;
          }
          next.part(text.substring(from));
        }

        @Override
        public void endToken() {
          left = start;
          next.endToken();
        }

        @Override
        public void end() {
          next.end();
        }
      };
    }
  }

  /** Replaces each match within a token. */
  record Replace(Normalizer.Replace rule) implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return new Whole(next) {
        @Override
        public void token(String text) {
          next.token(rule.normalize(text, work));
        }
      };
    }
  }

  /** Decodes a connectionist temporal classification: a run of equal tokens counts once. */
  record Ctc(String pad, String delimiter, boolean cleanup) implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return new Whole(next) {
        private @Nullable String last;

        @Override
        public void token(String text) {
          if (text.equals(last)) {
            return;
          }
          last = text;
          String written = text.replace(pad, "");
          if (cleanup) {
            written = WordPiece.clean(written).replace(delimiter, " ");
          }
          if (!written.isEmpty()) {
            next.token(written);
          }
        }
      };
    }
  }

  /** Writes a space between tokens, as a file without a decoder requires. */
  record Spaces() implements Decoder {
    @Override
    public Sink to(Sink next, Work work) {
      return new Whole(next) {
        private boolean first = true;

        @Override
        public void token(String text) {
          next.token(first ? text : " " + text);
          first = false;
        }
      };
    }
  }

  /**
   * Reads the decoder of a file.
   *
   * @param key the decoder or one within it
   */
  static Decoder read(JsonKey key) {
    return switch (key.type()) {
      case "Sequence" ->
          new Sequence(key.at("decoders").entries().stream().map(Decoder::read).toList());
      case "ByteLevel" -> {
        PreTokenizer.read(key); // the same keys
        yield new ByteLevel();
      }
      case "Metaspace" -> {
        PreTokenizer.Metaspace rule = PreTokenizer.Metaspace.read(key);
        yield new Metaspace(
            rule.replacement(), rule.prefix() == PreTokenizer.Metaspace.Prefix.NEVER);
      }
      case "WordPiece" ->
          new WordPiece(key.at("prefix").string(Normalizer.LONGEST), key.at("cleanup").flag());
      case "BPEDecoder" -> new WordEnds(key.at("suffix").string(Normalizer.LONGEST));
      case "ByteFallback" -> new ByteFallback();
      case "Fuse" -> new Fuse();
      case "Strip" ->
          new Strip(
              key.at("content").character(), key.at("start").count(0), key.at("stop").count(0));
      case "Replace" -> new Replace(Normalizer.replace(key));
      case "CTC" ->
          new Ctc(
              key.at("pad_token").string(Normalizer.LONGEST),
              key.at("word_delimiter_token").string(Normalizer.LONGEST),
              key.at("cleanup").flag());
      default ->
          throw key.at("type")
              .expected(
                  "BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, Replace, Sequence,"
                      + " Strip or WordPiece");
    };
  }
}
