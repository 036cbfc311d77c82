package dev.jneox.io;

import java.util.Locale;

/** Writes numbers of things with their noun. */
public final class Counted {
  private Counted() {}

  /**
   * Returns {@code 1 document} or {@code 1,200 documents}.
   *
   * @param noun in the singular, whose plural ends in s
   */
  public static String text(long n, String noun) {
    return String.format(Locale.ROOT, "%,d %s%s", n, noun, n == 1 ? "" : "s");
  }
}
