package dev.jneox.cli;

import dev.jneox.cli.CommandModule.Need;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.JneoxException;
import dev.jneox.io.MachineException;
import dev.jneox.io.MappedFile;
import dev.jneox.io.PeerException;
import dev.jneox.io.VisibleText;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** Runs the command line: the subcommands of every module on the class path. */
@Command(
    name = "jneox",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    description = "GPT-NeoX on the JVM: from raw text to a trained model that writes.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:a file, model or run that is not as it should be, or output that cannot be written",
      "2:wrong usage: an option that there is not, or that no input would make right",
      "71:the machine computed a step twice and not with the same result",
      "75:another process of the run failed, and says why",
      "130:stopped by Ctrl-C",
      "143:stopped by SIGTERM",
      "141:standard output was closed early, as head closes a pipe"
    })
public final class Main {
  private static final int STOPPED = 130;

  private Main() {}

  /** Runs one command and returns its exit code; used by {@link Start} and by the tests. */
  public static int run(String... args) {
    return run(() -> needed(args), args);
  }

  /**
   * Runs a command of a process that has a class path of its own, and no other commands.
   *
   * @param command a class with picocli's annotation {@code Command}
   * @param args the command's name and what follows
   * @return the exit code
   */
  public static int runAlone(Class<?> command, String... args) {
    return run(() -> List.of(command), args);
  }

  private static int run(Supplier<List<Class<?>>> commands, String... args) {
    PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
    int code;
    try {
      CommandLine line = commandLine(commands.get());
      try {
        code = execute(line, args);
      } finally {
        line.getOut().flush();
      }
    } catch (Error | RuntimeException e) {
      code = failed(err, e);
    }
    return StandardOutput.exitCode(code, err);
  }

  /** A command that only lacks jars says which, instead of being unknown. */
  private static int execute(CommandLine line, String... args) {
    int named = args.length > 1 && args[0].equals("help") ? 1 : 0; // jneox help train
    Optional<Need> missing =
        args.length == 0 || line.getSubcommands().containsKey(args[named])
            ? Optional.empty()
            : Commands.missing(args[named]);
    if (missing.isEmpty()) {
      return line.execute(args);
    }
    Need need = missing.get();
    line.getErr()
        .println(
            "jneox: "
                + args[named]
                + ": needs "
                + need.jar()
                + ", and the class path has no "
                + need.type());
    return 1;
  }

  /**
   * The command that is asked for: to look through the options of all the others takes a quarter of
   * a second.
   */
  private static List<Class<?>> needed(String... args) {
    if (args.length == 1 && List.of("-V", "--version").contains(args[0])) {
      return List.of();
    }
    Optional<Class<?>> named = args.length == 0 ? Optional.empty() : Commands.find(args[0]);
    return named.<List<Class<?>>>map(List::of).orElseGet(Main::all);
  }

  private static List<Class<?>> all() {
    List<Class<?>> all = new ArrayList<>(Commands.all());
    all.add(CommandLine.HelpCommand.class);
    return all;
  }

  static CommandLine commandLine() {
    return commandLine(all());
  }

  private static CommandLine commandLine(List<Class<?>> commands) {
    CommandLine line = new CommandLine(new Main());
    // A CommandLine of its own, for picocli forgets the model transformer of a class.
    commands.forEach(
        command ->
            line.addSubcommand(
                Commands.name(command),
                // What follows the command that is launched belongs to that.
                new CommandLine(command).setStopAtPositional(command == LaunchCommand.class)));
    line.setCaseInsensitiveEnumValuesAllowed(true);
    // A prompt may well begin with @.
    line.setExpandAtFiles(false);
    line.registerConverter(Path.class, Main::path);
    // Text and JSON are UTF-8 in every locale.
    // Made over the stream itself, so that checkError asks it.
    line.setOut(new PrintWriter(System.out, true, StandardCharsets.UTF_8));
    line.setErr(new PrintWriter(System.err, true, StandardCharsets.UTF_8));
    line.setParameterExceptionHandler(Main::wrongUsage);
    line.setExecutionExceptionHandler(
        (exception, command, parsed) -> failed(command.getErr(), exception));
    return line;
  }

  /**
   * Refuses an empty path, which would be the working folder: a variable of a script was not set.
   */
  private static Path path(String value) {
    if (value.isEmpty()) {
      throw new CommandLine.TypeConversionException("expected a path, found an empty one");
    }
    return Path.of(value);
  }

  /** Tells why a command failed: in one line, unless it is a bug. Returns the exit code. */
  static int failed(PrintWriter err, Throwable failure) {
    if (isEnding()) {
      return STOPPED; // the signal removed unfinished files, so their writers fail now
    }
    Optional<String> reason = Optional.empty();
    for (Throwable t = failure; t != null && reason.isEmpty(); t = t.getCause()) {
      reason = reason(t);
    }
    if (reason.isPresent()) {
      err.println("jneox: " + VisibleText.line(reason.get()));
      return switch (failure) {
        case PeerException _ -> LaunchCommand.PEER_FAILED;
        case MachineException _ -> LaunchCommand.MACHINE_FAILED;
        default -> 1;
      };
    } else {
      StringWriter trace = new StringWriter();
      failure.printStackTrace(new PrintWriter(trace));
      err.println("jneox: internal error, please report it with what follows");
      err.print(VisibleText.lines(trace.toString()));
      err.flush();
    }
    return 1;
  }

  /** Whether the JVM is shutting down, after Ctrl-C or SIGTERM. */
  private static boolean isEnding() {
    Thread hook = new Thread(() -> {});
    try {
      Runtime.getRuntime().addShutdownHook(hook);
      return !Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      return true;
    }
  }

  /** Says in one line what a file or the machine did to a command; empty for a bug. */
  private static Optional<String> reason(Throwable failure) {
    return switch (failure) {
      case JneoxException e -> Optional.of(e.getMessage());
      case OutOfMemoryError e ->
          Optional.of(
              "out of memory: "
                  + e.getMessage()
                  + "; give Java more with JNEOX_JAVA_OPTS=-Xmx..., or ask for less");
      case StackOverflowError _ ->
          Optional.of(
              "out of stack: an input is nested more deeply than it should be; if it is a sound"
                  + " one, give Java more with JNEOX_JAVA_OPTS=-Xss16m and report it");
      case NoClassDefFoundError e -> Start.missing(e);
      case UnsatisfiedLinkError e ->
          Optional.of(
              "a native library cannot be loaded: "
                  + e.getMessage()
                  + "; is its folder mounted noexec? Choose another with JNEOX_NATIVES, and see"
                  + " jneox doctor");
      case InternalError e when String.valueOf(e.getMessage()).contains("unsafe memory access") ->
          MappedFile.changed()
              .map(JneoxException::getMessage)
              .or(
                  () ->
                      Optional.of(
                          "a mapped file became shorter while it was read, or its disk failed:"
                              + " start again, and replace a file by renaming a new one, never in"
                              + " place"));
      case InvalidPathException e -> Optional.of("not a path: " + e.getMessage());
      case IOException e -> Optional.of(AtomicFile.reason(e));
      default -> Optional.empty();
    };
  }

  /** One line that says what is wrong; the whole help only where nothing was asked for. */
  private static int wrongUsage(CommandLine.ParameterException e, String[] args) {
    CommandLine command = e.getCommandLine();
    if (args.length == 0) {
      command.usage(command.getErr());
    } else {
      String message =
          Misspelt.word(e)
              .or(() -> Usage.unread(e))
              .orElse(
                  String.valueOf(e.getMessage())
                      .replaceAll("\\s*\\R\\s*", " ")
                      .replaceFirst("^Error: ", ""));
      command
          .getErr()
          .println(
              "jneox: "
                  + VisibleText.line(message)
                  + " (see "
                  + command.getCommandSpec().qualifiedName()
                  + " --help)");
    }
    return command.getCommandSpec().exitCodeOnInvalidInput();
  }

  /** The version written into the jar's manifest by the build. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {
        "jneox " + (version == null ? "development" : version) + ", Java " + Runtime.version()
      };
    }
  }
}
