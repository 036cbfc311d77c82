package dev.jneox.cli;

import dev.jneox.io.InputException;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The command line: one subcommand per room of the house. Exit codes: 0 done, 1 bad input or a failed run, 2 wrong usage. */
@Command(
    name = "jneox",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    description = "GPT-NeoX on the JVM: from raw text to a trained model that writes.",
    subcommands = {ScheduleCommand.class, DoctorCommand.class, CommandLine.HelpCommand.class})
public final class Main {
  private Main() {}

  /** Runs one command and returns its exit code; used by {@link Start} and by the tests. */
  public static int run(String... args) {
    CommandLine line = new CommandLine(new Main());
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setExecutionExceptionHandler(
        (exception, command, parsed) -> {
          if (exception instanceof InputException) {
            command.getErr().println("jneox: " + exception.getMessage());
          } else {
            command.getErr().println("jneox: internal error, please report it with what follows");
            exception.printStackTrace(command.getErr());
          }
          return 1;
        });
    return line.execute(args);
  }

  /** The version written into the jar's manifest by the build. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {"jneox " + (version == null ? "development" : version) + ", Java " + Runtime.version()};
    }
  }
}
