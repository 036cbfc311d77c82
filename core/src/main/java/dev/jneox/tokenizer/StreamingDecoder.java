package dev.jneox.tokenizer;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Decodes ids one at a time, for a terminal or a stream of server events: each call returns the
 * text that has become certain, so that a character whose bytes are spread over several tokens
 * appears once it is whole. All that is returned, up to {@link #finish}, is exactly what {@link
 * Tokenizer#decode} makes of all the ids together. For one stream, on one thread at a time.
 */
public final class StreamingDecoder {
  private static final char REPLACEMENT = '\uFFFD';

  private final Tokenizer tokenizer;

  /** Of a tokenizer that decodes one by one itself; null for one whose ids stand for bytes. */
  private PipelineTokenizer.@Nullable Decoding decoding;

  /**
   * The ids that still matter: from a place between two characters on, the last id before that
   * place first.
   */
  private int[] window = new int[8];

  private int size;

  /** How much of the window's text has been returned. */
  private int returned;

  /** Whether the window ends between two characters. */
  private boolean whole = true;

  public StreamingDecoder(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    decoding = start(tokenizer);
  }

  private static PipelineTokenizer.@Nullable Decoding start(Tokenizer tokenizer) {
    return tokenizer instanceof PipelineTokenizer pipeline ? pipeline.new Decoding() : null;
  }

  /**
   * Takes the next id and returns the text that is certain now and has not been returned; may be
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
    if (whole && startsWhole) {
      // The last id alone is context enough.
      window[0] = id;
      size = 1;
      returned = tokenizer.decode(new int[] {id}).length();
    }
    return fresh;
  }

  /**
   * Ends the text: returns what was held back, as U+FFFD where a character stayed incomplete. The
   * decoder starts anew.
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
