package dev.jneox.data;

import static dev.jneox.data.Fixtures.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Tag;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class IndexedDatasetTest {
  private static final Path SCRATCH = Fixtures.scratch();

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({"0,40,4346", "1,80,3983", "2,120,8591"})
  void readsWhatGptNeoxWroteAndWritesTheSameBytes(int part, int documents, long tokens) {
    IndexedDataset data = Fixtures.part(part);
    assertThat(data.sequences()).isEqualTo(documents);
    assertThat(data.documents()).isEqualTo(documents);
    assertThat(data.tokens()).isEqualTo(tokens);
    assertThat(data.type()).isEqualTo(ElementType.U16);

    Path copy = folder.resolve("copy");
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(copy, 512)) {
      for (int i = 0; i < documents; i++) {
        writer.add(data.get(i), 0, data.size(i));
      }
      writer.commit();
    }
    assertThat(bytes(IndexedDataset.idx(copy)))
        .isEqualTo(bytes(Fixtures.megatron("part" + part + ".idx")));
    assertThat(bytes(IndexedDataset.bin(copy)))
        .isEqualTo(bytes(Fixtures.megatron("part" + part + ".bin")));
  }

  @Tag("slow")
  @Property(tries = 100)
  void readsWhatItWrote(
      @ForAll @Size(max = 20) List<@Size(max = 30) List<@IntRange(max = 65498) Integer>> documents,
      @ForAll @IntRange(min = 65499, max = 65501) int vocab) {
    Path prefix = SCRATCH.resolve("round");
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(prefix, vocab)) {
      for (List<Integer> document : documents) {
        writer.add(ids(document), 0, document.size());
      }
      writer.commit();
    }
    IndexedDataset data = IndexedDataset.open(prefix);
    assertThat(data.type()).isEqualTo(vocab < 65500 ? ElementType.U16 : ElementType.I32);
    assertThat(data.sequences()).isEqualTo(documents.size());
    for (int i = 0; i < documents.size(); i++) {
      int[] ids = ids(documents.get(i));
      assertThat(data.get(i)).isEqualTo(ids);
      int[] part = new int[ids.length + 2];
      data.copy(i, ids.length / 3, part, 1, ids.length / 2);
      assertThat(Arrays.copyOfRange(part, 1, 1 + ids.length / 2))
          .isEqualTo(Arrays.copyOfRange(ids, ids.length / 3, ids.length / 3 + ids.length / 2));
    }
  }

  private static int[] ids(List<Integer> document) {
    return document.stream().mapToInt(Integer::intValue).toArray();
  }

  @Test
  void refusesToReadBeyondASequence() {
    IndexedDataset data = Fixtures.write(folder.resolve("two"), 10, 3, 4);
    assertThatThrownBy(() -> data.copy(0, 2, new int[9], 0, 2))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> data.size(2)).isInstanceOf(IndexOutOfBoundsException.class);
  }

  /** Every type that Megatron gives a code. */
  @ParameterizedTest
  @CsvSource({"1,1,200", "2,1,-7", "3,2,-300", "4,4,70000", "5,8,-100", "8,2,65535"})
  void readsEveryIntegerType(int code, int bytes, int value) throws IOException {
    Path prefix = folder.resolve("typed");
    Files.write(
        IndexedDataset.idx(prefix),
        index(code, 1, 2, new int[] {2}, new long[] {0}, new long[] {0, 1}));
    ByteBuffer bin = ByteBuffer.allocate(2 * bytes).order(ByteOrder.LITTLE_ENDIAN);
    byte[] value64 = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
    Files.write(
        IndexedDataset.bin(prefix), bin.put(value64, 0, bytes).put(value64, 0, bytes).array());
    assertThat(IndexedDataset.open(prefix).get(0)).containsExactly(value, value);
  }

  @Test
  void refusesAnIdThatIsNoInt() throws IOException {
    Path prefix = folder.resolve("long");
    Files.write(
        IndexedDataset.idx(prefix),
        index(5, 1, 2, new int[] {1}, new long[] {0}, new long[] {0, 1}));
    Files.write(IndexedDataset.bin(prefix), new byte[] {0, 0, 0, 0, 1, 0, 0, 0});
    assertThatThrownBy(() -> IndexedDataset.open(prefix).get(0))
        .isInstanceOf(InputException.class)
        .hasMessage(prefix + ".bin: token 0 of sequence 0: expected a 32-bit id, found 4294967296");
  }

  private static byte[] index(
      int code, long n, long d, int[] sizes, long[] pointers, long[] documents) {
    int bytes = 34 + 4 * sizes.length + 8 * (pointers.length + documents.length);
    ByteBuffer out = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    out.put(IndexedDataset.MAGIC).putLong(1).put((byte) code).putLong(n).putLong(d);
    Arrays.stream(sizes).forEach(out::putInt);
    Arrays.stream(pointers).forEach(out::putLong);
    Arrays.stream(documents).forEach(out::putLong);
    return out.array();
  }

  @Test
  void saysWhatIsWrongWithAnIndex() throws IOException {
    assertBad(
        index(9, 1, 2, new int[] {1}, new long[] {0}, new long[] {0, 1}),
        ".idx: byte 17: expected an element type");
    assertBad(
        index(6, 1, 2, new int[] {1}, new long[] {0}, new long[] {0, 1}),
        ".idx: byte 17: expected an integer type");
    assertBad(
        index(8, 1, -2, new int[] {1}, new long[] {0}, new long[] {0, 1}),
        "d = 18446744073709551614");
    assertBad(
        index(8, 1L << 61, 2, new int[] {1}, new long[] {0}, new long[] {0, 1}),
        "n = 2305843009213693952");
    assertBad(
        index(8, 1, 2, new int[] {-1}, new long[] {0}, new long[] {0, 1}),
        "size of sequence 0: expected 0 or more");
    assertBad(
        index(8, 2, 2, new int[] {1, 1}, new long[] {0, 4}, new long[] {0, 1}),
        "pointer of sequence 1: expected 2, ");
    assertBad(
        index(8, 1, 2, new int[] {1}, new long[] {0}, new long[] {1, 1}),
        "document entry 0: expected 0, found 1");
    assertBad(
        index(8, 1, 2, new int[] {1}, new long[] {0}, new long[] {0, 2}),
        "document entry 1: expected a value of 0 to 1");
    assertBad(
        index(8, 1, 2, new int[] {2}, new long[] {0}, new long[] {0, 1}),
        ".bin: length: expected 4 bytes");
  }

  private void assertBad(byte[] index, String message) throws IOException {
    Path prefix = folder.resolve("bad");
    Files.write(IndexedDataset.idx(prefix), index);
    Files.write(IndexedDataset.bin(prefix), new byte[2]);
    assertThatThrownBy(() -> IndexedDataset.open(prefix))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(folder.toString())
        .hasMessageContaining(message);
  }

  @Test
  void namesAMissingFile() {
    assertThatThrownBy(() -> IndexedDataset.open(folder.resolve("none")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("none.idx: no such file");
  }

  @Test
  void tellsAGitLfsPointerInPlaceOfEitherFile() throws IOException {
    Path prefix = folder.resolve("pointer");
    for (Path file : List.of(IndexedDataset.bin(prefix), IndexedDataset.idx(prefix))) {
      Fixtures.write(prefix, 100, 3, 0, 5, 1);
      Files.delete(file); // whose mapping may still be there
      Files.writeString(
          file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
      assertThatThrownBy(() -> IndexedDataset.open(prefix))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(file.toString())
          .hasMessageEndingWith("(a Git LFS pointer; fetch the file itself with git lfs pull)");
    }
  }

  @Test
  void refusesEveryPrefixOfAnIndex() throws IOException {
    Path prefix = folder.resolve("cut");
    Fixtures.write(prefix, 100, 3, 0, 5, 1);
    byte[] whole = bytes(IndexedDataset.idx(prefix));
    for (int length = 0; length < whole.length; length++) {
      Files.delete(IndexedDataset.idx(prefix));
      Files.write(IndexedDataset.idx(prefix), Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> IndexedDataset.open(prefix)).isInstanceOf(InputException.class);
    }
  }

  @Tag("slow")
  @Property(tries = 3000)
  void readsADamagedIndexOrSaysWhatIsWrong(
      @ForAll @Size(min = 1, max = 3) List<@IntRange(max = 141) Integer> places, @ForAll byte b)
      throws IOException {
    Path prefix = SCRATCH.resolve("damaged");
    if (!Files.exists(IndexedDataset.bin(prefix))) {
      Fixtures.write(prefix, 100, 3, 0, 5, 1, 2);
    }
    byte[] index =
        index(
            8,
            5,
            6,
            new int[] {3, 0, 5, 1, 2},
            new long[] {0, 6, 6, 16, 18},
            new long[] {0, 1, 2, 3, 4, 5});
    assertThat(index).hasSize(142);
    places.forEach(place -> index[place] = b);
    Path idx = IndexedDataset.idx(prefix);
    Files.deleteIfExists(idx);
    Files.write(idx, index);
    try {
      IndexedDataset data = IndexedDataset.open(prefix);
      for (int i = 0; i < data.sequences(); i++) {
        data.get(i);
      }
    } catch (JneoxException e) {
      assertThat(e.getMessage()).startsWith(prefix.toString()).doesNotContain("\n");
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {100, -1, 65536, Integer.MAX_VALUE})
  void refusesAnIdPastTheVocabularyAndLeavesNothing(int id) throws IOException {
    Path prefix = folder.resolve("past");
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(prefix, 100)) {
      writer.add(new int[] {1, 99}, 0, 2);
      assertThatThrownBy(() -> writer.add(new int[] {5, 0, id}, 1, 2))
          .isInstanceOf(InputException.class)
          .hasMessage(
              prefix
                  + ".bin: token 1 of document 1: expected an id below the vocabulary's 100, found "
                  + id);
    }
    assertThat(list(folder)).isEmpty();
  }

  @Test
  void replacesAnOlderDataSetOnlyAtTheEnd() throws IOException {
    Path prefix = folder.resolve("data");
    Fixtures.write(prefix, 100, 3, 4);
    byte[] older = bytes(IndexedDataset.bin(prefix));
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(prefix, 100)) {
      writer.add(new int[] {1, 2}, 0, 2);
      assertThat(bytes(IndexedDataset.bin(prefix))).isEqualTo(older);
      writer.commit();
    }
    assertThat(IndexedDataset.open(prefix).get(0)).containsExactly(1, 2);
    assertThat(list(folder)).containsExactlyInAnyOrder("data.bin", "data.idx");
  }

  /**
   * Wherever the disk fills up, in the .bin, in the .idx or while the .idx is completed, nothing is
   * left behind.
   */
  @ParameterizedTest
  @ValueSource(longs = {1 << 12, 1 << 19, 1 << 20, 1900 << 10, 2200 << 10, 3000 << 10})
  void leavesNothingOnAFullDisk(long room) throws IOException {
    Configuration disk =
        Configuration.unix().toBuilder().setBlockSize(1 << 12).setMaxSize(room).build();
    try (FileSystem files = Jimfs.newFileSystem(disk)) {
      Path prefix = files.getPath("/disk/data");
      assertThatThrownBy(
              () -> {
                try (IndexedDatasetWriter writer = new IndexedDatasetWriter(prefix, 100)) {
                  for (int i = 0; i < 200_000; i++) {
                    writer.add(new int[] {1, 2, 3}, 0, 3);
                  }
                  writer.commit();
                }
              })
          .isInstanceOf(StorageException.class)
          .hasMessageMatching("/disk/data\\.(bin|idx): cannot be written: out of disk space");
      assertThat(list(files.getPath("/work"))).isEmpty();
    }
  }

  private static List<String> list(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }
}
