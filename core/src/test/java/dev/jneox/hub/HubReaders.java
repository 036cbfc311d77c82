package dev.jneox.hub;

import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import dev.jneox.io.JneoxException;
import dev.jneox.io.Progress;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Readers of what a hub says and of its cache, for fuzzing. */
public final class HubReaders {
  private static final RetryPolicy QUICK =
      new RetryPolicy(
          2,
          Duration.ofNanos(1),
          Duration.ofNanos(10),
          Duration.ofNanos(10),
          Duration.ofSeconds(10),
          Duration.ofSeconds(10),
          1,
          1 << 20);

  private HubReaders() {}

  private static byte[] listingOfAModel() {
    try (FakeHub server = FakeHub.withModel(10)) {
      return server.listing().getBytes(StandardCharsets.UTF_8);
    }
  }

  public static Reader listing() {
    return Reader.ofFile(
        "hub-listing",
        "listing.json",
        path -> HubListing.parse(Files.readAllBytes(path), path.toString()),
        () -> List.of(Input.of("listing.json", listingOfAModel())));
  }

  public static Reader tree() {
    return Reader.ofFile(
        "hub-tree",
        "tree.json",
        path -> HubListing.recall(Files.readAllBytes(path), FakeHub.COMMIT, path.toString()),
        () ->
            List.of(
                Input.of("tree.json", HubListing.parse(listingOfAModel(), "listing").remember())));
  }

  private static HubSettings settings(String address, Path cache) {
    return new HubSettings(URI.create(address), cache, Optional.empty(), false, 1, QUICK);
  }

  /** What a download has left. */
  public static Reader cache() {
    return Reader.of(
        "hub-cache",
        folder -> {
          try (Hub hub = new Hub(settings("http://127.0.0.1:1", folder).asOffline())) {
            hub.cached(FakeHub.NAME);
            hub.cached(FakeHub.NAME.at(FakeHub.COMMIT));
            hub.download(FakeHub.NAME, Selection.MODEL, bytes -> Progress.silent());
          }
        },
        () -> {
          try (FakeHub server = FakeHub.withModel(100)) {
            Path folder = Files.createTempDirectory("cache");
            try (Hub hub = new Hub(settings(server.address(), folder))) {
              hub.download(FakeHub.NAME, Selection.MODEL, bytes -> Progress.silent());
              return List.of(Input.of(folder));
            } finally {
              delete(folder);
            }
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> walk = Files.walk(folder)) {
      for (Path path : walk.toList().reversed()) {
        Files.delete(path);
      }
    }
  }

  /** A manifest of hashes, and the record of a download. */
  public static Reader hashes() {
    return Reader.of(
        "hub-hashes",
        KnownHashes::of,
        () ->
            List.of(
                new Input(
                    Map.of(
                        "SHA256SUMS",
                        ("a".repeat(64) + "  config.json\n" + "0".repeat(64) + " *x/y.bin\n")
                            .getBytes(StandardCharsets.UTF_8),
                        "config.json",
                        "{}".getBytes(StandardCharsets.UTF_8),
                        ".cache/huggingface/download/config.json.metadata",
                        (FakeHub.COMMIT + "\n" + "b".repeat(40) + "\n1700000000.5\n")
                            .getBytes(StandardCharsets.UTF_8)))));
  }

  /** The user's token. */
  public static Reader token() {
    return Reader.ofFile(
        "hub-token",
        "token",
        path ->
            HubSettings.of(Map.of("HF_TOKEN_PATH", path.toString()), path.resolveSibling("home")),
        () -> List.of(Input.of("token", "hf_abcDEF0123\n")));
  }

  /** Answers of a server, with their headers, as bytes; those not of the input are good ones. */
  public static Reader answers() {
    return Reader.of("hub-http", HubReaders::download, HubReaders::goodAnswers).thatWrites();
  }

  private static void download(Path folder) throws IOException {
    try (FakeHub server = FakeHub.withModel(100);
        Stream<Path> files = Files.list(folder.resolve("answers"))) {
      for (Path file : files.toList()) {
        String name = file.getFileName().toString();
        byte[] answer = Files.readAllBytes(file);
        server.always.put(
            name.equals("listing.http")
                ? FakeHub.LISTING
                : FakeHub.path(name.substring(0, name.length() - 5)),
            (request, out) -> out.write(answer));
      }
      try (Hub hub = new Hub(settings(server.address(), folder.resolve("cache")))) {
        hub.download(FakeHub.NAME, Selection.MODEL, bytes -> Progress.silent());
      } catch (JneoxException e) {
        // What it names is the model or its address.
        boolean named =
            e.getMessage().contains("org/model") || e.getMessage().contains(server.address());
        throw named ? e.withMessage(folder + ": " + e.getMessage()) : e;
      }
    }
  }

  private static List<Input> goodAnswers() {
    try (FakeHub server = FakeHub.withModel(100)) {
      Input answers = new Input(Map.of());
      for (String name : List.of("config.json", "model.safetensors", "listing")) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        String path = name.equals("listing") ? FakeHub.LISTING : FakeHub.path(name);
        server.good(new FakeHub.Request("GET", path, Map.of()), out);
        answers = answers.with("answers/" + name + ".http", out.toByteArray());
      }
      return List.of(answers);
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
