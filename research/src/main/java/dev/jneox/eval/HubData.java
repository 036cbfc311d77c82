package dev.jneox.eval;

import dev.jneox.hub.Hub;
import dev.jneox.hub.HubName;
import dev.jneox.hub.Selection;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Fetches the data sets of tasks from the hub: Parquet of the branch to which the hub converts
 * them, {@code CONFIG/SPLIT/0000.parquet}; where it has none, the repository's own Parquet or JSON
 * lines of the split.
 */
public final class HubData {
  private static final String CONVERTED = "refs/convert/parquet";

  private final Hub hub;
  private final BiFunction<String, Long, Progress> progress;

  /**
   * @param hub stays open for as long as this is used
   * @param progress makes the progress of a download of a data set, of so many bytes
   */
  public HubData(Hub hub, BiFunction<String, Long, Progress> progress) {
    this.hub = hub;
    this.progress = progress;
  }

  /**
   * Returns the files of a split, in their order, by names that have the commit.
   *
   * @throws InputException if they are not there, or cannot be fetched
   */
  Map<String, Path> files(TaskSpec task, String split) {
    String path = task.datasetPath;
    try {
      if (path == null) {
        throw new InputException("expected dataset_path, found none");
      }
      return fetched(task, path, split);
    } catch (InputException e) {
      throw e.withMessage(
          "task "
              + task.name
              + ": its data on the hub: "
              + e.getMessage()
              + "; or give --data DIR with "
              + task.name
              + "/"
              + split
              + ".jsonl or .parquet");
    }
  }

  private Map<String, Path> fetched(TaskSpec task, String path, String split) {
    if (task.datasetRevision == null) {
      HubName converted = HubName.dataset(path, CONVERTED);
      Optional<List<String>> names = hub.names(converted);
      if (names.isPresent()) {
        return fetch(converted, converted(converted, names.get(), task.datasetName, split));
      }
    }
    String revision = task.datasetRevision == null ? "main" : task.datasetRevision;
    HubName own = HubName.dataset(path, revision);
    List<String> names =
        hub.names(own)
            .orElseThrow(() -> new InputException(own + ": the repository has no such revision"));
    return fetch(own, own(own, names, task.datasetName, split));
  }

  private static List<String> converted(
      HubName name, List<String> all, @Nullable String config, String split) {
    List<String> parquet = all.stream().filter(each -> each.endsWith(".parquet")).toList();
    Set<String> configs = folders(parquet, "");
    String chosen = config;
    if (chosen == null) {
      chosen = configs.size() == 1 ? configs.iterator().next() : "default";
    }
    if (!configs.contains(chosen)) {
      throw new InputException(
          name
              + ": dataset_name: expected one of "
              + configs
              + ", found "
              + (config == null ? "none" : config));
    }
    String folder = chosen + "/" + split + "/";
    List<String> files = parquet.stream().filter(each -> each.startsWith(folder)).sorted().toList();
    if (files.isEmpty()) {
      throw new InputException(
          name + ": expected the split " + split + ", found " + folders(parquet, chosen + "/"));
    }
    return files;
  }

  /** Returns the folders directly in one. */
  private static Set<String> folders(List<String> files, String in) {
    return files.stream()
        .filter(each -> each.startsWith(in) && each.indexOf('/', in.length()) > 0)
        .map(each -> each.substring(in.length(), each.indexOf('/', in.length())))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static List<String> own(
      HubName name, List<String> all, @Nullable String config, String split) {
    Pattern form =
        Pattern.compile(
            "(?:.*/)?"
                + Pattern.quote(split)
                + "(?:-\\d{5}-of-\\d{5})?(?:-[0-9a-f]{16})?\\.(?:parquet|jsonl|json)");
    List<String> files =
        all.stream().filter(each -> form.matcher(each).matches()).sorted().toList();
    if (config != null
        && files.stream().anyMatch(each -> ("/" + each).contains("/" + config + "/"))) {
      files = files.stream().filter(each -> ("/" + each).contains("/" + config + "/")).toList();
    }
    Set<String> forms =
        files.stream()
            .map(each -> each.replaceFirst("[^/]*(?=\\.[a-z]+$)", ""))
            .collect(Collectors.toSet());
    if (forms.size() != 1) {
      String some = all.stream().limit(6).collect(Collectors.joining(", "));
      throw new InputException(
          name
              + ": expected the split "
              + split
              + " as Parquet or JSON lines in one folder, found "
              + (files.isEmpty() ? some + (all.size() > 6 ? ", ..." : "") : files));
    }
    return files;
  }

  private Map<String, Path> fetch(HubName name, List<String> files) {
    Hub.Download done =
        hub.files(
            name,
            new Selection(files, List.of()),
            bytes -> progress.apply(name.repository(), bytes));
    Map<String, Path> fetched = new LinkedHashMap<>();
    for (String file : files) {
      fetched.put(
          name.repository() + "@" + done.commit() + "/" + file, done.folder().resolve(file));
    }
    return fetched;
  }
}
