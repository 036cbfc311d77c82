package dev.jneox.hub;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Lists the files of a repository at one commit. It has two forms: the server's answer to {@code
 * /api/models/ORG/NAME/revision/REV}, and the file {@code trees/COMMIT.json} in the cache, from
 * which missing files are known without a request.
 *
 * @param commit 40 hexadecimal digits
 * @param files in the order of the listing
 */
record HubListing(String commit, List<HubFile> files) {
  /** The largest size of a file that is accepted. */
  private static final long MAX_SIZE = 1L << 50;

  private static final int TREE_FORMAT = 1;

  static final ObjectMapper JSON =
      new ObjectMapper(
              JsonFactory.builder()
                  .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(64)
                          .maxNumberLength(100)
                          .build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  HubListing {
    files = List.copyOf(files);
  }

  Optional<HubFile> file(String name) {
    return files.stream().filter(f -> f.name().equals(name)).findFirst();
  }

  /**
   * Parses the server's answer.
   *
   * @param source named in errors
   */
  static HubListing parse(byte[] json, String source) {
    JsonNode root = tree(json, source);
    String commit = root.path("sha").asText("");
    if (!HubName.isCommit(commit)) {
      throw wrong(source, "sha", "a commit of 40 hexadecimal digits", root.path("sha"));
    }
    JsonNode siblings = root.path("siblings");
    if (!siblings.isArray()) {
      throw wrong(source, "siblings", "a list of files", siblings);
    }
    Map<String, HubFile> files = new TreeMap<>();
    for (JsonNode sibling : siblings) {
      JsonNode lfs = sibling.path("lfs");
      JsonNode size = lfs.has("size") ? lfs.get("size") : sibling.path("size");
      HubFile file =
          file(source, sibling.path("rfilename"), size, sibling.path("blobId"), lfs.path("sha256"));
      if (files.put(file.name(), file) != null) {
        throw new InputException(
            source + ": siblings: expected each file once, found \"" + file.name() + "\" twice");
      }
    }
    rejectFilesThatAreFolders(source, files);
    return new HubListing(commit, List.copyOf(files.values()));
  }

  /** Parses what {@link #remember} or huggingface_hub wrote. */
  static HubListing recall(byte[] json, String commit, String source) {
    JsonNode root = tree(json, source);
    if (root.path("format_version").asInt() != TREE_FORMAT || !root.path("files").isObject()) {
      throw wrong(
          source, "format_version", TREE_FORMAT + " and files", root.path("format_version"));
    }
    Map<String, HubFile> files = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : root.get("files").properties()) {
      JsonNode value = entry.getValue();
      JsonNode size = value.hasNonNull("lfs_size") ? value.get("lfs_size") : value.path("size");
      files.put(
          entry.getKey(),
          file(
              source,
              JSON.getNodeFactory().textNode(entry.getKey()),
              size,
              value.path("blob_id"),
              value.path("lfs_sha256")));
    }
    rejectFilesThatAreFolders(source, files);
    return new HubListing(commit, List.copyOf(files.values()));
  }

  /** Returns whether the server stated everything that {@link #remember} stores. */
  boolean isComplete() {
    return files.stream().allMatch(file -> file.gitId().isPresent() && file.size() >= 0);
  }

  /** Formats the listing for the cache, in the form of huggingface_hub 1.x. */
  byte[] remember() {
    ObjectNode root = JSON.createObjectNode().put("format_version", TREE_FORMAT);
    ObjectNode all = root.putObject("files");
    for (HubFile file : files) {
      ObjectNode entry =
          all.putObject(file.name())
              .put("size", file.size())
              .put("blob_id", file.gitId().orElseThrow());
      file.sha256().ifPresent(hash -> entry.put("lfs_sha256", hash).put("lfs_size", file.size()));
    }
    try {
      return JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(root);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static HubFile file(
      String source, JsonNode name, JsonNode size, JsonNode gitId, JsonNode sha256) {
    if (!name.isTextual() || !SafePath.is(name.textValue())) {
      throw wrong(source, "file name", "a plain relative path; nothing was downloaded", name);
    }
    String place = "file \"" + name.textValue() + "\", ";
    boolean isLong = size.isIntegralNumber() && size.canConvertToLong();
    if (!absent(size) && !(isLong && size.longValue() >= 0 && size.longValue() <= MAX_SIZE)) {
      throw wrong(source, place + "size", "a number of bytes", size);
    }
    if (!absent(gitId) && !HubFile.isSha1(gitId.asText())) {
      throw wrong(source, place + "blob id", "40 hexadecimal digits", gitId);
    }
    if (!absent(sha256) && !HubFile.isSha256(sha256.asText())) {
      throw wrong(source, place + "SHA-256", "64 hexadecimal digits", sha256);
    }
    return new HubFile(
        name.textValue(),
        absent(size) ? -1 : size.longValue(),
        absent(gitId) ? Optional.empty() : Optional.of(gitId.textValue()),
        absent(sha256) ? Optional.empty() : Optional.of(sha256.textValue()));
  }

  /**
   * Rejects a listing with both a file {@code a} and a file {@code a/b}. Git has no such tree, and
   * on disk one would be written through the other.
   */
  private static void rejectFilesThatAreFolders(String source, Map<String, HubFile> files) {
    for (String name : files.keySet()) {
      for (int slash = name.indexOf('/'); slash > 0; slash = name.indexOf('/', slash + 1)) {
        if (files.containsKey(name.substring(0, slash))) {
          throw new InputException(
              source
                  + ": expected files and folders, found \""
                  + name.substring(0, slash)
                  + "\" as both");
        }
      }
    }
  }

  private static boolean absent(JsonNode node) {
    return node.isMissingNode() || node.isNull();
  }

  private static JsonNode tree(byte[] json, String source) {
    try {
      JsonNode root = JSON.readTree(json);
      if (root == null || !root.isObject()) {
        throw new InputException(source + ": expected a JSON object, found something else");
      }
      return root;
    } catch (JsonProcessingException e) {
      long at = e.getLocation() == null ? -1 : e.getLocation().getByteOffset();
      throw new InputException(
          source + ": byte " + at + ": not valid JSON: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new InputException(source + ": not valid JSON", e);
    }
  }

  private static InputException wrong(
      String source, String place, String expected, JsonNode found) {
    String shown = found.isMissingNode() ? "nothing" : found.toString();
    String cut = shown.length() <= 120 ? shown : shown.substring(0, 120) + "...";
    return new InputException(source + ": " + place + ": expected " + expected + ", found " + cut);
  }
}
