package dev.jneox.data;

import static dev.jneox.data.Fixtures.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@net.jqwik.api.Tag("slow") // of the properties alone
class NpyTest {
  private static final Path SCRATCH = Fixtures.scratch();

  @TempDir Path folder;

  @Test
  void writesTheVeryBytesOfNumpy() throws IOException {
    try (Stream<Path> files = Files.list(Fixtures.megatron(""))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".npy")).toList()) {
        Path copy = folder.resolve("copy.npy");
        Npy.map(file, Arena.ofAuto()).write(copy);
        assertThat(bytes(copy)).as(file.toString()).isEqualTo(bytes(file));
      }
    }
  }

  @Test
  void aHeaderOfManyAxesIsRefusedWithoutTakingTheStack() throws IOException {
    for (int axes : new int[] {65, 21_000}) {
      String shape = "{'descr': '<i4', 'fortran_order': False, 'shape': (%s), }\n";
      byte[] header = shape.formatted("1, ".repeat(axes)).getBytes(StandardCharsets.ISO_8859_1);
      ByteBuffer file = ByteBuffer.allocate(10 + header.length).order(ByteOrder.LITTLE_ENDIAN);
      file.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
      file.putShort((short) header.length).put(header);
      Path evil = Files.write(folder.resolve("evil.npy"), file.array());
      assertThatThrownBy(() -> Npy.map(evil, Arena.ofAuto()))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("header: expected ");
    }
  }

  @Test
  void padsTheHeaderAsNumpyDoes() {
    assertThat(header(ElementType.I64))
        .hasSize(128)
        .startsWith("----------{'descr': '<i8', 'fortran_order': False, 'shape': (), }   ");
    assertThat(header(ElementType.U16, 5, 6, 7, 8, 9))
        .hasSize(128)
        .contains("'shape': (5, 6, 7, 8, 9), } ");
    assertThat(header(ElementType.U8, 100_000_000_000_000_000L, 3, 4))
        .hasSize(128)
        .contains("(100000000000000000, 3, 4), } ");
    long[] axes = Collections.nCopies(12, 10L).stream().mapToLong(Long::longValue).toArray();
    axes[0] = 1;
    assertThat(header(ElementType.I32, axes)).hasSize(192).endsWith(" ".repeat(81) + "\n");
    axes[0] = 1_000_000_000;
    assertThat(header(ElementType.I32, axes)).hasSize(192).endsWith(" ".repeat(72) + "\n");
  }

  /** The dictionary, with ten characters before it for the magic and the length. */
  private static String header(ElementType type, long... shape) {
    byte[] header =
        new Npy(type, Arrays.stream(shape).boxed().toList(), MemorySegment.NULL).header();
    assertThat(header[8] & 0xFF | header[9] << 8).isEqualTo(header.length - 10);
    return "----------" + new String(header, 10, header.length - 10, StandardCharsets.US_ASCII);
  }

  @Property(tries = 100)
  void readsWhatItWrote(
      @ForAll ElementType type,
      @ForAll @Size(max = 4) List<@IntRange(max = 9) Integer> axes,
      @ForAll long seed) {
    if (!type.isInteger()) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      Npy array = Npy.allocate(arena, type, axes.stream().mapToLong(Integer::longValue).toArray());
      Random random = new Random(seed);
      for (long i = 0; i < array.size(); i++) {
        array.set(i, random.nextLong());
      }
      Path file = SCRATCH.resolve("round.npy");
      array.write(file);
      Npy read = Npy.map(file, arena);
      assertThat(read.type()).isEqualTo(type);
      assertThat(read.shape()).isEqualTo(array.shape());
      for (long i = 0; i < array.size(); i++) {
        assertThat(read.get(i)).isEqualTo(array.get(i));
      }
    }
  }

  @Property(tries = 2000)
  void readsADamagedFileOrSaysWhatIsWrong(
      @ForAll @IntRange(max = 700) int length, @ForAll @IntRange(max = 127) int at, @ForAll byte b)
      throws IOException {
    byte[] content = bytes(Fixtures.megatron("part0.doc_idx.npy"));
    content[at] = b;
    Path file = SCRATCH.resolve("damaged.npy");
    Files.write(file, Arrays.copyOf(content, Math.min(length, content.length)));
    try (Arena arena = Arena.ofConfined()) {
      Npy read = Npy.map(file, arena);
      for (long i = 0; i < read.size(); i++) {
        read.get(i);
      }
    } catch (JneoxException e) {
      assertThat(e.getMessage()).startsWith(file + ": ").doesNotContain("\n");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '>i4', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '<i4', 'fortran_order': True, 'shape': (1,), }\n",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999, 99999999999, 99999999999),"
            + " }\n",
        "{'descr': '<i4'}\n"
      })
  void refusesWhatItDoesNotRead(String header) throws IOException {
    Path file = folder.resolve("other.npy");
    byte[] bytes =
        ("\u0093NUMPY\1\0" + (char) header.length() + "\0" + header + "1234")
            .getBytes(StandardCharsets.ISO_8859_1);
    Files.write(file, bytes);
    assertThatThrownBy(() -> Npy.map(file, Arena.ofAuto()))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(file + ": ");
  }
}
