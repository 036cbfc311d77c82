package dev.jneox.hub;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/** Finds which files a folder lacks to be a model, from its own files alone. */
final class SnapshotParts {
  private static final long MAX_INDEX = 64 << 20;

  private SnapshotParts() {}

  /** Lists what the folder lacks; empty when it can be opened. */
  static List<String> missing(Path folder) {
    if (gguf(folder).isPresent()) {
      return List.of();
    }
    List<String> missing = new ArrayList<>();
    if (!Files.isRegularFile(folder.resolve("config.json"))) {
      missing.add("config.json");
    }
    missing.addAll(missingWeights(folder));
    return missing;
  }

  private static List<String> missingWeights(Path folder) {
    for (String[] kind :
        new String[][] {
          {"model.safetensors", "model.safetensors.index.json"},
          {"pytorch_model.bin", "pytorch_model.bin.index.json"}
        }) {
      if (Files.isRegularFile(folder.resolve(kind[0]))) {
        return List.of();
      }
      if (Files.isRegularFile(folder.resolve(kind[1]))) {
        return shards(folder.resolve(kind[1])).stream()
            .filter(shard -> !Files.isRegularFile(folder.resolve(shard)))
            .toList();
      }
    }
    return List.of("weights (model.safetensors, pytorch_model.bin, or shards with their index)");
  }

  /** Returns the files that a weight index names. */
  private static Set<String> shards(Path index) {
    try {
      JsonNode map = HubListing.JSON.readTree(InputFile.bytes(index, MAX_INDEX)).path("weight_map");
      Set<String> shards = new TreeSet<>();
      for (JsonNode shard : map) {
        if (!shard.isTextual() || !SafePath.is(shard.textValue())) {
          throw InputException.in(
              index, "weight_map", "plain file names", JsonObject.shortened(shard.toString()));
        }
        shards.add(shard.textValue());
      }
      return shards;
    } catch (IOException e) {
      throw StorageException.of(index, "cannot be read", e);
    }
  }

  /**
   * Returns the only GGUF file of a folder without a configuration, or the first part of the only
   * split one; else empty.
   */
  static Optional<Path> gguf(Path folder) {
    if (Files.exists(folder.resolve("config.json"))) {
      return Optional.empty();
    }
    try (Stream<Path> entries = Files.list(folder)) {
      List<Path> found =
          entries
              .filter(path -> path.toString().endsWith(".gguf") && Files.isRegularFile(path))
              .sorted()
              .toList();
      long models = found.stream().map(path -> Selection.whole(path.toString())).distinct().count();
      return models == 1 ? Optional.of(found.getFirst()) : Optional.empty();
    } catch (IOException e) {
      throw StorageException.of(folder, "cannot be read", e);
    }
  }
}
