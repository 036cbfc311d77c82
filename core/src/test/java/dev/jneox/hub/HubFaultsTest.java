package dev.jneox.hub;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.JneoxException;
import dev.jneox.io.Progress;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Tag;

/**
 * Faults drawn at random: whatever a server does, a model in the cache is whole and right, or there
 * is none.
 */
class HubFaultsTest {
  private static final RetryPolicy QUICK =
      new RetryPolicy(
          5,
          Duration.ofNanos(1),
          Duration.ofNanos(10),
          Duration.ofSeconds(1),
          Duration.ofSeconds(10),
          Duration.ofSeconds(10),
          1,
          100);

  private static final byte[] LISTING = listing();

  private static byte[] listing() {
    try (FakeHub server = FakeHub.withModel(10)) {
      return server.listing().getBytes(StandardCharsets.UTF_8);
    }
  }

  @Tag("slow")
  @Property(tries = 25)
  void aModelIsWholeOrThereIsNone(@ForAll long seed) throws IOException {
    Random random = new Random(seed);
    Path cache = Files.createTempDirectory("hub");
    try (FakeHub server = FakeHub.withModel(1 + random.nextInt(3000))) {
      if (random.nextBoolean()) {
        server.lfs.clear();
      }
      for (String path :
          new String[] {
            FakeHub.LISTING, FakeHub.path("config.json"), FakeHub.path("model.safetensors")
          }) {
        for (int i = random.nextInt(5); i > 0; i--) {
          server.next(path, fault(server, random));
        }
      }
      HubSettings settings =
          new HubSettings(URI.create(server.address()), cache, Optional.empty(), false, 2, QUICK);
      for (int run = 0; run < 12; run++) {
        try (Hub hub = new Hub(settings)) {
          Path model =
              hub.download(FakeHub.NAME, Selection.MODEL, bytes -> Progress.silent()).model();
          server.files.forEach(
              (name, bytes) -> assertThat(model.resolve(name)).hasBinaryContent(bytes));
          assertThat(hub.cached(FakeHub.NAME)).contains(model);
          return;
        } catch (JneoxException e) {
          assertBlobsAreRight(server, cache);
          assertThat(new Hub(settings).cached(FakeHub.NAME)).isEmpty();
        }
      }
      throw new AssertionError("the faults are used up, and there is still no model");
    } finally {
      try (Stream<Path> all = Files.walk(cache)) {
        all.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
      }
    }
  }

  private static void assertBlobsAreRight(FakeHub server, Path cache) throws IOException {
    Path blobs = cache.resolve("models--org--model/blobs");
    if (Files.isDirectory(blobs)) {
      try (Stream<Path> all = Files.list(blobs)) {
        for (Path blob : all.filter(path -> !path.toString().endsWith(".incomplete")).toList()) {
          byte[] bytes = Files.readAllBytes(blob);
          assertThat(blob.getFileName().toString())
              .isIn(FakeHub.sha256(bytes), FakeHub.gitId(bytes));
        }
      }
    }
  }

  private static FakeHub.Reply fault(FakeHub server, Random random) {
    int kind = random.nextInt(9);
    int amount = random.nextInt(4000);
    int[] statuses = {
      400, 401, 403, 404, 408, 410, 416, 429, 500, 502, 503, 504, 204, 206, 301, 304
    };
    int status = statuses[random.nextInt(statuses.length)];
    return (request, out) -> {
      ByteArrayOutputStream good = new ByteArrayOutputStream();
      server.good(request, good);
      byte[] answer = good.toByteArray();
      int body = good.toString(StandardCharsets.ISO_8859_1).indexOf("\r\n\r\n") + 4;
      byte[] content = Arrays.copyOfRange(answer, body, answer.length);
      switch (kind) {
        case 0 -> out.write(answer, 0, Math.min(amount, answer.length));
        case 1 -> FakeHub.answer(status).write(request, out);
        case 2 -> {
          // One bit of the body is another.
          answer[Math.min(body + amount, answer.length - 1)] ^= (byte) (1 << random.nextInt(8));
          out.write(answer);
        }
        case 3 -> {
          // The length is a lie.
          FakeHub.head(out, 200, "", amount);
          out.write(content);
        }
        case 4 -> {
          // No length, and some bytes too few or too many.
          out.write(
              "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
          out.write(Arrays.copyOf(content, amount));
        }
        case 5 -> {
          String range =
              "Content-Range: bytes "
                  + amount
                  + "-"
                  + (amount + content.length - 1)
                  + "/"
                  + (amount + content.length)
                  + "\r\n";
          FakeHub.answer(206, range, content).write(request, out);
        }
        case 6 -> {
          byte[] noise = new byte[amount];
          random.nextBytes(noise);
          out.write(noise);
        }
        case 7 ->
            FakeHub.redirect(amount % 2 == 0 ? request.path() : "/nowhere").write(request, out);
        default -> FakeHub.answer(200, "ETag: \"" + amount + "\"\r\n", content).write(request, out);
      }
    };
  }

  @Property(tries = 5000)
  void aListingWithAnyByteChangedIsRefusedOrSafe(@ForAll long seed) {
    Random random = new Random(seed);
    byte[] tree = HubListing.parse(LISTING, "listing").remember();
    checkSafe(() -> HubListing.parse(mutated(LISTING, random), "listing"));
    checkSafe(() -> HubListing.recall(mutated(tree, random), FakeHub.COMMIT, "tree"));
  }

  private static byte[] mutated(byte[] bytes, Random random) {
    byte[] other =
        random.nextInt(4) == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length)) : bytes.clone();
    for (int i = 1 + random.nextInt(3); i > 0 && other.length > 0; i--) {
      String likely = "{}[]\",:/\\.0189-eu";
      other[random.nextInt(other.length)] =
          (byte)
              (random.nextBoolean()
                  ? likely.charAt(random.nextInt(likely.length()))
                  : random.nextInt(256));
    }
    return other;
  }

  private static void checkSafe(java.util.function.Supplier<HubListing> read) {
    HubListing listing;
    try {
      listing = read.get();
    } catch (JneoxException e) {
      return;
    }
    assertThat(listing.commit()).matches("[0-9a-f]{40}");
    for (HubFile file : listing.files()) {
      assertThat(SafePath.is(file.name())).isTrue();
      assertThat(!file.isHashed() || file.blob().matches("[0-9a-f]{40}|[0-9a-f]{64}")).isTrue();
      assertThat(file.size()).isBetween(-1L, 1L << 50);
    }
  }
}
