package dev.jneox.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JsonObject;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import dev.jneox.io.Spelling;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Reads the data sets of tasks from a folder: {@code TASK/SPLIT.jsonl} or {@code
 * TASK/SPLIT.parquet}, with records as the data set has them on the hub.
 */
public final class DataFolder {
  private static final ObjectReader RECORDS =
      new ObjectMapper().readerFor(Map.class).with(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private final @Nullable Path folder;
  private final @Nullable HubData hub;

  /**
   * Reads data of this machine alone.
   *
   * @param folder null for tasks whose files name their data themselves
   */
  public DataFolder(@Nullable Path folder) {
    this(folder, null);
  }

  private DataFolder(@Nullable Path folder, @Nullable HubData hub) {
    this.folder = folder;
    this.hub = hub;
  }

  /** Reads what task files name on this machine, and all else from the hub. */
  public static DataFolder of(HubData hub) {
    return new DataFolder(null, hub);
  }

  /**
   * Is a split of a data set.
   *
   * @param files that it was read from, and their SHA-256
   */
  record Split(List<Document> documents, Map<String, String> files) {
    /** Returns the hash of the file, or one of the hashes of several. */
    String hash() {
      return files.size() == 1
          ? files.values().iterator().next()
          : TextHash.of(String.join("\n", files.values()));
    }
  }

  /**
   * Reads a split.
   *
   * @throws InputException when it is not there, empty, or has a record that is not like the others
   */
  Split read(TaskSpec task, String split) {
    Map<String, Path> files;
    if (hub != null && task.dataFiles.isEmpty()) {
      files = hub.files(task, split);
    } else {
      Path file = find(task, split);
      files = Map.of(file.toString(), file);
    }
    List<Document> documents = new ArrayList<>();
    Map<String, String> hashes = new LinkedHashMap<>();
    files.forEach(
        (name, file) -> {
          documents.addAll(documents(file));
          hashes.put(name, Sha256.of(file, Progress.silent()));
        });
    if (documents.isEmpty()) {
      Path first = files.values().iterator().next();
      throw InputException.in(first, "content", "the records of split " + split, "none");
    }
    requireAlike(documents);
    return new Split(documents, hashes);
  }

  private static List<Document> documents(Path file) {
    return file.toString().endsWith(".parquet") ? ParquetRows.read(file) : lines(file);
  }

  /**
   * Returns the first record of the split that a task evaluates, as its file has it.
   *
   * @throws InputException where there is none
   */
  public Document first(TaskSpec task) {
    return read(task, task.split()).documents().getFirst();
  }

  private Path find(TaskSpec task, String split) {
    Object named = task.dataFiles.get(split);
    if (named instanceof String text) {
      Path file = Path.of(text);
      if (!Files.isRegularFile(file)) {
        throw new InputException(
            file + ": no such file, which task " + task.name + " names for its split " + split);
      }
      return file;
    }
    if (named != null) {
      throw new InputException(
          "task "
              + task.name
              + ": data_files: expected one file for the split "
              + split
              + ", found "
              + named);
    }
    String dataset = task.datasetPath == null ? "" : " (" + task.datasetPath + " on the hub)";
    if (folder == null) {
      throw new InputException(
          "task "
              + task.name
              + ": expected --data DIR with "
              + task.name
              + "/"
              + split
              + ".jsonl or .parquet"
              + dataset
              + ", found none");
    }
    Path of = folder.resolve(task.name.replace("::", "_"));
    Path lines = of.resolve(split + ".jsonl");
    Path parquet = of.resolve(split + ".parquet");
    if (Files.isRegularFile(lines)) {
      if (Files.exists(parquet)) {
        throw new InputException(
            of + ": expected the split " + split + " once, found it as .jsonl and as .parquet");
      }
      return lines;
    }
    if (Files.isRegularFile(parquet)) {
      return parquet;
    }
    throw new InputException(
        lines
            + ": no such file, nor .parquet: task "
            + task.name
            + " needs its split "
            + split
            + dataset
            + found(of));
  }

  private String found(Path of) {
    if (Files.isDirectory(of)) {
      Set<String> names = names(of);
      return "; " + of + (names.isEmpty() ? " is empty" : " has " + names);
    }
    if (folder == null || !Files.isDirectory(folder)) {
      return "; " + folder + " is no folder";
    }
    Optional<String> near = Spelling.nearest(String.valueOf(of.getFileName()), names(folder));
    return "; " + folder + " has no folder of that name" + near.map(n -> ", but " + n).orElse("");
  }

  private static Set<String> names(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      Set<String> names = new TreeSet<>();
      files.forEach(file -> names.add(String.valueOf(file.getFileName())));
      return names;
    } catch (IOException e) {
      throw new InputException(folder + ": cannot be read: " + AtomicFile.reason(e), e);
    }
  }

  private static List<Document> lines(Path file) {
    List<Document> documents = new ArrayList<>();
    int number = 0;
    try {
      InputFile.check(file);
      try (BufferedReader reader = Files.newBufferedReader(file)) {
        for (String line = reader.readLine(); line != null; line = reader.readLine()) {
          number++;
          if (!line.isBlank()) {
            documents.add(document(file, number, number == 1 ? withoutMark(line) : line));
          }
        }
      }
    } catch (IOException e) {
      throw new InputException(
          file + ": line " + (number + 1) + ": cannot be read: " + AtomicFile.reason(e), e);
    }
    return documents;
  }

  /** Leaves out the byte order mark that some programs write. */
  private static String withoutMark(String line) {
    return line.startsWith("\uFEFF") ? line.substring(1) : line;
  }

  private static Document document(Path file, int number, String line) throws IOException {
    String place = "line " + number;
    try {
      JsonNode node = RECORDS.readTree(line);
      if (!node.isObject()) {
        throw InputException.in(file, place, "an object of JSON", Document.shown(node));
      }
      Map<?, ?> record = RECORDS.treeToValue(node, Map.class);
      if (record == null || JsonValues.hasHalfPair(record)) {
        throw InputException.in(file, place, "Unicode", "half of a surrogate pair");
      }
      return Document.of(JsonValues.map(record), file + ": " + place);
    } catch (JsonProcessingException e) {
      throw new InputException(
          file + ": " + place + ": expected an object of JSON: " + JsonObject.problem(e), e);
    }
  }

  private static void requireAlike(List<Document> documents) {
    Set<String> fields = new LinkedHashSet<>();
    documents.forEach(document -> fields.addAll(document.fields().keySet()));
    for (Document document : documents) {
      for (String field : fields) {
        if (!document.fields().containsKey(field)) {
          throw new InputException(
              document.source()
                  + ": expected the field '"
                  + field
                  + "', which other records have, found none; write null where it has no value");
        }
      }
    }
  }
}
