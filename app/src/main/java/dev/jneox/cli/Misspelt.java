package dev.jneox.cli;

import dev.jneox.io.Spelling;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Names an option or a command that there is not, and the one that was meant. */
final class Misspelt {
  private Misspelt() {}

  /**
   * Words an error that an unknown option or command is behind. An option that is missing because
   * its name is misspelt counts as unknown.
   *
   * @return empty for any other error
   */
  static Optional<String> word(ParameterException error) {
    List<String> unknown =
        switch (error) {
          case UnmatchedArgumentException e -> e.getUnmatched();
          case MissingParameterException e ->
              e.getCommandLine().getUnmatchedArguments().stream()
                  .filter(argument -> argument.matches("-.*[A-Za-z].*"))
                  .toList();
          default -> List.of();
        };
    return unknown.stream().findFirst().map(first -> word(error.getCommandLine(), first));
  }

  private static String word(CommandLine command, String argument) {
    if (argument.startsWith("-")) {
      String name = argument.replaceFirst("=.*", "");
      return "unknown option " + name + meant(name, options(command));
    }
    return command.getSubcommands().isEmpty()
        ? "unexpected argument " + argument
        : command(argument, command.getSubcommands().keySet());
  }

  /** Words a command's name that there is not, with the one that was meant. */
  static String command(String name, Iterable<String> names) {
    return "unknown command " + name + meant(name, names);
  }

  private static List<String> options(CommandLine command) {
    List<String> names = new ArrayList<>();
    for (OptionSpec option : command.getCommandSpec().options()) {
      if (!option.hidden()) {
        names.add(option.longestName());
      }
    }
    return names;
  }

  /** Compares without hyphens, so that {@code -model} and {@code -m} begin {@code --model}. */
  private static String meant(String wrong, Iterable<String> names) {
    List<String> words = new ArrayList<>();
    List<String> all = new ArrayList<>();
    for (String name : names) {
      all.add(name);
      words.add(name.replaceFirst("^-+", ""));
    }
    return Spelling.nearest(wrong.replaceFirst("^-+", ""), words)
        .map(word -> ": did you mean " + all.get(words.indexOf(word)) + "?")
        .orElse("");
  }
}
