package dev.jneox.format.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import dev.jneox.format.safetensors.Safetensors.Entry;
import dev.jneox.format.safetensors.SafetensorsWriter.Declared;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.jspecify.annotations.NullUnmarked;

/** What holds of every file, good and broken. */
@net.jqwik.api.Tag("slow")
@NullUnmarked // a test fails by itself where a value is absent
class SafetensorsPropertyTest {
  private static Path dir;

  @BeforeContainer
  static void makeFolder() throws IOException {
    dir = Files.createTempDirectory("safetensors");
  }

  @AfterContainer
  static void removeFolder() throws IOException {
    try (var files = Files.list(dir)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(dir);
  }

  /** A change of one byte; the place is in ten-thousandths of the header. */
  record Flip(int place, byte value) {}

  @Provide
  Arbitrary<List<Declared>> tensors() {
    Arbitrary<String> names =
        Arbitraries.strings().ofMaxLength(12).filter(SafetensorsPropertyTest::isText);
    Arbitrary<Dtype> dtypes = Arbitraries.of(Dtype.class).filter(d -> d.bits() >= 8);
    Arbitrary<List<Long>> shapes = Arbitraries.longs().between(0, 5).list().ofMaxSize(4);
    return Combinators.combine(names, dtypes, shapes)
        .as(Declared::new)
        .list()
        .uniqueElements(Declared::name)
        .ofMaxSize(8)
        .map(
            all -> all.stream().sorted(Comparator.comparing(d -> -d.dtype().alignment())).toList());
  }

  private static boolean isText(String name) {
    return StandardCharsets.UTF_8.newEncoder().canEncode(name) && !name.equals("__metadata__");
  }

  @Provide
  Arbitrary<List<Flip>> flips() {
    return Combinators.combine(Arbitraries.integers().between(0, 9_999), Arbitraries.bytes())
        .as(Flip::new)
        .list()
        .ofMinSize(1)
        .ofMaxSize(4);
  }

  private static Path written(List<Declared> tensors, long seed) {
    Path file = dir.resolve("written.safetensors");
    Random random = new Random(seed);
    try (SafetensorsWriter writer =
        new SafetensorsWriter(file, tensors, SafetensorsWriter.PYTORCH)) {
      for (Declared tensor : tensors) {
        byte[] bytes = new byte[(int) tensor.bytes()];
        random.nextBytes(bytes);
        writer.write(tensor.name(), MemorySegment.ofArray(bytes));
      }
      writer.commit();
    }
    return file;
  }

  @Property(tries = 150, edgeCases = EdgeCasesMode.NONE)
  void whatIsWrittenIsRead(@ForAll("tensors") List<Declared> tensors, @ForAll long seed)
      throws IOException {
    Path path = written(tensors, seed);
    Random random = new Random(seed);
    try (Safetensors file = Safetensors.open(path)) {
      assertThat(file.metadata()).isEqualTo(Map.of("format", "pt"));
      assertThat(file.entries())
          .extracting(e -> new Declared(e.name(), e.dtype(), e.shape()))
          .containsExactlyElementsOf(tensors);
      for (Declared tensor : tensors) {
        byte[] bytes = new byte[(int) tensor.bytes()];
        random.nextBytes(bytes);
        assertThat(file.data(tensor.name()).orElseThrow().toArray(ValueLayout.JAVA_BYTE))
            .isEqualTo(bytes);
        long at = file.data(tensor.name()).orElseThrow().address();
        assertThat(at % tensor.dtype().alignment()).isZero();
      }
    }
    long headerLength =
        ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN).getLong();
    assertThat(headerLength % 8).isZero();
  }

  @Property(tries = 4)
  void everyTruncationIsRefused(@ForAll("tensors") @Size(min = 1, max = 3) List<Declared> tensors)
      throws IOException {
    byte[] whole = Files.readAllBytes(written(tensors, 1));
    Path cut = dir.resolve("cut.safetensors");
    for (int length = 0; length < whole.length; length++) {
      Files.write(cut, Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> Safetensors.open(cut).close())
          .isInstanceOf(InputException.class)
          .message()
          .hasLineCount(1);
    }
  }

  @Property(tries = 300, edgeCases = EdgeCasesMode.NONE)
  void changedBytesAreRefusedOrHarmless(
      @ForAll("tensors") List<Declared> tensors, @ForAll("flips") List<Flip> flips)
      throws IOException {
    byte[] bytes = Files.readAllBytes(written(tensors, 2));
    int header = 8 + (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    for (Flip flip : flips) {
      bytes[flip.place() * header / 10_000] = flip.value();
    }
    opensSafelyOrNot(bytes);
  }

  /**
   * Text made of the pieces of a header is likelier than noise to pass the parser and reach the
   * checks.
   */
  @Property(tries = 500)
  void headersOfShuffledPiecesAreRefusedOrHarmless(
      @ForAll("pieces") List<String> pieces, @ForAll @IntRange(max = 20) int data)
      throws IOException {
    opensSafelyOrNot(SafetensorsTest.bytes("{" + String.join("", pieces) + "}", data));
  }

  @Provide
  Arbitrary<List<String>> pieces() {
    List<String> entries = new ArrayList<>();
    for (String place :
        List.of("0,4", "4,8", "8,16", "0,0", "4,4", "-4,0", "0,9223372036854775807", "4,0")) {
      for (String type :
          List.of(
              "\"U8\",\"shape\":[4]",
              "\"I32\",\"shape\":[1]",
              "\"F64\",\"shape\":[]",
              "\"U8\",\"shape\":[0]")) {
        for (String name : List.of("a", "b", "__metadata__")) {
          entries.add("\"" + name + "\":{\"dtype\":" + type + ",\"data_offsets\":[" + place + "]}");
        }
      }
    }
    Arbitrary<String> entry = Arbitraries.of(entries);
    Arbitrary<String> noise =
        Arbitraries.of(
            "{", "}", "[", "]", ",", ":", "\"", "\"x\"", "1", "null", " ", "\\u0000", "\uFEFF");
    return Arbitraries.frequencyOf(
            net.jqwik.api.Tuple.of(8, entry.list().ofMaxSize(3).map(all -> String.join(",", all))),
            net.jqwik.api.Tuple.of(1, noise))
        .list()
        .ofMinSize(1)
        .ofMaxSize(3);
  }

  @Property(tries = 500)
  void noiseIsRefusedOrHarmless(@ForAll @Size(max = 200) byte[] bytes) throws IOException {
    opensSafelyOrNot(bytes);
  }

  /**
   * A file is refused with one line, or every tensor it names lies within it; either way it costs
   * little memory.
   */
  private static void opensSafelyOrNot(byte[] bytes) throws IOException {
    Path path = dir.resolve("broken.safetensors");
    Files.write(path, bytes);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    try (Safetensors file = Safetensors.open(path)) {
      long total = 0;
      for (Entry entry : file.entries()) {
        assertThat(file.data(entry.name()).orElseThrow().toArray(ValueLayout.JAVA_BYTE))
            .hasSize((int) entry.bytes());
        total += entry.bytes();
      }
      assertThat(total).isLessThanOrEqualTo(bytes.length - 8L);
    } catch (JneoxException e) {
      assertThat(e.getMessage()).hasLineCount(1);
      assertThat(e.getMessage().length()).isLessThan(2000);
    }
    assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(8 << 20);
  }
}
