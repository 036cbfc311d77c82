package dev.jneox.eval;

import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Names a model that is evaluated.
 *
 * @param name its folder or file, or its name on the hub
 * @param run the folder of the run, or the name on the hub, that it is a checkpoint of; the name
 *     itself where it is none
 * @param step of training that it is of; empty where it is no checkpoint
 */
public record ModelName(String name, String run, OptionalLong step) {
  private static final Pattern CHECKPOINT =
      Pattern.compile("(.*?)(?:[/\\\\]global_step|@step)(\\d{1,18})[/\\\\]?");

  /** Reads run and step from the name: {@code RUN/global_stepN}, {@code ORG/NAME@stepN}. */
  public static ModelName of(String name) {
    Matcher matcher = CHECKPOINT.matcher(name);
    return matcher.matches()
        ? new ModelName(name, matcher.group(1), OptionalLong.of(Long.parseLong(matcher.group(2))))
        : new ModelName(name, name, OptionalLong.empty());
  }

  /** Returns the name of its folder of results: without what paths cannot have. */
  public String folder() {
    return name.replaceAll("[\"<>:/|\\\\?*\\[\\]]+", "__");
  }
}
