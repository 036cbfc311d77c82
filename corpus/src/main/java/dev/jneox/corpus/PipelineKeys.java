package dev.jneox.corpus;

import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/** Lists the keys of a pipeline file with what they take, as the code that reads them asks. */
public final class PipelineKeys {
  private static final Path NO_FILE = Path.of("pipeline");

  /**
   * Describes a mapping of a pipeline file.
   *
   * @param does what it is for; of a step with the options' defaults
   * @param keys each with what it takes, and its default behind {@code else}
   */
  public record Described(String does, Map<String, String> keys) {}

  private PipelineKeys() {}

  /** Returns {@code source}, {@code output} and every step, by name. */
  public static Map<String, Described> all() {
    Map<String, Described> all = new LinkedHashMap<>();
    all.put(
        "source",
        new Described("says what is read", asked(settings -> Pipeline.source(settings, "a", 0))));
    all.put("output", new Described("says how the corpus is written", asked(Output::of)));
    Step.FACTORIES.forEach(
        (name, factory) -> {
          String[] does = {"needs options"};
          Map<String, String> keys =
              asked(
                  settings -> {
                    does[0] = factory.create(settings).describe();
                    ScopedStep.of(factory.create(settings), settings, List.of("a"));
                  });
          all.put(name, new Described(does[0], keys));
        });
    return Collections.unmodifiableMap(all);
  }

  /** Reads settings, and gives those that have to be there a value until nothing is missing. */
  private static Map<String, String> asked(Consumer<Settings> reader) {
    Map<String, Object> values = new TreeMap<>();
    while (true) {
      Settings settings = new Settings(NO_FILE, "", values);
      try {
        reader.accept(settings);
        return settings.asked();
      } catch (InputException e) {
        String missing = settings.asked().keySet().stream().reduce((a, b) -> b).orElse("");
        boolean number = settings.asked().getOrDefault(missing, "").contains("number");
        Object given = number ? (Object) 1L : missing.toUpperCase(Locale.ROOT);
        if (values.putIfAbsent(missing, given) != null) {
          throw e;
        }
      }
    }
  }
}
