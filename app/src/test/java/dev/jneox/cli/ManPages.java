package dev.jneox.cli;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.codegen.docgen.manpage.ManPageGenerator;

/** Writes the manual page of each command in AsciiDoc. The profile {@code image} runs it. */
final class ManPages {
  private ManPages() {}

  /** Writes into the folder that is given, which exists. */
  public static void main(String[] args) throws IOException {
    write(new File(args[0]));
  }

  static void write(File folder) throws IOException {
    List<CommandSpec> specs = new ArrayList<>();
    add(Main.commandLine(), specs);
    if (!folder.isDirectory() && !folder.mkdirs()) {
      throw new IOException(folder + ": cannot be made");
    }
    int code =
        ManPageGenerator.generateManPage(
            folder, null, new boolean[0], false, specs.toArray(CommandSpec[]::new));
    if (code != 0) {
      throw new IllegalStateException("picocli's generator ended with code " + code);
    }
  }

  private static void add(CommandLine line, List<CommandSpec> specs) {
    line.getCommandSpec().usageMessage().footerHeading("Notes%n"); // the name of the section
    specs.add(line.getCommandSpec());
    line.getSubcommands().values().stream().distinct().forEach(sub -> add(sub, specs));
  }
}
