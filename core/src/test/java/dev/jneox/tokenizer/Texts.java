package dev.jneox.tokenizer;

import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;

/** Texts that are hard for a tokenizer: pieces of many kinds put together at random. */
final class Texts {
  private Texts() {}

  static Arbitrary<String> any() {
    return Arbitraries.oneOf(
            List.of(
                Arbitraries.strings().ofMaxLength(8), // any UTF-16 unit, lone surrogates among them
                Arbitraries.integers()
                    .between(0, Character.MAX_CODE_POINT)
                    .map(Character::toString),
                Arbitraries.strings().ascii().ofMaxLength(12),
                Arbitraries.strings()
                    .withChars(" \t\n\r\u000B\f\u0085\u00A0\u1680\u2003\u2028\u3000\u200B\u001C")
                    .ofMaxLength(6),
                Arbitraries.integers().between(1, 60).map(" "::repeat),
                Arbitraries.of(
                    "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'", "''s", "'S", " 's", "'l",
                    "'r", "'v", "’s"),
                Arbitraries.of(
                    "the",
                    " the",
                    "then",
                    "public static",
                    " int i = 0;",
                    "}\n\n    }",
                    "StringBuilder",
                    "1234567890",
                    "A1b2",
                    "_x"),
                Arbitraries.of(
                    "<|endoftext|>",
                    "<|padding|>",
                    "<|endof",
                    "|>",
                    "<w>",
                    "<l>",
                    "<r>",
                    "<lr>",
                    " <l> ",
                    " <r>   ",
                    "a<w>b"),
                // Marks that compose with letters, in and out of order, and some that the library's
                // Unicode does not know yet.
                Arbitraries.strings()
                    .withChars(
                        "aeotAÉéóḷ가각\u1100\u1161\u11A8\u0301\u0323\u0345\u0334\u09FE\u1ABF\u07FD\u0958")
                    .ofMaxLength(8),
                Arbitraries.of(
                    "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "\uD83D", "\uDE42", "\uD83D\uD83D\uDE42"),
                Arbitraries.of("𝐱", "𐗉", "𝟙", "世", "你好，世界。", "हिन्दी", "שלום", "①Ⅷ½²٣", "ﬁ")))
        .list()
        .ofMaxSize(12)
        .map(pieces -> String.join("", pieces));
  }
}
