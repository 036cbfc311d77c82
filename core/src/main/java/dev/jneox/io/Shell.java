package dev.jneox.io;

/** Writes commands that a user may copy into a shell. */
public final class Shell {
  private Shell() {}

  /** Returns a word so that a POSIX shell reads it as one: in quotes where it needs them. */
  public static String quoted(Object word) {
    String text = word.toString();
    return text.matches("[A-Za-z0-9_./:=,@%+-]+") ? text : "'" + text.replace("'", "'\\''") + "'";
  }
}
