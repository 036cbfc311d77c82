package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.jneox.hub.HubSettings;
import dev.jneox.hub.Publication;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code download}, {@code publish} and {@code --model ORG/NAME}, against a hub on this machine.
 */
@Tag("slow")
class HubCommandsTest {
  private static final Path MODEL =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");
  private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
  private static final List<String> FILES =
      List.of("config.json", "model.safetensors", "README.md");

  @TempDir private Path dir;

  private final StringWriter err = new StringWriter();
  private final List<String> requests = new CopyOnWriteArrayList<>();
  private int failures; // answers of 503 before the listing
  private HttpServer server;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/api/models/org/model/revision/",
        exchange -> send(exchange, failures-- > 0 ? 503 : 200, listing().getBytes()));
    server.createContext(
        "/org/model/resolve/" + COMMIT + "/",
        exchange -> {
          String path = exchange.getRequestURI().getPath();
          send(exchange, 200, bytes(path.substring(path.lastIndexOf('/') + 1)));
        });
    server.start();
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  private void send(HttpExchange exchange, int status, byte[] bytes) throws IOException {
    requests.add(exchange.getRequestURI().getPath());
    try (exchange) {
      exchange.sendResponseHeaders(status, bytes.length);
      exchange.getResponseBody().write(bytes);
    }
  }

  private static byte[] bytes(String file) throws IOException {
    return file.equals("README.md")
        ? "# A model\n".getBytes()
        : Files.readAllBytes(MODEL.resolve(file));
  }

  private static String listing() {
    return FILES.stream()
        .map(HubCommandsTest::sibling)
        .collect(Collectors.joining(",", "{\"sha\": \"" + COMMIT + "\", \"siblings\": [", "]}"));
  }

  private static String sibling(String file) {
    try {
      byte[] bytes = bytes(file);
      MessageDigest digest = MessageDigest.getInstance("SHA-1");
      digest.update(("blob " + bytes.length + "\0").getBytes());
      String hash = HexFormat.of().formatHex(digest.digest(bytes));
      return "{\"rfilename\": \""
          + file
          + "\", \"size\": "
          + bytes.length
          + ", \"blobId\": \""
          + hash
          + "\"}";
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private String endpoint() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  private String[] download(String... more) {
    return java.util.stream.Stream.concat(
            java.util.stream.Stream.of(
                "download",
                "org/model",
                "--endpoint",
                endpoint(),
                "--cache",
                dir.resolve("cache").toString()),
            java.util.Arrays.stream(more))
        .toArray(String[]::new);
  }

  private static JsonNode json(String text) throws IOException {
    return new ObjectMapper().readTree(text);
  }

  @Test
  void downloadSaysWhatItFetchedAndLeftOutAndEndsWithThePath() {
    Output first = Output.of(download());
    assertThat(first.err()).contains("downloading org/model").doesNotContain("internal error");
    assertThat(first.code()).isZero();
    Path snapshot = dir.resolve("cache/models--org--model/snapshots").resolve(COMMIT);
    assertThat(first.out().lines()).hasSize(3).last().isEqualTo(snapshot.toString());
    assertThat(first.out())
        .contains("org/model, commit 01234567: 2 files")
        .contains("left out: README.md (10 bytes); --include chooses others");
    server.stop(0);
    Output offline = Output.of(download("--offline"));
    assertThat(offline.out()).contains("all in the cache already").contains(snapshot.toString());
    assertThat(offline.err()).isEmpty();
  }

  @Test
  void downloadPrintsJson() throws IOException {
    JsonNode report = json(Output.of(download("--json", "--include", "*.md", "--jobs", "1")).out());
    assertThat(report.get("repository").textValue()).isEqualTo("org/model");
    assertThat(report.get("commit").textValue()).isEqualTo(COMMIT);
    assertThat(report.get("files")).hasSize(1);
    assertThat(report.get("files").get(0).get("name").textValue()).isEqualTo("README.md");
    assertThat(report.get("left_out")).hasSize(2);
    assertThat(report.get("fetched_bytes").intValue()).isEqualTo(10);
  }

  @Test
  void badArgumentsAreOneLine() {
    Output noName = Output.of("download", "gpt2");
    assertThat(noName.code()).isEqualTo(1);
    assertThat(noName.err())
        .isEqualToIgnoringNewLines(
            "jneox: \"gpt2\": expected ORG/NAME or ORG/NAME@REVISION, such as"
                + " EleutherAI/pythia-160m, found no /");
    assertThat(Output.of(download("--jobs", "0")).err())
        .contains("jobs: expected 1 to 64 files at once, found 0");
    assertThat(Output.of("download").code()).isEqualTo(2);
    Output other =
        Output.of("download", "org/other", "--endpoint", endpoint(), "--cache", dir.toString());
    assertThat(other.code()).isEqualTo(1);
    assertThat(other.err().lines())
        .singleElement()
        .asString()
        .startsWith("jneox: org/other: no such repository or revision");
  }

  @Test
  void aModelsNameIsAPathAfterItsDownload() throws IOException {
    HubSettings settings =
        HubSettings.of(Map.of("HF_HUB_CACHE", dir.toString(), "HF_ENDPOINT", endpoint()), dir);
    Path path = ModelOptions.fromHub("org/model", settings, new PrintWriter(err));
    assertThat(path.resolve("model.safetensors"))
        .hasSameBinaryContentAs(MODEL.resolve("model.safetensors"));
    assertThat(err.toString())
        .contains("org/model: no such path here, so downloading it from " + endpoint());
    err.getBuffer().setLength(0);
    server.stop(0);
    assertThat(ModelOptions.fromHub("org/model", settings, new PrintWriter(err))).isEqualTo(path);
    assertThat(
            ModelOptions.fromHub("org/model@" + COMMIT, settings.asOffline(), new PrintWriter(err)))
        .isEqualTo(path);
    assertThat(err.toString()).isEmpty();
    assertThatThrownBy(
            () -> ModelOptions.fromHub("org/other", settings.asOffline(), new PrintWriter(err)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("org/other: offline, so expected the whole model in the cache");
    Output score = Output.of("score", "--model", path.toString(), "--ids", "1 2 3", "--json");
    assertThat(score.code()).as(score.err()).isZero();
    assertThat(score.out()).contains("\"logprobs\"");
  }

  @Test
  void aPathOnThisMachineComesFirst() {
    assertThat(ModelOptions.path(MODEL.toString(), new PrintWriter(err))).isEqualTo(MODEL);
    assertThatThrownBy(() -> ModelOptions.path("no such folder", new PrintWriter(err)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(
            "no such folder: expected a model's folder or file, or ORG/NAME on the hub");
  }

  /** The working directory of the tests has a folder src with main and test. */
  @Test
  void aMistypedPathIsNotAskedOfTheHub() throws IOException {
    Files.createDirectories(dir.resolve("demo/model"));
    Files.copy(MODEL.resolve("config.json"), dir.resolve("demo/model/config.json"));
    for (int i = 0; i < 8; i++) {
      Files.createFile(dir.resolve("demo/file" + i));
    }
    Files.createFile(dir.resolve("demo/modli"));
    String demo = dir.resolve("demo").toString();
    Map<String, String> messages = new LinkedHashMap<>();
    messages.put(
        demo + "/modle",
        ": expected a model's folder or file, found no such path; did you mean "
            + demo
            + "/model? "
            + demo
            + " holds model, modli, file0, file1, file2, file3 and 4 more");
    for (String ofARun : List.of("rum/global_step60", "rum/latest")) {
      messages.put(ofARun, ": expected a model's folder or file, found no such path; ");
    }
    messages.put(dir + "/dmeo/model", "; did you mean " + demo + "/model? ");
    messages.put(
        "src/tset",
        "; did you mean src/test? src holds test, main; on the hub it is src/tset@main");
    messages.put("./x/y", ": expected a model's folder or file, found no such path; . holds ");
    messages.put("../x", "; .. holds ");
    messages.put(
        "a/b/c", ": expected a model's folder or file, found no such path; this folder holds ");
    messages.put("~/model", "; a shell replaces ~ by the home folder");
    for (String suffix : List.of("gguf", "safetensors", "bin", "json")) {
      messages.put(
          "org/model." + suffix, ": expected a model's folder or file, found no such path; ");
    }
    messages.put(
        "modle",
        ": expected a model's folder or file, or ORG/NAME on the hub, found no such path; ");
    messages.put("", ": expected a model's folder or file, found no such path");
    for (Map.Entry<String, String> path : messages.entrySet()) {
      for (String command :
          List.of(
              "score --ids 1 --model",
              "generate --prompt-ids 1 --model",
              "bench decode --model",
              "inspect",
              "verify",
              "convert --format hf --to x --from",
              "quantize --dtype q4 --to x --from",
              "publish --repo me/name")) {
        String[] words = (command + " ?").split(" ");
        words[words.length - 1] = path.getKey();
        Output output = Output.of(words);
        assertThat(output.code()).as(command).isEqualTo(1);
        boolean publish = command.startsWith("publish");
        String message =
            publish ? path.getValue().replace(", or ORG/NAME on the hub", "") : path.getValue();
        assertThat(output.err().lines())
            .as(command)
            .singleElement()
            .asString()
            .startsWith("jneox: " + (path.getKey().isEmpty() ? "\"\"" : path.getKey()))
            .contains(message);
      }
    }
    assertThat(Output.of("inspect", demo).err())
        .startsWith("jneox: " + demo)
        .contains("did you mean " + demo + "/model?");
  }

  @Test
  void downloadAsksForNoPathEither() {
    assertThat(Output.of("download", "src/test", "--endpoint", endpoint()).err())
        .isEqualToIgnoringNewLines(
            "jneox: src/test: is a path on this machine, so the hub is not asked; on the hub it is"
                + " src/test@main");
    assertThat(Output.of("download", "src/tset", "--endpoint", endpoint()).err().lines())
        .singleElement()
        .asString()
        .contains("did you mean src/test?")
        .endsWith("; on the hub it is src/tset@main");
    assertThat(Output.of("download", "./org/model", "--endpoint", endpoint()).code()).isEqualTo(1);
    assertThat(requests).isEmpty();
    for (String[] name : new String[][] {{"src/tset@main"}, {"src/tset", "--revision", "main"}}) {
      String[] hub = {"download", "--endpoint", endpoint(), "--cache", dir.toString()};
      Output asked =
          Output.of(Stream.concat(Arrays.stream(hub), Arrays.stream(name)).toArray(String[]::new));
      assertThat(asked.err()).startsWith("jneox: src/tset: no such repository or revision");
    }
  }

  @Test
  void aHubThatIsNotThereIsOneLineAndRetriesAreShown() {
    failures = 1;
    Output busy = Output.of(download());
    assertThat(busy.code()).as(busy.err()).isZero();
    assertThat(busy.err().lines().toList().getFirst())
        .startsWith("jneox: org/model: the listing of ")
        .contains(" answered 503; try 2 of 6 in ");
    server.stop(0);
    Output gone =
        Output.of(
            "download",
            "org/model",
            "--endpoint",
            endpoint(),
            "--cache",
            dir.resolve("other").toString());
    assertThat(gone.code()).isEqualTo(1);
    assertThat(gone.err().lines())
        .singleElement()
        .asString()
        .startsWith("jneox: org/model: no connection to " + endpoint() + ": connection refused; ")
        .contains("HF_HUB_OFFLINE=1");
  }

  @Test
  void aDownloadWhosePathCannotBePrintedIsKept() {
    PrintStream out = System.out;
    int code;
    try {
      System.setOut(
          new StandardOutput(
              new OutputStream() {
                @Override
                public void write(int b) throws IOException {
                  throw new IOException("No space left on device");
                }
              }));
      code = Main.run(download());
    } finally {
      System.setOut(out);
    }
    assertThat(code).isEqualTo(1);
    assertThat(Output.of(download("--offline")).code()).isZero();
  }

  private Output publish(Path model, Path out, String... more) {
    return Output.of(
        java.util.stream.Stream.concat(
                java.util.stream.Stream.of(
                    "publish", model.toString(), "--repo", "me/name", "--out", out.toString()),
                java.util.Arrays.stream(more))
            .toArray(String[]::new));
  }

  @Test
  void publishPreparesAFolderThatVerifies() throws IOException {
    Path model = Files.createDirectories(dir.resolve("run/global_step7"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(MODEL.resolve(file), model.resolve(file));
    }
    Files.writeString(model.resolve("training.json"), "{\"iteration\": 7, \"tokens\": 700}");
    Files.writeString(model.resolve("optimizer.safetensors"), "large");
    Files.writeString(model.resolve("LICENSE"), "free");
    Path out = dir.resolve("out of here");
    Output done = publish(model, out, "--license", "mit", "--language", "en");
    assertThat(done.err()).doesNotContain("jneox:");
    assertThat(done.code()).isZero();
    assertThat(done.out())
        .contains(
            "left out: optimizer.safetensors, training.json",
            "hf upload me/name '" + out + "' .",
            "README.md is new");
    assertThat(out.toFile().list())
        .containsExactlyInAnyOrder(
            "config.json",
            "model.safetensors",
            "LICENSE",
            "README.md",
            ".gitattributes",
            "SHA256SUMS");
    assertThat(out.resolve("README.md"))
        .content()
        .startsWith("---\nlicense: mit\n")
        .contains("| steps | 7 |", "| tokens | 700 |");
    assertThat(out.resolve(".gitattributes"))
        .content()
        .contains("*.safetensors filter=lfs diff=lfs merge=lfs -text\n");
    assertThat(Files.readAllLines(out.resolve("SHA256SUMS")))
        .hasSize(5)
        .allMatch(line -> line.matches("[0-9a-f]{64}  \\S+"));
    Output verified = Output.of("verify", out.toString());
    assertThat(verified.code()).as(verified.out()).isZero();
    assertThat(verified.out()).contains("5 of ");

    Files.writeString(out.resolve("README.md"), "mine");
    Files.writeString(out.resolve("old.bin"), "old");
    JsonNode again = json(publish(model, out, "--json").out());
    assertThat(again.get("kept_card").booleanValue()).isTrue();
    assertThat(again.get("surplus").toString()).isEqualTo("[\"old.bin\"]");
    assertThat(out.resolve("README.md")).hasContent("mine");
    assertThat(Output.of("verify", out.toString()).code()).isZero();
  }

  @Test
  void aModelThatIsNotWholeIsNotPublished() throws IOException {
    Path model = Files.createDirectories(dir.resolve("broken"));
    Files.copy(MODEL.resolve("config.json"), model.resolve("config.json"));
    byte[] weights = Files.readAllBytes(MODEL.resolve("model.safetensors"));
    Files.write(
        model.resolve("model.safetensors"), java.util.Arrays.copyOf(weights, weights.length - 10));
    Path out = dir.resolve("out");
    Output done = publish(model, out);
    assertThat(done.code()).isEqualTo(1);
    assertThat(done.err().lines().filter(line -> line.startsWith("jneox: ")))
        .singleElement()
        .asString()
        .contains("not fit to publish: ", "model.safetensors: tensor");
    assertThat(out).doesNotExist();
    Path neither = Files.createDirectories(dir.resolve("no-weights"));
    Files.copy(MODEL.resolve("config.json"), neither.resolve("config.json"));
    assertThatThrownBy(
            () -> Publication.prepare(neither, out, "card", true, Progress.Display.SILENT))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("no-weights: expected a folder of HF transformers or a GGUF file");
    assertThat(out).doesNotExist();
    assertThat(publish(MODEL, out, "--run", dir.toString()).err())
        .contains("expected a training run or a checkpoint");
    assertThat(publish(MODEL, out, "--license", "Apache 2.0").err())
        .contains("license: expected an identifier");
  }
}
