package dev.jneox.cli;

import dev.jneox.io.InputException;
import java.util.function.Supplier;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/**
 * Reports options with values that no command could use, whatever its files hold. The exit code is
 * that of wrong usage, 2.
 */
public final class Usage {
  private Usage() {}

  /**
   * Checks a value.
   *
   * @param option by its name, such as {@code --limit}
   */
  public static void require(
      CommandSpec spec, boolean holds, String option, String expected, Object found) {
    if (!holds) {
      throw new ParameterException(
          spec.commandLine(), option + ": expected " + expected + ", found " + found);
    }
  }

  /** Makes something of options alone, which it checks itself by an {@link InputException}. */
  public static <T> T of(CommandSpec spec, Supplier<T> made) {
    try {
      return made.get();
    } catch (InputException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    }
  }
}
