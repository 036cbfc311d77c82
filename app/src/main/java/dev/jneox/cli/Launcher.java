package dev.jneox.cli;

/** Names this program as its user starts it, for commands that a text suggests. */
public final class Launcher {
  private Launcher() {}

  /**
   * Returns {@code ./jneox} in a checkout; the launcher of an image says {@code jneox}, as in the
   * help.
   */
  public static String command() {
    return System.getProperty("jneox.command", "./jneox");
  }
}
