package dev.jneox.cli.serve;

import dev.jneox.cli.CommandModule;
import java.util.List;

/** Adds the command that serves models, which needs the module serve and Helidon. */
public final class ServeCommands implements CommandModule {
  private static final Need SERVE =
      new Need("dev.jneox.serve.ModelServer", "the jar of JNeoX's module serve");
  private static final Need HELIDON =
      new Need("io.helidon.webserver.WebServer", "the jars of io.helidon.webserver");

  @Override
  public List<Entry> commands() {
    return List.of(new Entry(Section.INFERENCE, ServeCommand.class, List.of(SERVE, HELIDON)));
  }
}
