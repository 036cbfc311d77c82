package dev.jneox.infer;

import dev.jneox.tokenizer.StreamingDecoder;
import dev.jneox.tokenizer.Tokenizer;
import java.util.List;

/**
 * Turns tokens into text, released as soon as it is certain and cut before a stop string. A
 * character waits for the last of its tokens; text that may be the start of a stop string waits
 * until it is one or is not. Where several stop strings overlap, the first to be complete counts.
 */
final class GeneratedText {
  private final StreamingDecoder decoder;
  private final List<String> stops;
  private final int longest;
  private final StringBuilder text = new StringBuilder();
  private int released;
  private boolean stopped;

  GeneratedText(Tokenizer tokenizer, List<String> stops) {
    this.decoder = new StreamingDecoder(tokenizer);
    this.stops = stops;
    this.longest = stops.stream().mapToInt(String::length).max().orElse(0);
  }

  /** Takes the next token and returns the text that is certain now. */
  String next(int id) {
    append(decoder.next(id));
    return release(stopped ? text.length() : text.length() - undecided());
  }

  /** Returns the text that was held back; no token follows. */
  String finish() {
    if (!stopped) {
      append(decoder.finish());
    }
    return release(text.length());
  }

  /** Whether a stop string has come; the text ends before it. */
  boolean stopped() {
    return stopped;
  }

  /** Returns all the text so far, including that held back. */
  @Override
  public String toString() {
    return text.toString();
  }

  private void append(String fresh) {
    int from = Math.max(0, text.length() - longest + 1);
    text.append(fresh);
    int cut = -1;
    int end = Integer.MAX_VALUE;
    for (String stop : stops) {
      int at = text.indexOf(stop, from);
      if (at >= 0 && (at + stop.length() < end || at + stop.length() == end && at < cut)) {
        cut = at;
        end = at + stop.length();
      }
    }
    if (cut >= 0) {
      text.setLength(cut);
      stopped = true;
    }
  }

  /** Returns the length of the longest end of the text that a stop string starts with. */
  private int undecided() {
    for (int n = Math.min(longest - 1, text.length() - released); n > 0; n--) {
      String end = text.substring(text.length() - n);
      if (stops.stream().anyMatch(stop -> stop.startsWith(end))) {
        return n;
      }
    }
    return 0;
  }

  private String release(int until) {
    String fresh = text.substring(released, until);
    released = until;
    return fresh;
  }
}
