package dev.jneox.data;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdOutputStream;
import dev.jneox.fuzz.FuzzTest;
import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import dev.jneox.io.Progress;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** All readers of corpora and tokenised data. A new one is a line. */
class DataFuzzTest extends FuzzTest {
  private static final String LINES =
      """
      {"text": "The first. \\u00e9 \\ud83d\\ude00", "meta": {"pile_set_name": "Books", "n": 1.5}}

      {"meta": [1, {"a": null}], "text": ["one", "two"]}
      {"text": "", "other": {"text": "not this"}}
      """;

  private static final SampleIndex.Spec SPEC = new SampleIndex.Spec(0, 6, 12, 4, 7);

  private static final List<Reader> READERS =
      List.of(
          documents("jsonl", "text.jsonl", () -> utf8(LINES)),
          documents("json", "text.json", () -> utf8(LINES.lines().findFirst().orElseThrow())),
          documents("txt", "text.txt", () -> utf8("\uFEFFa text\n of \u4e16\u754c lines\n")),
          documents("jsonl-gz", "text.jsonl.gz", DataFuzzTest::gzip),
          documents("zip", "text.zip", DataFuzzTest::zip),
          Reader.ofFile("jsonl-zst", "text.jsonl.zst", DataFuzzTest::read, DataFuzzTest::zstd),
          Reader.of("megatron", DataFuzzTest::megatron, DataFuzzTest::megatron),
          Reader.of("sample-index", DataFuzzTest::samples, DataFuzzTest::samples).thatWrites(),
          Reader.ofFile("npy", "a.npy", DataFuzzTest::npy, DataFuzzTest::npy));

  @Override
  protected List<Reader> readers() {
    return READERS;
  }

  @Override
  protected double share() {
    return 0.15;
  }

  /** Makes the content of a file. */
  private interface Content {
    byte[] make() throws IOException;
  }

  private static Reader documents(String reader, String name, Content content) {
    return Reader.ofFile(
        reader,
        name,
        DataFuzzTest::read,
        () -> {
          try {
            return List.of(Input.of(name, content.make()));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  private static void read(Path file) {
    try (Documents documents = new Documents(List.of(file), true, bytes -> {}, 4 << 20)) {
      documents.forEachRemaining(document -> {});
    }
    try (Documents documents = new Documents(List.of(file), false, bytes -> {}, 4 << 20)) {
      documents.forEachRemaining(document -> {});
    }
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] gzip() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (OutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(utf8(LINES));
    }
    return out.toByteArray();
  }

  private static byte[] zip() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(out)) {
      for (String name : List.of("META-INF/MANIFEST.MF", "a/b.txt", "c.bin", "\u00e9.java")) {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(name.endsWith("bin") ? new byte[] {0, 1, -1} : utf8("text of " + name));
      }
    }
    return out.toByteArray();
  }

  /** Frames of all kinds of blocks, literals and sequences. */
  private static List<Input> zstd() {
    List<byte[]> frames = new ArrayList<>();
    Random random = new Random(1);
    StringBuilder text = new StringBuilder();
    while (text.length() < 3000) {
      int n = random.nextInt(7);
      text.append("{\"text\": \"").append("the words ".repeat(n)).append(random.nextInt(99999));
      text.append("\"}\n");
    }
    byte[] content = utf8(text.toString());
    try {
      for (int level : new int[] {-5, 1, 3, 19}) {
        frames.add(Zstd.compress(content, level));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (ZstdOutputStream zstd = new ZstdOutputStream(out, level)) {
          zstd.setChecksum(true);
          zstd.write(content, 0, 1000);
          zstd.flush();
          zstd.write(content, 1000, content.length - 1000);
        }
        frames.add(out.toByteArray());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    frames.add(Zstd.compress(utf8(LINES)));
    frames.add(Zstd.compress(utf8("\n".repeat(5000))));
    // A frame to skip, then two frames.
    ByteArrayOutputStream several = new ByteArrayOutputStream();
    several.writeBytes(new byte[] {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3});
    several.writeBytes(Zstd.compress(utf8(LINES)));
    several.writeBytes(Zstd.compress(utf8(LINES)));
    frames.add(several.toByteArray());
    return frames.stream().map(frame -> Input.of("text.jsonl.zst", frame)).toList();
  }

  private static IndexedDataset write(Path folder, int vocabulary) {
    return Fixtures.write(folder.resolve("data"), vocabulary, 5, 1, 9, 0, 3, 8);
  }

  private static List<Input> megatron() {
    List<Input> seeds = new ArrayList<>();
    for (int vocabulary : new int[] {100, 100_000}) {
      seeds.add(inFolder(folder -> write(folder, vocabulary)));
    }
    return seeds;
  }

  private static void megatron(Path folder) {
    IndexedDataset data = IndexedDataset.open(folder.resolve("data"));
    data.sizes();
    for (int i = 0; i < data.sequences(); i++) {
      data.get(i);
    }
  }

  private static List<Input> samples() {
    return List.of(
        inFolder(
            folder -> {
              IndexedDataset data = write(folder, 100);
              try (Arena arena = Arena.ofShared()) {
                SampleIndex.cached(data, "train", SPEC, arena, Progress.silent());
              }
            }));
  }

  private static void samples(Path folder) {
    IndexedDataset data = IndexedDataset.open(folder.resolve("data"));
    try (Arena arena = Arena.ofShared()) {
      SampleIndex index = SampleIndex.cached(data, "train", SPEC, arena, Progress.silent());
      GptDataset samples = new GptDataset(data, index, 4);
      for (long i = 0; i < samples.length(); i++) {
        samples.sample(i);
        samples.spans(i);
      }
    }
  }

  private static List<Input> npy() {
    return List.of(
        inFolder(
            folder -> {
              try (Arena arena = Arena.ofShared()) {
                Npy array = Npy.allocate(arena, ElementType.I32, 5, 2);
                array.set(3, 9);
                array.write(folder.resolve("a.npy"));
              }
            }));
  }

  private static void npy(Path file) {
    try (Arena arena = Arena.ofShared()) {
      Npy array = Npy.map(file, arena);
      for (long i = 0; i < array.size(); i++) {
        array.get(i);
      }
    }
  }

  /** Makes files. */
  private interface Making {
    void make(Path folder) throws IOException;
  }

  private static Input inFolder(Making making) {
    try {
      Path folder = Fixtures.scratch();
      making.make(folder);
      Input made = Input.of(folder);
      Input kept = new Input(Map.of());
      for (String name : made.files().keySet()) {
        Files.delete(folder.resolve(name));
        kept = name.startsWith(".") ? kept : kept.with(name, made.files().get(name));
      }
      Files.delete(folder);
      return kept;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
