package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.jneox.hub.Hub;
import dev.jneox.hub.HubSettings;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Data sets of a hub on this machine, which answers as the hub does. */
class HubDataTest {
  private static final String COMMIT = "00000000000000000000000000000000000000c1";
  private static final String PARQUET = "refs%2Fconvert%2Fparquet";

  @TempDir private Path folder;
  private HttpServer server;

  /** The files of each revision, as paths have it. */
  private final Map<String, Map<String, byte[]>> revisions = new TreeMap<>();

  private final List<String> asked = new CopyOnWriteArrayList<>();

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/", this::answer);
    server.start();
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getRawPath();
    asked.add(path);
    String listing = "/api/datasets/org/set/revision/";
    String files = "/datasets/org/set/resolve/" + COMMIT + "/";
    byte[] body = null;
    if (path.startsWith(listing) && revisions.containsKey(path.substring(listing.length()))) {
      body = listing(revisions.get(path.substring(listing.length()))).getBytes();
    } else if (path.startsWith(files)) {
      String file = path.substring(files.length());
      body =
          revisions.values().stream()
              .filter(each -> each.containsKey(file))
              .map(each -> each.get(file))
              .findFirst()
              .orElse(null);
    } else if (path.startsWith(listing)) {
      exchange.getResponseHeaders().set("X-Error-Code", "RevisionNotFound");
    }
    try (exchange) {
      exchange.sendResponseHeaders(body == null ? 404 : 200, body == null ? -1 : body.length);
      if (body != null) {
        exchange.getResponseBody().write(body);
      }
    }
  }

  private static String listing(Map<String, byte[]> files) {
    return files.entrySet().stream()
        .map(
            each ->
                "{\"rfilename\": \"%s\", \"size\": %d, \"blobId\": \"%s\"}"
                    .formatted(each.getKey(), each.getValue().length, gitId(each.getValue())))
        .collect(Collectors.joining(",", "{\"sha\": \"" + COMMIT + "\", \"siblings\": [", "]}"));
  }

  private static String gitId(byte[] bytes) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-1");
      digest.update(("blob " + bytes.length + "\0").getBytes(StandardCharsets.US_ASCII));
      return HexFormat.of().formatHex(digest.digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private void file(String revision, String name, byte[] content) {
    revisions.computeIfAbsent(revision, _ -> new TreeMap<>()).put(name, content);
  }

  private HubSettings settings() {
    return HubSettings.of(
        Map.of(
            "HF_ENDPOINT",
            "http://127.0.0.1:" + server.getAddress().getPort(),
            "HF_HUB_CACHE",
            folder.resolve("cache").toString()),
        folder);
  }

  private TaskSpec task(String more) throws IOException {
    Path forms = folder.resolve("forms");
    Toys.task(
        forms,
        "t",
        """
        task: t
        dataset_path: org/set
        test_split: test
        output_type: loglikelihood
        doc_to_text: question
        doc_to_target: question
        """
            + more);
    return new TaskCatalog(List.of(forms)).select(List.of("t")).tasks().getFirst();
  }

  private DataFolder.Split read(HubSettings settings, TaskSpec task) {
    try (Hub hub = new Hub(settings)) {
      return DataFolder.of(new HubData(hub, (name, bytes) -> Progress.silent())).read(task, "test");
    }
  }

  private static byte[] arc() throws IOException {
    try (var in = HubDataTest.class.getResourceAsStream("arc.parquet")) {
      return in.readAllBytes();
    }
  }

  @Test
  void parquetOfTheConvertedBranchIsFetchedOnce() throws IOException {
    file(PARQUET, "Easy/test/0000.parquet", arc());
    file(PARQUET, "Easy/test/0001.parquet", arc());
    file(PARQUET, "Easy/train/0000.parquet", "no Parquet".getBytes());
    file(PARQUET, "Hard/test/0000.parquet", "no Parquet".getBytes());
    TaskSpec task = task("dataset_name: Easy\n");
    DataFolder.Split split = read(settings(), task);
    Path whole = folder.resolve("arc.parquet");
    Files.write(whole, arc());
    int records = ParquetRows.read(whole).size();
    assertThat(split.documents()).hasSize(2 * records);
    assertThat(split.files().keySet())
        .containsExactly(
            "org/set@" + COMMIT + "/Easy/test/0000.parquet",
            "org/set@" + COMMIT + "/Easy/test/0001.parquet");
    assertThat(split.files().values()).allMatch(hash -> hash.length() == 64);
    assertThat(asked).noneMatch(path -> path.contains("train") || path.contains("Hard"));
    assertThat(folder.resolve("cache/datasets--org--set/snapshots").resolve(COMMIT)).exists();
    // Then it is in the cache: nothing is asked, and a hub that is gone does not matter.
    int before = asked.size();
    server.stop(0);
    assertThat(read(settings(), task).files()).isEqualTo(split.files());
    assertThat(read(settings().asOffline(), task).files()).isEqualTo(split.files());
    assertThat(asked).hasSize(before);
  }

  @Test
  void theOnlyConfigurationNeedsNoName() throws IOException {
    file(PARQUET, "plain/test/0000.parquet", arc());
    assertThat(read(settings(), task("")).documents()).isNotEmpty();
    file(PARQUET, "other/test/0000.parquet", arc());
    assertThatThrownBy(() -> read(settings().withCache(folder.resolve("new")), task("")))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "task t: its data on the hub: org/set@refs/convert/parquet: dataset_name: expected one"
                + " of [other, plain], found none; or give --data DIR with t/test.jsonl or"
                + " .parquet");
    TaskSpec other = task("dataset_name: other\n");
    revisions.get(PARQUET).put("other/valid/0000.parquet", arc());
    revisions.get(PARQUET).remove("other/test/0000.parquet");
    assertThatThrownBy(() -> read(settings().withCache(folder.resolve("more")), other))
        .hasMessageContaining("expected the split test, found [valid]");
  }

  @Test
  void withoutThatBranchTheFilesOfTheRepositoryAreRead() throws IOException {
    byte[] lines = "{\"question\": \"a\"}\n{\"question\": \"b\"}\n".getBytes();
    file("main", "README.md", "# set".getBytes());
    file("main", "one/test.jsonl", lines);
    file("main", "two/test.jsonl", "{}".getBytes());
    DataFolder.Split split = read(settings(), task("dataset_name: one\n"));
    assertThat(split.documents()).hasSize(2);
    assertThat(split.files()).containsOnlyKeys("org/set@" + COMMIT + "/one/test.jsonl");
    assertThatThrownBy(() -> read(settings(), task("")))
        .hasMessageContaining("as Parquet or JSON lines in one folder, found [one/test.jsonl, two")
        .hasMessageEndingWith("; or give --data DIR with t/test.jsonl or .parquet");
  }

  @Test
  void aRevisionOfTheTaskIsThatOfTheRepository() throws IOException {
    file(PARQUET, "default/test/0000.parquet", arc());
    file("v2", "data/test-00000-of-00001.parquet", arc());
    DataFolder.Split split = read(settings(), task("dataset_kwargs: {revision: v2}\n"));
    assertThat(split.files())
        .containsOnlyKeys("org/set@" + COMMIT + "/data/test-00000-of-00001.parquet");
  }

  @Test
  void withoutANetworkOneLineSaysWhatToDo() throws IOException {
    TaskSpec task = task("");
    server.stop(0);
    assertThatThrownBy(() -> read(settings(), task))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("task t: its data on the hub: org/set@refs/convert/parquet: ")
        .hasMessageContaining("no connection to http://127.0.0.1")
        .hasMessageEndingWith("; or give --data DIR with t/test.jsonl or .parquet");
    assertThatThrownBy(() -> read(settings().asOffline(), task))
        .hasMessageContaining("offline, so expected the data set in the cache ")
        .hasMessageEndingWith("; or give --data DIR with t/test.jsonl or .parquet");
  }
}
