package dev.jneox.tokenizer;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Decodes ids one at a time, for a terminal or a stream of server events. Each call returns the
 * text that is final, so that a character whose bytes span several tokens appears once it is
 * complete. The texts, up to {@link #finish}, add up to exactly the result of {@link
 * Tokenizer#decode} for all ids. Not thread-safe.
 */
public final class StreamingDecoder {
  private static final char REPLACEMENT = '\uFFFD';

  private final Tokenizer tokenizer;

  /** The decoder of a tokenizer that streams itself; null for one whose ids represent bytes. */
  private PipelineTokenizer.@Nullable Decoding decoding;

  /**
   * The ids that still affect the text: the last id before a boundary between characters, and all
   * ids after it.
   */
  private int[] window = new int[8];

  private int size;

  /** How much of the window's text has been returned. */
  private int returned;

  /** Whether the window ends between two characters. */
  private boolean whole = true;

  /** Starts a stream. */
  public StreamingDecoder(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    decoding = start(tokenizer);
  }

  private static PipelineTokenizer.@Nullable Decoding start(Tokenizer tokenizer) {
    return tokenizer instanceof PipelineTokenizer pipeline ? pipeline.new Decoding() : null;
  }

  /**
   * Takes the next id and returns the text that is final now and was not returned before; may be
   * empty.
   */
  public String next(int id) {
    if (decoding != null) {
      return decoding.next(id);
    }
    boolean startsWhole = whole;
    if (size == window.length) {
      window = Arrays.copyOf(window, 2 * size);
    }
    window[size++] = id;
    String text = tokenizer.decode(Arrays.copyOf(window, size));
    // Bytes that may yet become a character are read as one U+FFFD at the very end: hold that one
    // back.
    whole = text.isEmpty() || text.charAt(text.length() - 1) != REPLACEMENT;
    String fresh =
        text.substring(
            Math.min(returned, text.length()), whole ? text.length() : text.length() - 1);
    returned += fresh.length();
    // The last id alone is enough context where it begins a character. What lies before it is then
    // dropped, so that a long run of bytes that are no UTF-8 takes no more time than text.
    String alone = whole && !startsWhole ? "" : tokenizer.decode(new int[] {id});
    if (whole && startsWhole || beginsCharacter(text, alone)) {
      window[0] = id;
      size = 1;
      returned = alone.length() - (whole ? 0 : 1);
    }
    return fresh;
  }

  /**
   * Returns whether the last id begins a character, from the text of the window and that of the id:
   * a character that begins before it is one U+FFFD or more where it is cut in two.
   */
  private boolean beginsCharacter(String text, String alone) {
    return !whole
        && !alone.isEmpty()
        && text.length()
            == tokenizer.decode(Arrays.copyOf(window, size - 1)).length() + alone.length();
  }

  /**
   * Ends the text and returns the rest, with U+FFFD for an incomplete character. The decoder can
   * then decode another text.
   */
  public String finish() {
    if (decoding != null) {
      String rest = decoding.end();
      decoding = start(tokenizer);
      return rest;
    }
    String text = tokenizer.decode(Arrays.copyOf(window, size));
    String rest = text.substring(Math.min(returned, text.length()));
    size = 0;
    returned = 0;
    whole = true;
    return rest;
  }
}
