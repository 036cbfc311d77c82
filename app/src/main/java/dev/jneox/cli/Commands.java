package dev.jneox.cli;

import dev.jneox.cli.CommandModule.Entry;
import dev.jneox.cli.CommandModule.Need;
import dev.jneox.io.VisibleText;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.function.Function;
import picocli.CommandLine.Command;

/** Finds the commands of all modules on the class path. */
final class Commands {
  private static final CommandModule CORE = new CoreCommands();

  private Commands() {}

  /**
   * Holds the modules beside core that the class path has, looked for when first asked for. A
   * module that cannot be loaded, and a command whose name is taken, is left out with a warning, so
   * that all other commands run.
   */
  private static final class Others {
    static final List<CommandModule> MODULES = new ArrayList<>();
    static final List<Entry> ENTRIES = new ArrayList<>();
    private static final Map<String, CommandModule> OWNERS = new HashMap<>();

    static {
      CORE.commands().forEach(entry -> OWNERS.put(name(entry.command()), CORE));
      Iterator<CommandModule> modules =
          ServiceLoader.load(CommandModule.class, CommandModule.class.getClassLoader()).iterator();
      Set<String> errors = new HashSet<>();
      boolean more = true;
      while (more) {
        try {
          more = modules.hasNext();
          if (more) {
            add(modules.next());
          }
        } catch (ServiceConfigurationError | LinkageError e) {
          // The iterator goes on behind a provider that fails. Where it cannot, it repeats itself.
          more = errors.add(String.valueOf(e.getMessage()));
          if (more) {
            warn("a command module is left out: " + reason(e));
          }
        }
      }
    }

    private static void add(CommandModule module) {
      String provider = module.getClass().getName();
      Map<String, Entry> named = new LinkedHashMap<>();
      try {
        module.commands().forEach(entry -> named.put(name(entry.command()), entry));
      } catch (LinkageError | RuntimeException e) {
        warn("the command module " + provider + " is left out: " + reason(e));
        return;
      }
      MODULES.add(module);
      named.forEach(
          (name, entry) -> {
            CommandModule owner = OWNERS.putIfAbsent(name, module);
            if (owner == null) {
              ENTRIES.add(entry);
            } else {
              warn(
                  "the command "
                      + name
                      + " of "
                      + provider
                      + " is left out, because "
                      + owner.getClass().getName()
                      + " has one of that name: remove one of the two jars from the class path");
            }
          });
    }

    private static String reason(Throwable e) {
      String message =
          e instanceof ServiceConfigurationError
              ? String.valueOf(e.getMessage()).replace(CommandModule.class.getName() + ": ", "")
              : e.toString();
      return message
          + (e.getCause() == null ? "" : ": " + e.getCause())
          + ": remove its jar from the class path, or add the jars that it needs";
    }

    private static void warn(String line) {
      new PrintWriter(System.err, true, StandardCharsets.UTF_8)
          .println("jneox: warning: " + VisibleText.line(line));
    }
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
    return Others.MODULES.stream().map(question).flatMap(Optional::stream).findFirst();
  }

  /** The name that a class of a command has for picocli. */
  static String name(Class<?> command) {
    Command annotation = command.getAnnotation(Command.class);
    if (annotation == null) {
      throw new IllegalArgumentException(command.getName() + " has no annotation @Command");
    }
    return annotation.name();
  }

  private static Optional<Entry> named(List<Entry> entries, String name) {
    return entries.stream().filter(entry -> name(entry.command()).equals(name)).findFirst();
  }

  private static List<Entry> entries() {
    List<Entry> entries = new ArrayList<>(CORE.commands());
    entries.addAll(Others.ENTRIES);
    entries.sort(Comparator.comparing(Entry::section)); // stable
    return entries;
  }
}
