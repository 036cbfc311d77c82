package dev.jneox.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Changes a text before it is split: the key {@code normalizer} of a tokenizer.json. */
sealed interface Normalizer {
  /** The most characters that a rule of the file may insert. */
  int LONGEST = 1024;

  /** Returns the normalized text. */
  String normalize(String text, Work work);

  /**
   * Returns how many UTF-16 units of the normalized text come from the start of the document. The
   * library follows each character through all changes; {@link PreTokenizer.Metaspace} depends on
   * whether a piece begins where the document does.
   *
   * @param units of {@code text} that do so
   */
  default int leading(String text, int units, Work work) {
    return units == 0 ? 0 : normalize(text.substring(0, units), work).length();
  }

  /** Runs several normalizers in order. */
  record Sequence(List<Normalizer> steps) implements Normalizer {
    @Override
    public String normalize(String text, Work work) {
      for (Normalizer step : steps) {
        text = step.normalize(text, work);
      }
      return text;
    }

    @Override
    public int leading(String text, int units, Work work) {
      for (Normalizer step : steps) {
        units = step.leading(text, units, work);
        text = step.normalize(text, work);
      }
      return units;
    }
  }

  /** Applies a normalization form of Unicode. */
  record Form(NormalForm form) implements Normalizer {
    @Override
    public String normalize(String text, Work work) {
      work.spend(text.length());
      String normalized = form.normalize(text);
      work.write(normalized.length());
      return normalized;
    }
  }

  /** Changes each character independently. */
  enum EachCharacter implements Normalizer {
    LOWERCASE {
      @Override
      void append(int c, StringBuilder out) {
        if (c == 0x130) {
          out.append("i\u0307"); // Unicode's only letter with a longer lower case
        } else {
          out.appendCodePoint(UnicodeVersions.toLowerCase(c));
        }
      }
    },
    STRIP_ACCENTS {
      @Override
      void append(int c, StringBuilder out) {
        if (!UnicodeVersions.isMark(c)) {
          out.appendCodePoint(c);
        }
      }
    },
    /** Applies the rules of Google's machine translation, without its table. */
    NMT {
      @Override
      void append(int c, StringBuilder out) {
        boolean gone =
            c >= 1 && c <= 8
                || c == 0xB
                || c >= 0xE && c <= 0x1F
                || c == 0x7F
                || c == 0x8F
                || c == 0x9F;
        if (!gone) {
          boolean space =
              switch (c) {
                case '\t',
                    '\n',
                    '\f',
                    '\r',
                    0x1680,
                    0x200B,
                    0x200C,
                    0x200D,
                    0x200E,
                    0x200F,
                    0x2028,
                    0x2029,
                    0x2581,
                    0xFEFF,
                    0xFFFD ->
                    true;
                default -> false;
              };
          out.appendCodePoint(space ? ' ' : c);
        }
      }
    },
    /** Writes the bytes of each character as characters of {@link ByteAlphabet}. */
    BYTE_LEVEL {
      @Override
      void append(int c, StringBuilder out) {
        ByteAlphabet.append(c, out);
      }
    },
    /** Applies BERT's clean-up: no control characters, one kind of space. */
    CLEAN {
      @Override
      void append(int c, StringBuilder out) {
        boolean breaks = c == '\t' || c == '\n' || c == '\r';
        if (breaks || CharacterClass.of(c) == CharacterClass.SPACE) {
          // U+000B, U+000C and U+0085 are control characters here.
          if (breaks || Character.getType(c) != Character.CONTROL) {
            out.append(' ');
          }
        } else if (c != 0 && c != 0xFFFD && !UnicodeVersions.isControl(c)) {
          out.appendCodePoint(c);
        }
      }
    },
    /** Puts spaces around Chinese characters, as BERT does. */
    CHINESE {
      @Override
      void append(int c, StringBuilder out) {
        if (c >= 0x3400 && CharacterClass.in(CHINESE_CHARACTERS, c)) {
          out.append(' ').appendCodePoint(c).append(' ');
        } else {
          out.appendCodePoint(c);
        }
      }
    },
    /** Removes nonspacing marks, as BERT does. */
    STRIP_NONSPACING {
      @Override
      void append(int c, StringBuilder out) {
        if (!UnicodeVersions.isNonspacingMark(c)) {
          out.appendCodePoint(c);
        }
      }
    };

    private static final int[] CHINESE_CHARACTERS = {
      0x3400, 0x4DBF, 0x4E00, 0x9FFF, 0xF900, 0xFAFF, 0x20000, 0x2A6DF, 0x2A700, 0x2B81F, 0x2B920,
      0x2CEAF, 0x2F800, 0x2FA1F,
    };

    abstract void append(int c, StringBuilder out);

    @Override
    public String normalize(String text, Work work) {
      work.spend(text.length());
      StringBuilder out = new StringBuilder(text.length() + 16);
      int c;
      for (int at = 0; at < text.length(); at += Character.charCount(c)) {
        c = text.codePointAt(at);
        append(c, out);
      }
      work.write(out.length());
      return out.toString();
    }
  }

  /** Removes white space from the ends. */
  record Strip(boolean left, boolean right) implements Normalizer {
    @Override
    public String normalize(String text, Work work) {
      work.spend(text.length());
      int from = left ? start(text) : 0;
      int to = text.length();
      while (right && to > from && space(text.codePointBefore(to))) {
        to -= Character.charCount(text.codePointBefore(to));
      }
      return text.substring(from, to);
    }

    private static int start(String text) {
      int from = 0;
      while (from < text.length() && space(text.codePointAt(from))) {
        from += Character.charCount(text.codePointAt(from));
      }
      return from;
    }

    private static boolean space(int c) {
      return CharacterClass.of(c) == CharacterClass.SPACE;
    }

    @Override
    public int leading(String text, int units, Work work) {
      return Math.max(0, units - (left ? start(text) : 0));
    }
  }

  /** Prepends a text to every text that is not empty. */
  record Prepend(String prefix) implements Normalizer {
    @Override
    public String normalize(String text, Work work) {
      if (text.isEmpty()) {
        return text;
      }
      work.write((long) prefix.length() + text.length());
      return prefix + text;
    }

    @Override
    public int leading(String text, int units, Work work) {
      return units == 0 ? 0 : units + prefix.length();
    }
  }

  /** Replaces each match. */
  record Replace(Regex pattern, String content) implements Normalizer {
    @Override
    public String normalize(String text, Work work) {
      StringBuilder out = new StringBuilder();
      int[] done = {0};
      pattern.find(
          text,
          0,
          text.length(),
          work,
          (start, end) -> {
            work.spend(start - done[0] + content.length());
            work.bound(out.length());
            out.append(text, done[0], start).append(content);
            done[0] = end;
          });
      if (done[0] == 0 && out.isEmpty()) {
        return text;
      }
      return out.append(text, done[0], text.length()).toString();
    }

    @Override
    public int leading(String text, int units, Work work) {
      // What is put in counts as the last character that it replaces.
      int[] state = {0, 0}; // behind the last match, units so far
      pattern.find(
          text,
          0,
          text.length(),
          work,
          (start, end) -> {
            state[1] += Math.max(0, Math.min(start, units) - state[0]);
            state[1] += end == 0 || end <= units ? content.length() : 0;
            state[0] = Math.max(state[0], Math.min(end, units));
          });
      return state[1] + Math.max(0, units - state[0]);
    }
  }

  /** Applies SentencePiece's table of replacements. */
  record Precompiled(Charsmap map) implements Normalizer {
    @Override
    public String normalize(String text, Work work) {
      return map.normalize(text, 0, work).text();
    }

    @Override
    public int leading(String text, int units, Work work) {
      return map.normalize(text, units, work).leading();
    }
  }

  /**
   * Reads the normalizer of a file.
   *
   * @param key the normalizer or one within it
   */
  static Normalizer read(JsonKey key) {
    String type = key.type();
    return switch (type) {
      case "Sequence" ->
          new Sequence(key.at("normalizers").entries().stream().map(Normalizer::read).toList());
      case "NFC", "NFD", "NFKC", "NFKD" -> new Form(NormalForm.valueOf(type));
      case "Lowercase" -> EachCharacter.LOWERCASE;
      case "StripAccents" -> EachCharacter.STRIP_ACCENTS;
      case "Nmt" -> EachCharacter.NMT;
      case "ByteLevel" -> EachCharacter.BYTE_LEVEL;
      case "Strip" -> new Strip(key.at("strip_left").flag(), key.at("strip_right").flag());
      case "Prepend" -> new Prepend(key.at("prepend").string(LONGEST));
      case "Replace" -> replace(key);
      case "Precompiled" -> new Precompiled(Charsmap.read(key.at("precompiled_charsmap")));
      case "Bert", "BertNormalizer" -> bert(key);
      default ->
          throw key.at("type")
              .expected(
                  "BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled,"
                      + " Prepend, Replace, Sequence, Strip or StripAccents");
    };
  }

  /** Reads {@code Replace}, which is a normalizer and a decoder. */
  static Replace replace(JsonKey key) {
    return new Replace(PreTokenizer.pattern(key.at("pattern")), key.at("content").string(LONGEST));
  }

  private static Normalizer bert(JsonKey key) {
    List<Normalizer> steps = new ArrayList<>();
    if (key.at("clean_text").flag()) {
      steps.add(EachCharacter.CLEAN);
    }
    if (key.at("handle_chinese_chars").flag()) {
      steps.add(EachCharacter.CHINESE);
    }
    boolean lowercase = key.at("lowercase").flag();
    if (key.at("strip_accents").flag(lowercase)) {
      steps.add(new Form(NormalForm.NFD));
      steps.add(EachCharacter.STRIP_NONSPACING);
    }
    if (lowercase) {
      steps.add(EachCharacter.LOWERCASE);
    }
    return new Sequence(steps);
  }
}
