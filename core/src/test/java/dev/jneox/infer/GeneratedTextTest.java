package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;

class GeneratedTextTest {
  @Property(tries = 2000)
  void whateverTheTokensTheTextEndsBeforeTheFirstStopStringThatIsComplete(
      @ForAll @Size(max = 12)
          List<@CharRange(from = 'a', to = 'c') @StringLength(max = 4) String> pieces,
      @ForAll @Size(max = 3)
          List<@CharRange(from = 'a', to = 'c') @StringLength(min = 1, max = 4) String> stops) {
    String whole = String.join("", pieces);
    String expected = cut(whole, stops);
    GeneratedText text = new GeneratedText(new Pieces(pieces), stops);
    StringBuilder streamed = new StringBuilder();
    for (int id = 0; id < pieces.size() && !text.stopped(); id++) {
      streamed.append(text.next(id));
      assertThat(expected).startsWith(streamed);
      // Nothing waits without need.
      String held = text.toString().substring(streamed.length());
      assertThat(held.isEmpty() || stops.stream().anyMatch(s -> s.startsWith(held)))
          .as("held back: %s", held)
          .isTrue();
    }
    assertThat(text.stopped()).isEqualTo(!expected.equals(whole));
    streamed.append(text.finish());
    assertThat(streamed).hasToString(expected);
    assertThat(text).hasToString(expected);
  }

  private static String cut(String text, List<String> stops) {
    for (int end = 1; end <= text.length(); end++) {
      for (int start = 0; start < end; start++) {
        if (stops.contains(text.substring(start, end))) {
          return text.substring(0, start);
        }
      }
    }
    return text;
  }

  @Test
  void aCharacterWaitsForItsLastByte() {
    List<String> bytes = new ArrayList<>();
    for (byte b : "grün 🙂!".getBytes(StandardCharsets.UTF_8)) {
      bytes.add(String.valueOf((char) (b & 0xFF)));
    }
    GeneratedText text = new GeneratedText(new Pieces(bytes), List.of("🙂?"));
    List<String> streamed = IntStream.range(0, bytes.size()).mapToObj(text::next).toList();
    assertThat(streamed).containsExactly("g", "r", "", "ü", "n", " ", "", "", "", "", "🙂!");
    assertThat(text.finish()).isEmpty();
  }

  @Test
  void aCharacterThatNeverEndsIsShownAsMissing() {
    GeneratedText text = new GeneratedText(new Pieces(List.of("a", "\u00F0", "\u009F")), List.of());
    assertThat(List.of(text.next(0), text.next(1), text.next(2), text.finish()))
        .containsExactly("a", "", "", "\uFFFD");
  }
}
