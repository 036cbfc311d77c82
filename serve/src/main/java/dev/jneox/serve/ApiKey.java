package dev.jneox.serve;

import dev.jneox.io.InputException;
import dev.jneox.io.VisibleText;

/**
 * Holds a key that lets requests in.
 *
 * @param key what a request brings
 * @param name by which the log names who sent it
 * @param perMinute most requests in a minute; 0 sets no limit
 */
public record ApiKey(String key, String name, int perMinute) {
  private static final int MOST = 1_000_000;

  /**
   * @throws InputException when the key is empty, or the limit out of range
   */
  public ApiKey {
    if (key.isBlank()) {
      throw new InputException("API key: expected some text, found none");
    }
    if (perMinute < 0 || perMinute > MOST) {
      throw new InputException(
          "requests per minute: expected 0 to %d, found %d".formatted(MOST, perMinute));
    }
  }

  /**
   * Reads a line of a key file: {@code KEY [name] [requests-per-minute]}.
   *
   * @param byDefault name of a key that has none
   * @throws InputException when the line is not of this form; it does not show the key
   */
  public static ApiKey parse(String line, String byDefault) {
    String[] words = line.strip().split("\\s+");
    if (words.length > 3) {
      throw new InputException(
          "expected KEY [name] [requests-per-minute], found " + words.length + " words");
    }
    if (words.length < 3) {
      return new ApiKey(words[0], words.length > 1 ? words[1] : byDefault, 0);
    }
    if (!words[2].matches("[1-9]\\d{0,6}")) {
      throw new InputException(
          "requests per minute: expected a number from 1 to %d, found %s"
              .formatted(MOST, VisibleText.of(words[2])));
    }
    return new ApiKey(words[0], words[1], Integer.parseInt(words[2]));
  }

  /** Names the key; the key itself is in no log. */
  @Override
  public String toString() {
    return "API key of " + name;
  }
}
