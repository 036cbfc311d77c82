package dev.jneox.cli;

import dev.jneox.format.ModelFiles;
import dev.jneox.hub.HubName;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.Spelling;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.ToIntFunction;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Tells a model's path from a name on the hub, and suggests a path for one that does not exist. */
final class ModelPath {
  private static final Pattern BEGINS = Pattern.compile("(~|\\.{0,2}/).*|\\.{1,2}");
  private static final Pattern ENDS =
      Pattern.compile(".*\\.(gguf|safetensors|bin|pt|json)", Pattern.CASE_INSENSITIVE);

  /** What train writes into a run's folder; no model has such a name. */
  private static final Pattern OF_A_RUN = Pattern.compile(".*/(global_step\\d+|latest)");

  /** How many names a message lists. */
  private static final int MAX_LISTED = 6;

  private ModelPath() {}

  /**
   * Tells whether a text is a path, by its form or because its folder exists. The hub is not asked
   * for a path. {@code ORG/NAME} is one where there is a folder {@code ORG}; {@code
   * ORG/NAME@REVISION} is not.
   */
  static boolean is(String text) {
    int revision = text.indexOf('@');
    String name = revision < 0 ? text : text.substring(0, revision);
    return BEGINS.matcher(text).matches()
        || ENDS.matcher(name).matches()
        || OF_A_RUN.matcher(name).matches()
        || HubName.tryParse(text).isEmpty()
        || revision < 0 && of(text).map(Path::getParent).filter(Files::isDirectory).isPresent();
  }

  /** Finds what a text names on this machine. */
  static Optional<Path> local(String text) {
    return of(text).filter(Files::exists);
  }

  /** The path that a text has the form of; an empty one is no name for the working directory. */
  private static Optional<Path> of(String text) {
    try {
      return text.isEmpty() ? Optional.empty() : Optional.of(Path.of(text));
    } catch (InvalidPathException e) {
      return Optional.empty();
    }
  }

  /**
   * Says that there is no such path, with the likeliest one and what the folder holds: models
   * first, the nearest names first.
   *
   * @param expected what a command takes
   */
  static InputException missing(String text, String expected) {
    String wrong =
        (text.isEmpty() ? "\"\"" : text) + ": expected " + expected + ", found no such path";
    if (text.startsWith("~")) {
      return new InputException(
          wrong + "; a shell replaces ~ by the home folder where it is not quoted");
    }
    Path path = of(text).orElse(null);
    if (path == null) {
      return new InputException(wrong);
    }
    Path folder = path.getParent();
    Path wanted = path;
    while (folder != null && !Files.isDirectory(folder)) {
      wanted = folder;
      folder = folder.getParent();
    }
    Path rest = wanted.relativize(path);
    String name = String.valueOf(wanted.getFileName());
    List<Path> near = near(folder == null ? Path.of("") : folder, name);
    String meant =
        near.stream()
            .filter(entry -> distance(name, entry) <= Spelling.tolerance(name))
            .findFirst()
            .map(entry -> Files.exists(entry.resolve(rest)) ? entry.resolve(rest) : entry)
            .map(entry -> "; did you mean " + entry + "? ")
            .orElse("; ");
    String hub = HubName.tryParse(text).isPresent() ? "; on the hub it is " + text + "@main" : "";
    return new InputException(wrong + meant + held(folder, near) + hub);
  }

  /** Says which models are in a folder that is none itself; empty when there are none. */
  static Optional<InputException> among(Path folder) {
    List<Path> models = near(folder, "").stream().filter(ModelPath::isModel).toList();
    return models.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new InputException(
                folder
                    + ": expected a model's folder or file, found a folder without config.json; "
                    + (models.size() == 1
                        ? "did you mean " + models.getFirst() + "?"
                        : held(folder, models))));
  }

  private static String held(@Nullable Path folder, List<Path> entries) {
    String place = folder == null ? "this folder" : folder.toString();
    if (entries.isEmpty()) {
      return place + " is empty";
    }
    List<String> names =
        entries.stream().limit(MAX_LISTED).map(entry -> entry.getFileName().toString()).toList();
    int more = entries.size() - names.size();
    return place
        + " holds "
        + String.join(", ", names)
        + (more > 0 ? " and " + more + " more" : "");
  }

  private static List<Path> near(Path folder, String name) {
    try (Stream<Path> entries = Files.list(folder)) {
      ToIntFunction<Path> distance = entry -> distance(name, entry);
      return entries
          .filter(entry -> !entry.getFileName().toString().startsWith("."))
          .sorted(
              Comparator.comparing(ModelPath::isModel)
                  .reversed()
                  .thenComparingInt(distance)
                  .thenComparing(Comparator.naturalOrder()))
          .toList();
    } catch (IOException e) {
      return List.of();
    }
  }

  private static boolean isModel(Path path) {
    try {
      return ModelFiles.is(path);
    } catch (JneoxException e) {
      return false; // a folder that this user may not read
    }
  }

  private static int distance(String name, Path entry) {
    return Spelling.edits(
        name.toLowerCase(Locale.ROOT), entry.getFileName().toString().toLowerCase(Locale.ROOT));
  }
}
