package dev.jneox.tokenizer;

import dev.jneox.tokenizer.RegexNode.Greed;
import dev.jneox.tokenizer.RegexNode.One;
import dev.jneox.tokenizer.RegexNode.Repeat;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntPredicate;
import java.util.stream.Stream;

/** Splits a normalized text into words: the key {@code pre_tokenizer} of a tokenizer.json. */
sealed interface PreTokenizer {
  /** Splits a piece and passes its parts on in order. */
  void split(Piece piece, Work work, Consumer<Piece> parts);

  /** Runs several in order; each splits the parts of the previous one. */
  record Sequence(List<PreTokenizer> steps) implements PreTokenizer {
    @Override
    public void split(Piece piece, Work work, Consumer<Piece> parts) {
      split(0, piece, work, parts);
    }

    private void split(int step, Piece piece, Work work, Consumer<Piece> parts) {
      work.spend(1);
      if (step == steps.size()) {
        parts.accept(piece);
      } else {
        steps.get(step).split(piece, work, part -> split(step + 1, part, work, parts));
      }
    }
  }

  /** Says what happens to a match. */
  enum Behavior {
    REMOVED("Removed"),
    ISOLATED("Isolated"),
    MERGED_WITH_PREVIOUS("MergedWithPrevious"),
    MERGED_WITH_NEXT("MergedWithNext"),
    CONTIGUOUS("Contiguous");

    private final String written;

    Behavior(String written) {
      this.written = written;
    }

    /**
     * Reads the pre-tokenizer of a file.
     *
     * @param key the pre-tokenizer or one within it
     */
    static Behavior read(JsonKey key) {
      String name = key.string();
      for (Behavior behavior : values()) {
        if (behavior.written.equals(name)) {
          return behavior;
        }
      }
      throw key.expected("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
    }
  }

  /** Receives the matches and forms the parts. */
  final class Splitter {
    private final Piece piece;
    private final Behavior behavior;
    private final Consumer<Piece> parts;
    private int done;

    /**
     * The start of the part that is not passed on yet; the part is empty where {@code start ==
     * end}.
     */
    private int start;

    private int end;

    /** Whether something has been seen, and whether the last of it was a match. */
    private boolean any;

    private boolean matched;

    Splitter(Piece piece, Behavior behavior, Consumer<Piece> parts) {
      this.piece = piece;
      this.behavior = behavior;
      this.parts = parts;
      this.done = piece.from();
      this.start = done;
      this.end = done;
    }

    /**
     * Receives a match; {@code inverted} where the text between the matches counts as the match.
     */
    void match(int from, int to, boolean inverted) {
      if (done < from) {
        add(done, from, inverted);
      }
      add(from, to, !inverted);
      done = to;
    }

    void end(boolean inverted) {
      if (done < piece.to()) {
        add(done, piece.to(), inverted);
      }
      flush();
    }

    private void add(int from, int to, boolean match) {
      boolean join =
          any
              && switch (behavior) {
                case REMOVED, ISOLATED -> false;
                case CONTIGUOUS -> match == matched;
                case MERGED_WITH_PREVIOUS -> match && !matched;
                case MERGED_WITH_NEXT -> matched && !match;
              };
      any = true;
      matched = match;
      if (join) {
        end = to;
        return;
      }
      flush();
      start = match && behavior == Behavior.REMOVED ? to : from;
      end = to;
    }

    private void flush() {
      if (start < end) {
        parts.accept(piece.part(start, end));
      }
    }
  }

  /** Splits by a regular expression. */
  record Split(Regex pattern, Behavior behavior, boolean invert) implements PreTokenizer {
    @Override
    public void split(Piece piece, Work work, Consumer<Piece> parts) {
      Splitter splitter = new Splitter(piece, behavior, parts);
      pattern.find(
          piece.text(),
          piece.from(),
          piece.to(),
          work,
          (start, end) -> splitter.match(start, end, invert));
      splitter.end(invert);
    }
  }

  /** Splits at single characters. */
  record Characters(IntPredicate matches, Behavior behavior) implements PreTokenizer {
    @Override
    public void split(Piece piece, Work work, Consumer<Piece> parts) {
      work.spend(piece.to() - piece.from());
      Splitter splitter = new Splitter(piece, behavior, parts);
      int end;
      for (int at = piece.from(); at < piece.to(); at = end) {
        int c = piece.text().codePointAt(at);
        end = at + Character.charCount(c);
        if (matches.test(c)) {
          splitter.match(at, end, false);
        }
      }
      splitter.end(false);
    }
  }

  /** Writes bytes as the characters of {@link ByteAlphabet}, after GPT-2's split. */
  record ByteLevel(boolean prefixSpace, boolean words) implements PreTokenizer {
    private static final Regex WORDS =
        constant(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");

    @Override
    public void split(Piece piece, Work work, Consumer<Piece> parts) {
      Piece spaced = piece;
      if (prefixSpace && piece.text().charAt(piece.from()) != ' ') {
        work.write(piece.to() - piece.from() + 1);
        int leading = piece.first() ? Math.max(0, piece.leading() - piece.from()) : 0;
        spaced = Piece.of(" " + piece.string(), piece.first(), leading == 0 ? 0 : leading + 1);
      }
      if (!words) {
        parts.accept(written(spaced, work));
        return;
      }
      Splitter splitter =
          new Splitter(spaced, Behavior.ISOLATED, part -> parts.accept(written(part, work)));
      WORDS.find(
          spaced.text(),
          spaced.from(),
          spaced.to(),
          work,
          (start, end) -> splitter.match(start, end, false));
      splitter.end(false);
    }

    private static Piece written(Piece piece, Work work) {
      StringBuilder out = new StringBuilder(piece.to() - piece.from() + 8);
      int leading = 0;
      int end;
      for (int at = piece.from(); at < piece.to(); at = end) {
        int c = piece.text().codePointAt(at);
        end = at + Character.charCount(c);
        ByteAlphabet.append(c, out);
        leading = at < piece.leading() ? out.length() : leading;
      }
      work.write(out.length());
      return Piece.of(out.toString(), piece.first(), leading);
    }
  }

  /** Writes spaces as another character and splits before each. */
  record Metaspace(String replacement, Prefix prefix, boolean splits) implements PreTokenizer {
    /** Says where one is put before a piece that begins without it. */
    enum Prefix {
      ALWAYS,
      FIRST,
      NEVER
    }

    @Override
    public void split(Piece piece, Work work, Consumer<Piece> parts) {
      work.spend(piece.to() - piece.from() + 1);
      String text = piece.string().replace(" ", replacement);
      int leading = 0;
      if (piece.first()) {
        int until = Math.max(piece.from(), Math.min(piece.leading(), piece.to()));
        leading = piece.text().substring(piece.from(), until).replace(" ", replacement).length();
      }
      boolean prefixed =
          !text.startsWith(replacement)
              && switch (prefix) {
                case ALWAYS -> true;
                case FIRST -> piece.first();
                case NEVER -> false;
              };
      if (prefixed) {
        text = replacement + text;
        leading = leading == 0 ? 0 : leading + replacement.length();
      }
      Piece written = Piece.of(text, piece.first(), leading);
      if (!splits) {
        parts.accept(written);
        return;
      }
      Splitter splitter = new Splitter(written, Behavior.MERGED_WITH_NEXT, parts);
      for (int at = text.indexOf(replacement); at >= 0; ) {
        splitter.match(at, at + replacement.length(), false);
        at = text.indexOf(replacement, at + replacement.length());
      }
      splitter.end(false);
    }

    static Metaspace read(JsonKey key) {
      JsonKey scheme = key.at("prepend_scheme");
      Prefix prefix =
          scheme.isAbsent()
              ? Prefix.ALWAYS
              : switch (scheme.string()) {
                case "always" -> Prefix.ALWAYS;
                case "first" -> Prefix.FIRST;
                case "never" -> Prefix.NEVER;
                default -> throw scheme.expected("always, first or never");
              };
      if (!key.at("add_prefix_space").flag(true) && prefix != Prefix.NEVER) {
        throw scheme.expected("never, as add_prefix_space is false");
      }
      return new Metaspace(
          Character.toString(key.at("replacement").character()),
          prefix,
          key.at("split").flag(true));
    }
  }

  /** Splits into parts of a number of characters; the last may be shorter. */
  record FixedLength(int length) implements PreTokenizer {
    @Override
    public void split(Piece piece, Work work, Consumer<Piece> parts) {
      int end;
      for (int at = piece.from(); at < piece.to(); at = end) {
        end = at;
        for (int i = 0; i < length && end < piece.to(); i++) {
          end += Character.charCount(piece.text().codePointAt(end));
        }
        parts.accept(piece.part(at, end));
      }
    }
  }

  /**
   * Returns the pre-tokenizer of a file.
   *
   * @param key the pre-tokenizer or one within it
   */
  static PreTokenizer read(JsonKey key) {
    return switch (key.type()) {
      case "Sequence" ->
          new Sequence(key.at("pretokenizers").entries().stream().map(PreTokenizer::read).toList());
      case "BertPreTokenizer" ->
          new Sequence(
              List.of(
                  new Characters(PreTokenizer::isSpace, Behavior.REMOVED),
                  new Characters(UnicodeVersions::isPunctuation, Behavior.ISOLATED)));
      case "ByteLevel" -> {
        key.at("trim_offsets").flag();
        yield new ByteLevel(key.at("add_prefix_space").flag(), key.at("use_regex").flag(true));
      }
      case "CharDelimiterSplit" -> {
        int delimiter = key.at("delimiter").character();
        yield new Characters(c -> c == delimiter, Behavior.REMOVED);
      }
      case "Digits" ->
          new Characters(
              UnicodeVersions::isNumeric,
              key.at("individual_digits").flag() ? Behavior.ISOLATED : Behavior.CONTIGUOUS);
      case "FixedLength" ->
          new FixedLength(key.at("length").isAbsent() ? 5 : key.at("length").count(1));
      case "Metaspace" -> Metaspace.read(key);
      case "Punctuation" ->
          new Characters(
              UnicodeVersions::isPunctuation,
              key.at("behavior").isAbsent()
                  ? Behavior.ISOLATED
                  : Behavior.read(key.at("behavior")));
      case "Split" ->
          new Split(
              pattern(key.at("pattern")),
              Behavior.read(key.at("behavior")),
              key.at("invert").flag());
      case "Whitespace" -> whitespace();
      case "WhitespaceSplit" -> new Characters(PreTokenizer::isSpace, Behavior.REMOVED);
      default ->
          throw key.at("type")
              .expected(
                  "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, Metaspace,"
                      + " Punctuation, Sequence, Split, Whitespace or WhitespaceSplit");
    };
  }

  private static Regex constant(String pattern) {
    try {
      return Regex.of(RegexParser.parse(pattern));
    } catch (RegexParser.Unsupported e) {
      throw new IllegalStateException(e);
    }
  }

  /** Splits into words and runs of other visible characters: {@code \w+|[^\w\s]+}. */
  private static PreTokenizer whitespace() {
    CodePointSet words = CodePointSet.of(CharacterClass::word);
    CodePointSet others = words.union(CharacterSets.known("space")).complement();
    List<RegexNode> runs =
        Stream.of(words, others)
            .<RegexNode>map(set -> new Repeat(new One(set), 1, -1, Greed.GREEDY))
            .toList();
    return new Split(Regex.of(new RegexNode.Any(runs)), Behavior.REMOVED, true);
  }

  private static boolean isSpace(int c) {
    return CharacterClass.of(c) == CharacterClass.SPACE;
  }

  /** Reads a literal text or a regular expression. */
  static Regex pattern(JsonKey key) {
    JsonKey text = key.at("String");
    JsonKey regex = key.at("Regex");
    if (key.node().size() != 1 || text.isAbsent() && regex.isAbsent()) {
      throw key.expected("{\"String\": \"..\"} or {\"Regex\": \"..\"}");
    }
    return text.isAbsent()
        ? Regex.compile(regex.string(), regex)
        : Regex.literal(text.string(Normalizer.LONGEST));
  }
}
