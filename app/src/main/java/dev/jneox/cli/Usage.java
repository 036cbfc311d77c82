package dev.jneox.cli;

import dev.jneox.io.InputException;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/**
 * Reports options with values that no command could use, whatever its files hold. The exit code is
 * that of wrong usage, 2.
 */
public final class Usage {
  /** The name of a setting that a message begins with, before its unit. */
  private static final Pattern SETTING = Pattern.compile("^([a-z][a-z -]*[a-z])(?:, in [a-z]+)?:");

  /** What picocli says of a value that cannot be read. */
  private static final Pattern UNREAD =
      Pattern.compile(
          "Invalid value for (?:option|positional parameter) .*?: (.*)", Pattern.DOTALL);

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

  /**
   * Makes something of options alone, which it checks itself by an {@link InputException}. A
   * setting that the message begins with, such as {@code top p}, is named as the option {@code
   * --top-p}.
   */
  public static <T> T of(CommandSpec spec, Supplier<T> made) {
    try {
      return made.get();
    } catch (InputException e) {
      throw new ParameterException(spec.commandLine(), named(spec, e.getMessage()), e);
    }
  }

  private static String named(CommandSpec spec, String message) {
    Matcher setting = SETTING.matcher(message);
    if (!setting.find()) {
      return message;
    }
    String option = "--" + setting.group(1).replace(' ', '-');
    return spec.findOption(option) == null
        ? message
        : option + ":" + message.substring(setting.end());
  }

  /**
   * Describes in one line an option value that picocli could not convert.
   *
   * @return empty for another error
   */
  static Optional<String> unread(ParameterException error) {
    ArgSpec option = error.getArgSpec();
    if (option == null || error.getValue() == null) {
      return Optional.empty();
    }
    Matcher said = UNREAD.matcher(String.valueOf(error.getMessage()));
    if (!said.matches()) {
      return Optional.empty();
    }
    String name = option instanceof OptionSpec named ? named.longestName() : option.paramLabel();
    Class<?> type = option.isMultiValue() ? option.auxiliaryTypes()[0] : option.type();
    String expected = expected(type, option, error.getValue());
    return Optional.of(
        name
            + ": "
            + (expected.isEmpty()
                ? said.group(1)
                : "expected " + expected + ", found " + error.getValue()));
  }

  private static String expected(Class<?> type, ArgSpec option, String found) {
    if (type.isEnum()) {
      return option.paramLabel().contains("|")
          ? "one of " + option.paramLabel().replace("|", ", ")
          : "one of "
              + Stream.of(type.getEnumConstants())
                  .map(constant -> constant.toString().toLowerCase(Locale.ROOT))
                  .collect(Collectors.joining(", "));
    }
    boolean isInt = type == int.class || type == Integer.class;
    if (isInt || type == long.class || type == Long.class) {
      return found.matches("-?\\d+")
          ? "a whole number up to " + (isInt ? Integer.MAX_VALUE : Long.MAX_VALUE)
          : "a whole number";
    }
    return type == double.class || type == Double.class ? "a number" : "";
  }
}
