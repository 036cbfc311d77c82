package dev.jneox.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** The automaton against a search that tries every token at every place. */
class AddedTokensTest {
  private record Utf16(String string) implements AddedTokens.Text {
    @Override
    public int symbol(int at) {
      return string.charAt(at);
    }

    @Override
    public int codePoint(int at) {
      return string.charAt(at);
    }

    @Override
    public int before(int at) {
      return at - 1;
    }

    @Override
    public int after(int at) {
      return at + 1;
    }
  }

  @Provide
  Arbitrary<List<String>> tokens() {
    return Arbitraries.strings().withChars("abą").ofMinLength(1).ofMaxLength(5).list().ofMaxSize(8);
  }

  /** A trie that is copied for every node takes minutes. */
  @Example
  void longAndManyTokensTakeTimeInProportionToTheirLength() {
    List<String> contents = new ArrayList<>(List.of("x".repeat(200_000)));
    for (int i = 0; i < 10_000; i++) {
      contents.add("token of 18 c%05d".formatted(i));
    }
    List<AddedToken> tokens = new ArrayList<>();
    for (int i = 0; i < contents.size(); i++) {
      tokens.add(new AddedToken(i, contents.get(i), false, false, false, false, false));
    }
    AddedTokens built =
        assertTimeoutPreemptively(
            Duration.ofSeconds(20),
            () -> new AddedTokens(tokens, contents.stream().map(String::toCharArray).toList()));
    assertThat(built.isEmpty()).isFalse();
  }

  @Provide
  Arbitrary<String> texts() {
    return Arbitraries.strings().withChars("aaabąc").ofMaxLength(40);
  }

  @Property(tries = 2000)
  void findsTheLongestAtEachPlace(
      @ForAll("tokens") List<String> contents, @ForAll("texts") String text) {
    List<AddedToken> tokens = new ArrayList<>();
    for (int i = 0; i < contents.size(); i++) {
      tokens.add(new AddedToken(i, contents.get(i), false, false, false, false, false));
    }
    List<String> parts = new ArrayList<>();
    new AddedTokens(tokens, contents.stream().map(String::toCharArray).toList())
        .cut(
            new Utf16(text),
            0,
            text.length(),
            new AddedTokens.Parts() {
              @Override
              public void token(int id) {
                parts.add("token " + id);
              }

              @Override
              public void text(int from, int to) {
                parts.add("text " + text.substring(from, to));
              }
            });
    assertThat(parts).isEqualTo(plain(contents, text));
  }

  private static List<String> plain(List<String> contents, String text) {
    List<String> parts = new ArrayList<>();
    int done = 0;
    for (int at = 0; at < text.length(); ) {
      int best = -1;
      for (int i = 0; i < contents.size(); i++) {
        boolean longer = best < 0 || contents.get(i).length() > contents.get(best).length();
        best = longer && text.startsWith(contents.get(i), at) ? i : best;
      }
      if (best < 0) {
        at++;
        continue;
      }
      if (done < at) {
        parts.add("text " + text.substring(done, at));
      }
      parts.add("token " + best);
      at += contents.get(best).length();
      done = at;
    }
    if (done < text.length()) {
      parts.add("text " + text.substring(done));
    }
    return parts;
  }
}
