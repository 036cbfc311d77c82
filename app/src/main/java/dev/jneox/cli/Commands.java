package dev.jneox.cli;

import dev.jneox.cli.CommandModule.Entry;
import dev.jneox.cli.CommandModule.Need;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.function.Function;
import picocli.CommandLine.Command;

/** Finds the commands of all modules on the class path. */
final class Commands {
  private static final CommandModule CORE = new CoreCommands();

  private Commands() {}

  /** The modules beside core that the class path has, looked for when first asked for. */
  private static final class Others {
    static final List<CommandModule> ALL =
        ServiceLoader.load(CommandModule.class, CommandModule.class.getClassLoader()).stream()
            .map(ServiceLoader.Provider::get)
            .toList();
  }

  /** Lists every command that can run, in the order of the help. */
  static List<Class<?>> all() {
    return entries().stream()
        .filter(entry -> entry.missing().isEmpty())
        .<Class<?>>map(Entry::command)
        .toList();
  }

  /**
   * Finds a command that can run. Core's come first: to look for other modules opens every jar of
   * the class path.
   */
  static Optional<Class<?>> find(String name) {
    return named(CORE.commands(), name)
        .or(() -> named(entries(), name))
        .filter(entry -> entry.missing().isEmpty())
        .map(Entry::command);
  }

  /** Says what a command is missing; empty when it can run, or is none. */
  static Optional<Need> missing(String name) {
    return named(entries(), name).flatMap(Entry::missing);
  }

  /** Returns the first answer of a module that is not empty. */
  static <T> Optional<T> ask(Function<CommandModule, Optional<T>> question) {
    return Others.ALL.stream().map(question).flatMap(Optional::stream).findFirst();
  }

  /** The name that a class of a command has for picocli. */
  static String name(Class<?> command) {
    return command.getAnnotation(Command.class).name();
  }

  private static Optional<Entry> named(List<Entry> entries, String name) {
    return entries.stream().filter(entry -> name(entry.command()).equals(name)).findFirst();
  }

  private static List<Entry> entries() {
    List<Entry> entries = new ArrayList<>(CORE.commands());
    Others.ALL.forEach(module -> entries.addAll(module.commands()));
    entries.sort(Comparator.comparing(Entry::section)); // stable
    return entries;
  }
}
