package dev.jneox.data;

import static dev.jneox.data.Fixtures.bytes;
import static dev.jneox.data.Fixtures.megatron;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.data.SampleIndex.Spec;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@net.jqwik.api.Tag("slow") // of the properties alone
class SampleIndexTest {
  private static final Path SCRATCH = Fixtures.scratch();

  @TempDir Path folder;

  private static SampleIndex build(IndexedDataset data, Spec spec) {
    return SampleIndex.build(data, spec, Arena.ofAuto(), Progress.silent());
  }

  private SampleIndex cached(IndexedDataset data, Spec spec) {
    return SampleIndex.cached(data, "train", spec, Arena.ofAuto(), Progress.silent());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void isGptNeoxsToTheLastByte(int part) {
    IndexedDataset data = Fixtures.part(part);
    SampleIndex index =
        build(
            data,
            Spec.all(data, Fixtures.SAMPLES[part], Fixtures.SEQ_LENGTH, Fixtures.SEEDS[part]));
    index.documents().write(folder.resolve("doc_idx"));
    index.samples().write(folder.resolve("sample_idx"));
    index.shuffle().write(folder.resolve("shuffle_idx"));
    for (String name : List.of("doc_idx", "sample_idx", "shuffle_idx")) {
      assertThat(bytes(folder.resolve(name)))
          .as(name)
          .isEqualTo(bytes(megatron("part" + part + "." + name + ".npy")));
    }
  }

  @ParameterizedTest
  @CsvSource({"0,202", "1,310", "2,535"})
  void givesGptNeoxsSamples(int part, int length) {
    IndexedDataset data = Fixtures.part(part);
    Spec spec = Spec.all(data, Fixtures.SAMPLES[part], Fixtures.SEQ_LENGTH, Fixtures.SEEDS[part]);
    GptDataset dataset = new GptDataset(data, build(data, spec), Fixtures.SEQ_LENGTH);
    assertThat(dataset.length()).isEqualTo(length);
    dataset.first(16, Arena.ofAuto()).write(folder.resolve("first16"));
    assertThat(bytes(folder.resolve("first16")))
        .isEqualTo(bytes(megatron("part" + part + ".first16.npy")));
    // The sample past the end is still there; behind it the numbers start over.
    assertThat(dataset.sample(length)).isNotEqualTo(dataset.sample(0));
    assertThat(dataset.sample(length + 1)).isEqualTo(dataset.sample(1));
    assertThat(dataset.sample(7L * length + 5)).isEqualTo(dataset.sample(5));
  }

  /** The slow way: lay all documents end to end and cut. */
  @Property(tries = 300)
  void cutsAsTheSlowWayDoes(
      @ForAll @Size(min = 1, max = 30) List<@IntRange(max = 12) Integer> sizes,
      @ForAll @IntRange(min = 1, max = 9) int seqLength,
      @ForAll @IntRange(max = 40) int samples,
      @ForAll @IntRange(max = 5) int first) {
    int start = Math.min(first, sizes.size() - 1);
    int perEpoch = sizes.subList(start, sizes.size()).stream().mapToInt(Integer::intValue).sum();
    if (perEpoch < 2) {
      return;
    }
    Path prefix = SCRATCH.resolve("oracle");
    IndexedDataset data =
        Fixtures.write(prefix, 1000, sizes.stream().mapToInt(Integer::intValue).toArray());
    Spec spec = new Spec(start, sizes.size(), samples, seqLength, 99);
    SampleIndex index = build(data, spec);

    int epochs = 1;
    while ((epochs * perEpoch - 1) / seqLength < samples) {
      epochs++;
    }
    int n = (epochs * perEpoch - 1) / seqLength;
    assertThat(index.count()).isEqualTo(n);
    assertThat(index.documents().size()).isEqualTo((long) epochs * (sizes.size() - start));
    assertThat(index.samples().shape()).containsExactly(n + 1L, 2L);

    IntStream.Builder ids = IntStream.builder();
    for (long i = 0; i < index.documents().size(); i++) {
      for (int id : data.get((int) index.documents().get(i))) {
        ids.add(id);
      }
    }
    int[] stream = ids.build().toArray();
    GptDataset dataset = new GptDataset(data, index, seqLength);
    for (int i = 0; i < n; i++) {
      int cut = (int) index.shuffle().get(i) * seqLength;
      assertThat(dataset.sample(i)).isEqualTo(Arrays.copyOfRange(stream, cut, cut + seqLength + 1));
    }
    assertThat(LongStream.range(0, n).map(index.shuffle()::get).sorted().toArray())
        .isEqualTo(LongStream.range(0, n).toArray());
  }

  @Test
  void usesWideIndexesWhereGptNeoxDoes() {
    long limit = (Integer.MAX_VALUE - 1) / 2;
    assertThat(SampleIndex.Shape.of(1, limit - 1, 1).sampleType()).isEqualTo(ElementType.I32);
    assertThat(SampleIndex.Shape.of(1, limit, 1).sampleType()).isEqualTo(ElementType.I64);
    assertThat(SampleIndex.Shape.of(1, 0xFFFF_FFFDL, 1).shuffleType()).isEqualTo(ElementType.U32);
    assertThat(SampleIndex.Shape.of(1, 0xFFFF_FFFEL, 1).shuffleType()).isEqualTo(ElementType.I64);
  }

  @Test
  void keepsTheIndexUnderGptNeoxsNamesAndReadsItAgain() throws IOException {
    IndexedDataset data = Fixtures.write(folder.resolve("data"), 100, 30, 7, 0, 50, 13);
    Spec spec = Spec.all(data, 40, 16, 1234);
    SampleIndex built = cached(data, spec);
    List<String> names =
        Stream.of("doc", "sample", "shuffle")
            .map(kind -> "data_train_indexmap_40ns_16sl_1234s_packedpi_ac_" + kind + "_idx.npy")
            .toList();
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(
              files
                  .map(file -> file.getFileName().toString())
                  .filter(name -> name.endsWith(".npy")))
          .hasSameElementsAs(names);
    }
    FileTime old = FileTime.fromMillis(1000);
    for (String name : names) {
      Files.setLastModifiedTime(folder.resolve(name), old);
    }
    assertSame(cached(data, spec), built);
    assertSame(built, build(data, spec));
    for (String name : names) {
      assertThat(Files.getLastModifiedTime(folder.resolve(name))).isEqualTo(old);
    }
  }

  @Test
  void rebuildsAnIndexOfOtherData() {
    Path prefix = folder.resolve("data");
    Spec spec = Spec.all(Fixtures.write(prefix, 100, 30, 7, 0, 50, 13), 40, 16, 1234);
    cached(IndexedDataset.open(prefix), spec);
    // As many documents and tokens, but not the same.
    IndexedDataset changed = Fixtures.write(prefix, 100, 7, 30, 0, 50, 13);
    assertSame(cached(changed, spec), build(changed, spec));
  }

  @Test
  void rebuildsADamagedIndex() throws IOException {
    IndexedDataset data = Fixtures.write(folder.resolve("data"), 100, 30, 7, 0, 50, 13);
    Spec spec = Spec.all(data, 40, 16, 1234);
    SampleIndex right = build(data, spec);
    for (String kind : List.of("doc", "sample", "shuffle")) {
      for (int at : new int[] {3, 130, 150}) {
        cached(data, spec);
        Path file =
            folder.resolve("data_train_indexmap_40ns_16sl_1234s_packedpi_ac_" + kind + "_idx.npy");
        byte[] content = bytes(file);
        content[at] ^= 0x40;
        Files.delete(file);
        Files.write(file, content);
        assertSame(cached(data, spec), right);
      }
    }
  }

  private static void assertSame(SampleIndex found, SampleIndex expected) {
    assertThat(found.documents().data().mismatch(expected.documents().data())).isEqualTo(-1);
    assertThat(found.samples().data().mismatch(expected.samples().data())).isEqualTo(-1);
    assertThat(found.shuffle().data().mismatch(expected.shuffle().data())).isEqualTo(-1);
  }

  @Test
  void saysWhenThereIsNotEvenOneSample() {
    IndexedDataset data = Fixtures.write(folder.resolve("data"), 100, 3);
    GptDataset dataset = new GptDataset(data, build(data, Spec.all(data, 0, 4, 1)), 4);
    assertThat(dataset.length()).isZero();
    assertThatThrownBy(() -> dataset.sample(0))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected 5 tokens");
  }

  @Test
  void saysWhenThereIsNothingToLearnFrom() {
    IndexedDataset data = Fixtures.write(folder.resolve("data"), 100, 0, 1, 0);
    assertThatThrownBy(() -> build(data, Spec.all(data, 5, 4, 1)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected at least 2 tokens, found 1");
  }

  @ParameterizedTest
  @ValueSource(longs = {Long.MAX_VALUE, 3_000_000_000L})
  void refusesMoreThanTheFormatCanCount(long samples) {
    IndexedDataset data = Fixtures.write(folder.resolve("data"), 100, 2, 1, 1);
    assertThatThrownBy(() -> build(data, Spec.all(data, samples, 4, 1)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("2^31 - 1 documents");
  }

  @Test
  void reportsEveryRow() {
    IndexedDataset data =
        Fixtures.write(folder.resolve("data"), 100, IntStream.range(0, 50).map(i -> 5).toArray());
    Progress progress = Progress.silent();
    SampleIndex index =
        SampleIndex.build(data, Spec.all(data, 100, 3, 1), Arena.ofAuto(), progress);
    assertThat(progress.done()).isEqualTo(index.documents().size() + 2 * index.count());
  }
}
