package dev.jneox.cli;

import dev.jneox.convert.RandomInit;
import dev.jneox.tokenizer.Tokenizer;
import java.util.List;
import java.util.Optional;

/**
 * Adds the commands of a module to the command line. A jar registers its implementation in {@code
 * META-INF/services/dev.jneox.cli.CommandModule}; what a class path has no jar of is not offered.
 *
 * <p>An implementation may lie in a jar whose own dependencies are missing: its methods must work
 * without them.
 */
public interface CommandModule {
  /** Where {@code jneox --help} lists a command: sections in this order. */
  enum Section {
    DEMO,
    MACHINE,
    DATA,
    TRAINING,
    INFERENCE,
    MODELS
  }

  /**
   * A command.
   *
   * @param command a class with picocli's annotation {@code Command}, which names it
   * @param needs what it cannot run without
   */
  record Entry(Section section, Class<?> command, List<Need> needs) {
    public Entry {
      needs = List.copyOf(needs);
    }

    /** Returns the first need that the class path does not meet. */
    Optional<Need> missing() {
      return needs.stream().filter(need -> !need.isMet()).findFirst();
    }
  }

  /**
   * A jar that may be missing.
   *
   * @param type the name of a class in it
   * @param jar what to add to the class path, in words
   */
  record Need(String type, String jar) {
    /** Tells whether the class path has the class. Does not load it. */
    public boolean isMet() {
      String file = type.replace('.', '/') + ".class";
      return CommandModule.class.getClassLoader().getResource(file) != null;
    }
  }

  /** Lists the commands; those of a section in the order of the list. */
  List<Entry> commands();

  /**
   * Reads the shape of a model from a configuration that only this module knows.
   *
   * @param config what {@code synth --config} was given
   * @param tokenizer decides about the vocabulary; empty for the configuration's own
   * @return empty where this module, or a jar that it needs, is not there to read it
   * @throws dev.jneox.io.InputException when it is no such configuration
   */
  default Optional<RandomInit> shape(String config, Optional<Tokenizer> tokenizer) {
    return Optional.empty();
  }

  /**
   * Measures what libtorch does on this machine, for some seconds; empty where this module does not
   * use libtorch, or a jar of it is missing.
   */
  default Optional<LibtorchFacts> libtorch() {
    return Optional.empty();
  }
}
