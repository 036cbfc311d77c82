package dev.jneox.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.luben.zstd.ZstdOutputStream;
import dev.jneox.data.Documents.Skipped;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.StorageException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("slow")
@net.jqwik.api.Tag("slow")
class DocumentsTest {
  private static final Path SCRATCH = Fixtures.scratch();
  private static final String PILE =
      """
      {"text": "Grüße, 世界 \\ud83d\\ude00\\n", "meta": {"pile_set_name": "Pile-CC"}}

      {"meta": {"x": [1, {"pile_set_name": "no"}], "pile_set_name": "FreeLaw"}, "score": 0.5, "text": ["a", "b", ""]}\r
      {"text": ""}\
      """;
  private static final List<Document> PILE_DOCUMENTS =
      List.of(
          new Document("Grüße, 世界 😀\n", "Pile-CC"),
          new Document("a\n\nb\n\n", "FreeLaw"),
          new Document("", ""));

  @TempDir Path folder;

  private Path file(String name, String content) {
    return file(name, content.getBytes(StandardCharsets.UTF_8));
  }

  private Path file(String name, byte[] content) {
    try {
      Path file = folder.resolve(name);
      Files.createDirectories(file.getParent());
      return Files.write(file, content);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static List<Document> read(Path... inputs) {
    return read(new ArrayList<>(), false, inputs);
  }

  private static List<Document> read(List<Skipped> skipped, boolean skipBad, Path... inputs) {
    AtomicLong bytes = new AtomicLong();
    List<Document> read = new ArrayList<>();
    try (Documents documents = Documents.open(List.of(inputs), skipBad, bytes::addAndGet)) {
      documents.forEachRemaining(read::add);
      assertThat(bytes.get()).isEqualTo(documents.totalBytes());
      skipped.add(documents.skipped());
    }
    return read;
  }

  private interface Compression {
    OutputStream over(OutputStream out) throws IOException;
  }

  private static byte[] compressed(Compression compression, String... parts) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (String part : parts) {
      try (OutputStream out = compression.over(bytes)) {
        out.write(part.getBytes(StandardCharsets.UTF_8));
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }
    return bytes.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(strings = {"a.jsonl", "a.json", "a.JSONL"})
  void readsJsonLines(String name) {
    assertThat(read(file(name, PILE))).isEqualTo(PILE_DOCUMENTS);
    assertThat(read(file(name, "\uFEFF" + PILE + "\n\n"))).isEqualTo(PILE_DOCUMENTS);
    assertThat(read(file(name, ""))).isEmpty();
  }

  @Test
  void readsCompressedJsonLinesOfSeveralFrames() {
    String half = PILE.substring(0, 40);
    String rest = PILE.substring(40);
    Compression zstd = out -> new ZstdOutputStream(out).setLong(31);
    assertThat(read(file("a.jsonl.zst", compressed(zstd, half, rest)))).isEqualTo(PILE_DOCUMENTS);
    assertThat(read(file("a.json.gz", compressed(GZIPOutputStream::new, half, rest))))
        .isEqualTo(PILE_DOCUMENTS);
  }

  @Test
  void readsATextFileAsOneDocument() {
    assertThat(read(file("a.txt", "one\n\ntwo"))).containsExactly(new Document("one\n\ntwo", ""));
    assertThat(read(file("a.txt", "\uFEFFone"))).containsExactly(new Document("one", ""));
  }

  @Test
  void readsTheTextMembersOfAnArchive() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      for (String name :
          List.of("META-INF/MANIFEST.MF", "z/", "z/B.java", "z/B.class", "a.bin", "A.java")) {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(
            name.equals("a.bin")
                ? new byte[] {'a', (byte) 0xC0}
                : name.replace(".class", "\0").getBytes());
      }
    }
    List<Skipped> skipped = new ArrayList<>();
    assertThat(read(skipped, false, file("a.jar", bytes.toByteArray())))
        .containsExactly(new Document("z/B.java", ""), new Document("A.java", ""));
    assertThat(skipped).containsExactly(new Skipped(0, 2, 0));
  }

  @Test
  void readsFoldersThatAreLinksAndThoseInside() throws IOException {
    Path real = Files.createDirectories(folder.resolve("real/deep"));
    Files.writeString(real.resolve("a.txt"), "one");
    Path in = Files.createDirectory(folder.resolve("in"));
    Files.createSymbolicLink(in.resolve("link"), folder.resolve("real"));
    assertThat(read(in)).isEqualTo(read(folder.resolve("real"))).hasSize(1);
    assertThat(read(in.resolve("link"))).hasSize(1);
  }

  @Test
  void readsFoldersDeepAndInTheOrderOfTheirPaths() {
    file("in/b.txt", "2");
    file("in/a/z.jsonl", "{\"text\": \"1\"}");
    file("in/c/d/e.txt", "3");
    file("in/c/README.rst", "");
    Path last = file("x.txt", "0");
    List<Skipped> skipped = new ArrayList<>();
    assertThat(read(skipped, false, last, folder.resolve("in")))
        .extracting(Document::text)
        .containsExactly("0", "1", "2", "3");
    assertThat(skipped).containsExactly(new Skipped(0, 0, 1));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"text\": 1}|line 2, \"text\": expected a string or a list of strings, found a number",
        "{\"text\": null}|line 2, \"text\": expected a string or a list of strings, found null",
        "{\"text\": [\"a\", {}]}|line 2, \"text\": expected a list of strings, found a list with an"
            + " object",
        "{\"txt\": \"a\"}|line 2: expected the key \"text\", found an object without it",
        "[\"a\"]|line 2: expected a JSON object, found a list",
        "true|line 2: expected a JSON object, found true",
        "{\"text\": \"a\"} {}|line 2: expected one JSON object, found more behind it",
        "{\"text\": \"a\"|line 2, column 13: expected JSON, found Unexpected end-of-input",
        "{\"text\": \"a\u0007b\"}|line 2, column 12: expected JSON, found Illegal unquoted"
            + " character",
        "{\"text\": \"a\\ud83d\"}|line 2, character 1 of the text: expected Unicode, found half of"
            + " a surrogate pair",
        "{\"text\": \"\\ude00\\ud83d\"}|line 2, character 0 of the text: expected Unicode, found"
            + " half of a surrogate pair"
      })
  void namesTheLineThatIsBad(String line, String message) {
    Path file = file("bad.jsonl", "{\"text\": \"fine\"}\n" + line + "\n{\"text\": \"also\"}\n");
    assertThatThrownBy(() -> read(file))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(file + ": " + message);
    List<Skipped> skipped = new ArrayList<>();
    assertThat(read(skipped, true, file))
        .extracting(Document::text)
        .containsExactly("fine", "also");
    assertThat(skipped).containsExactly(new Skipped(1, 0, 0));
  }

  @ParameterizedTest
  @CsvSource({"61ff62,1,ff", "c080,0,c0", "eda080,0,ed", "6161f09f98,2,f0", "80,0,80"})
  void namesTheByteThatIsNotUtf8(String hex, int at, String found) {
    byte[] bad = HexFormat.of().parseHex(hex);
    Path text = file("bad.txt", bad);
    assertThatThrownBy(() -> read(text))
        .isInstanceOf(InputException.class)
        .hasMessage(
            text
                + ": byte "
                + at
                + ": expected UTF-8, found byte 0x"
                + found
                + ": convert it to UTF-8, or skip bad documents");
    Path lines = file("bad.jsonl", bad);
    assertThatThrownBy(() -> read(lines))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(
            lines + ": line 1, byte " + at + ": expected UTF-8, found byte 0x" + found);
  }

  @Test
  void readsNumbersNamesAndConstantsAsPythonWritesThem() {
    String lines =
        "{\"n\": %s, \"text\": \"a\"}\n".formatted("7".repeat(1200))
            + "{\"%s\": [1], \"text\": \"b\"}\n".formatted("k".repeat(60_000))
            + "{\"text\": \"c\", \"ppl\": NaN, \"m\": [-Infinity, Infinity]}\n";
    assertThat(read(file("a.jsonl", lines)))
        .extracting(Document::text)
        .containsExactly("a", "b", "c");
  }

  @Test
  void namesALineThatIsNestedTooDeep() {
    String deep = "[".repeat(1100) + "]".repeat(1100);
    Path file = file("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\",\"x\":" + deep + "}\n");
    assertThatThrownBy(() -> read(file))
        .isInstanceOf(InputException.class)
        .hasMessage(
            file
                + ": line 2: expected JSON, found Document nesting depth (1001) exceeds the maximum"
                + " allowed (1000)");
    List<Skipped> skipped = new ArrayList<>();
    assertThat(read(skipped, true, file)).hasSize(1);
    assertThat(skipped.getFirst().bad()).isOne();
  }

  @ParameterizedTest
  @ValueSource(strings = {"a.jsonl", "a.txt", "a.jsonl.zst", "a.jsonl.gz", "a.zip"})
  void saysWhatLiesInPlaceOfAFile(String name) {
    Path pointer =
        file(name, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    assertThatThrownBy(() -> read(new ArrayList<>(), true, pointer))
        .isInstanceOf(InputException.class)
        .hasMessage(
            pointer
                + ": content: expected documents, found none (a Git LFS pointer; fetch the file"
                + " itself with git lfs pull)");
    Path page = file(name, "<!doctype html>\n<html>");
    if (name.equals("a.txt")) {
      assertThat(read(page)).as("a page may be a text").hasSize(1);
    } else {
      assertThatThrownBy(() -> read(page))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(page.toString())
          .hasMessageContaining("(a web page; fetch the file itself");
    }
  }

  @Test
  void refusesADocumentThatIsTooLong() throws IOException {
    String text = "x".repeat(200_000);
    Path line = file("long.jsonl", "{\"text\": \"a\"}\n{\"text\": \"" + text + "\"}");
    Path whole = file("long.txt", text);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.putNextEntry(new ZipEntry("bomb"));
      zip.write(text.getBytes());
    }
    Path member = file("long.zip", bytes.toByteArray());
    for (Path file : List.of(line, whole, member)) {
      assertThat(drain(new Documents(List.of(file), false, n -> {}, 300_000))).isIn(1, 2);
      assertThatThrownBy(() -> drain(new Documents(List.of(file), false, n -> {}, 100_000)))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(file + ": ")
          .hasMessageContaining("expected a document of at most 0 MB");
    }
  }

  private static int drain(Documents documents) {
    int count = 0;
    try (documents) {
      for (; documents.hasNext(); count++) {
        documents.next();
      }
    }
    return count;
  }

  @Test
  void readsLinesLongerThanItsBuffer() {
    List<String> texts = new Random(5).ints(30, 0, 200_000).mapToObj(n -> "y".repeat(n)).toList();
    Path file =
        file(
            "long.jsonl",
            texts.stream()
                .map(text -> "{\"text\":\"" + text + "\"}")
                .collect(Collectors.joining("\n")));
    assertThat(read(file)).extracting(Document::text).isEqualTo(texts);
  }

  private static byte[] compressed(String name) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (OutputStream out =
        name.endsWith("zst")
            ? new ZstdOutputStream(bytes)
            : name.endsWith("gz") ? new GZIPOutputStream(bytes) : new ZipOutputStream(bytes)) {
      if (out instanceof ZipOutputStream zip) {
        zip.putNextEntry(new ZipEntry("a"));
      }
      out.write("{\"text\": \"some text to compress\"}\n".repeat(100).getBytes());
    }
    return bytes.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(strings = {"a.jsonl.zst", "a.jsonl.gz", "a.zip"})
  void saysWhenACompressedFileIsCut(String name) throws IOException {
    byte[] whole = compressed(name);
    for (int cut : new int[] {whole.length / 2, 5}) {
      Path file = file(name, Arrays.copyOf(whole, cut));
      assertThatThrownBy(() -> read(file))
          .isInstanceOf(StorageException.class)
          .hasMessageStartingWith(file + ": cannot be read: ");
    }
  }

  @Property(tries = 1000)
  void readsADamagedCompressedFileOrSaysWhatIsWrong(
      @ForAll @IntRange(max = 2) int kind,
      @ForAll @Size(min = 1, max = 3) List<@IntRange(max = 200) Integer> places,
      @ForAll byte b)
      throws IOException {
    String name = List.of("damaged.jsonl.zst", "damaged.jsonl.gz", "damaged.zip").get(kind);
    byte[] content = compressed(name);
    places.stream().filter(place -> place < content.length).forEach(place -> content[place] = b);
    Path file = Files.write(SCRATCH.resolve(name), content);
    try {
      drain(Documents.open(List.of(file), false, n -> {}));
    } catch (JneoxException e) {
      assertThat(e.getMessage()).startsWith(file + ": ").doesNotContain("\n");
    }
  }

  @Test
  void saysWhatAnInputMayBe() {
    assertThatThrownBy(() -> read(folder.resolve("none.txt")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("no such file");
    Path picture = file("a.png", "");
    assertThatThrownBy(() -> read(picture))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(".jsonl or .json (also with .zst or .gz");
    assertThatThrownBy(() -> read(folder))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("1 other file");
  }

  @Property(tries = 2000)
  void readsADamagedLineOrSaysWhatIsWrong(
      @ForAll @IntRange(max = 220) int length,
      @ForAll @Size(max = 4) List<@IntRange(max = 180) Integer> places,
      @ForAll byte b)
      throws IOException {
    byte[] content = PILE.getBytes(StandardCharsets.UTF_8);
    places.forEach(place -> content[place] = b);
    Path file =
        Files.write(
            SCRATCH.resolve("damaged.jsonl"),
            Arrays.copyOf(content, Math.min(length, content.length)));
    try {
      for (Document document : read(file)) {
        assertThat(StandardCharsets.UTF_8.newEncoder().canEncode(document.text())).isTrue();
      }
    } catch (JneoxException e) {
      assertThat(e.getMessage()).startsWith(file + ": line ").doesNotContain("\n");
    }
    read(new ArrayList<>(), true, file);
  }
}
