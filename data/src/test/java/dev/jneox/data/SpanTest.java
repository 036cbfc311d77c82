package dev.jneox.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.data.SampleIndex.Spec;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Compares both directions with what is found by reading every sample. */
@Tag("slow")
@net.jqwik.api.Tag("slow")
class SpanTest {
  private static final Path SCRATCH = Fixtures.scratch();

  @TempDir Path folder;

  private static GptDataset dataset(IndexedDataset data, Spec spec) {
    SampleIndex index = SampleIndex.build(data, spec, Arena.ofAuto(), Progress.silent());
    return new GptDataset(data, index, spec.seqLength());
  }

  private static GptDataset part(int part) {
    IndexedDataset data = Fixtures.part(part);
    return dataset(
        data, Spec.all(data, Fixtures.SAMPLES[part], Fixtures.SEQ_LENGTH, Fixtures.SEEDS[part]));
  }

  private static BlendedDataset blend(List<? extends Dataset> parts, double... weights) {
    return BlendedDataset.of(parts, weights, Arena.ofAuto(), Progress.silent());
  }

  /** Every token of the first {@code samples} samples: where it lies, and all places it is at. */
  private static Map<Origin, List<Dataset.Read>> readAll(Dataset dataset, long samples) {
    Map<Origin, List<Dataset.Read>> reads =
        new TreeMap<>(
            Comparator.comparing(Origin::source)
                .thenComparing(Origin::document)
                .thenComparing(Origin::offset));
    for (long i = 0; i < samples; i++) {
      int[] ids = dataset.sample(i);
      int position = 0;
      for (Span span : dataset.spans(i)) {
        assertThat(span.position()).isEqualTo(position);
        assertThat(span.length()).isPositive();
        int[] document = dataset.sources().get(span.source()).get(span.document());
        for (int k = 0; k < span.length(); k++, position++) {
          assertThat(span.covers(position)).isTrue();
          Origin origin = new Origin(span.source(), span.document(), span.offset() + k);
          assertThat(span.origin(position)).isEqualTo(origin);
          assertThat(ids[position]).isEqualTo(document[origin.offset()]);
          reads.computeIfAbsent(origin, _ -> new ArrayList<>()).add(new Dataset.Read(i, position));
        }
      }
      assertThat(position).isEqualTo(dataset.seqLength() + 1);
    }
    return reads;
  }

  private static List<Origin> tokens(Dataset dataset) {
    List<Origin> tokens = new ArrayList<>();
    for (int source = 0; source < dataset.sources().size(); source++) {
      IndexedDataset data = dataset.sources().get(source);
      for (int document = 0; document < data.sequences(); document++) {
        for (int offset = 0; offset < data.size(document); offset++) {
          tokens.add(new Origin(source, document, offset));
        }
      }
    }
    return tokens;
  }

  private static void assertExact(Dataset dataset, long samples) {
    Map<Origin, List<Dataset.Read>> all = readAll(dataset, samples);
    for (Origin origin : tokens(dataset)) {
      assertThat(dataset.reads(origin, samples))
          .as(origin.toString())
          .isEqualTo(all.getOrDefault(origin, List.of()));
    }
  }

  private static void assertExact(BatchOrder order, long steps) {
    Map<Origin, List<BatchOrder.Read>> all = new HashMap<>();
    for (long step = 0; step < steps; step++) {
      for (int row = 0; row < order.micro() * order.accumulation(); row++) {
        // As the training loop counts.
        long whole = order.data().length() / order.micro();
        long batch = step * order.accumulation() + row / order.micro();
        int[] ids = order.data().sample(batch % whole * order.micro() + row % order.micro());
        for (int position = 0; position < ids.length; position++) {
          BatchOrder.Read read = new BatchOrder.Read(step, row, position);
          Origin origin = order.origin(read);
          IndexedDataset data = order.data().sources().get(origin.source());
          assertThat(data.get(origin.document())[origin.offset()]).isEqualTo(ids[position]);
          all.computeIfAbsent(origin, _ -> new ArrayList<>()).add(read);
        }
      }
    }
    for (Origin origin : tokens(order.data())) {
      assertThat(order.reads(origin, steps))
          .as(origin.toString())
          .isEqualTo(all.getOrDefault(origin, List.of()));
    }
  }

  /** Documents of any size: empty, of one token, longer than several samples. */
  private static IndexedDataset corpus(Random random, String name) {
    int most = List.of(1, 3, 40).get(random.nextInt(3));
    int[] sizes =
        IntStream.range(0, 1 + random.nextInt(12))
            .map(_ -> random.nextInt(4) == 0 ? 0 : random.nextInt(most + 1))
            .toArray();
    sizes[random.nextInt(sizes.length)] += 2;
    return Fixtures.write(SCRATCH.resolve(name), 70_000, sizes);
  }

  @Property(tries = 300)
  void bothDirectionsAgreeWithReadingEverySample(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 9) int seqLength,
      @ForAll @IntRange(min = 1, max = 3) int parts) {
    Random random = new Random(seed);
    List<GptDataset> datasets = new ArrayList<>();
    double[] weights = new double[parts];
    for (int part = 0; part < parts; part++) {
      IndexedDataset data = corpus(random, "part" + part);
      Spec spec = Spec.all(data, 1 + random.nextInt(40), seqLength, random.nextInt(1000));
      datasets.add(dataset(data, spec));
      weights[part] = part == 0 ? 1 : random.nextInt(5);
    }
    Dataset dataset = parts == 1 ? datasets.getFirst() : blend(datasets, weights);
    assertExact(dataset, 1 + random.nextInt(3 * (int) dataset.length() + 2));
    if (dataset.length() == 0) {
      return; // one sample, of which GPT-NeoX makes no batch
    }
    int micro = 1 + random.nextInt((int) Math.min(5, dataset.length()));
    BatchOrder order = new BatchOrder(dataset, micro, 1 + random.nextInt(3));
    assertExact(order, random.nextInt(2 * (int) dataset.length() / micro + 2));
  }

  /** Of a data set with one sample, that one comes again and again, though its length is zero. */
  @Test
  void aSingleSampleRepeats() {
    IndexedDataset data = Fixtures.write(folder.resolve("data"), 100, 3, 0, 2);
    GptDataset dataset = dataset(data, Spec.all(data, 0, 4, 1));
    assertThat(dataset.length()).isZero();
    assertExact(dataset, 5);
    assertThatThrownBy(() -> new BatchOrder(dataset, 1, 1))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("a whole micro-batch");
  }

  @Test
  void aSplitReadsItsOwnDocumentsOnly() {
    int[] sizes = {5, 0, 17, 1, 3, 0, 9, 0, 4, 30, 2};
    IndexedDataset data = Fixtures.write(folder.resolve("data"), 100, sizes);
    Splits splits = Splits.of("6,3,2", data.sequences());
    int[][] ranges = {
      {0, splits.valid()}, {splits.valid(), splits.test()}, {splits.test(), splits.end()}
    };
    for (int[] range : ranges) {
      GptDataset dataset = dataset(data, new Spec(range[0], range[1], 25, 4, 7));
      assertExact(dataset, 60);
      for (Origin origin : tokens(dataset)) {
        boolean inside = origin.document() >= range[0] && origin.document() < range[1];
        assertThat(dataset.reads(origin, 60).isEmpty()).isEqualTo(!inside);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void isExactOnGptNeoxsData(int part) {
    GptDataset dataset = part(part);
    assertExact(dataset, dataset.length() + 3);
    Npy first = Npy.map(Fixtures.megatron("part" + part + ".first16.npy"), Arena.ofAuto());
    for (int i = 0; i < 16; i++) {
      for (Span span : dataset.spans(i)) {
        int[] document = dataset.sources().getFirst().get(span.document());
        for (int k = 0; k < span.length(); k++) {
          long at = i * (Fixtures.SEQ_LENGTH + 1L) + span.position() + k;
          assertThat(document[span.offset() + k]).isEqualTo((int) first.get(at));
        }
      }
    }
  }

  @Test
  void isExactOnGptNeoxsBlend() {
    BlendedDataset blend = blend(List.of(part(0), part(1), part(2)), Fixtures.WEIGHTS);
    assertExact(blend, blend.length() + 100);
    assertExact(new BatchOrder(blend, 8, 3), 50);
  }

  /** Sources are numbered in the order of the parts, through blends of blends. */
  @Test
  void numbersTheSourcesOfANestedBlend() {
    BlendedDataset inner = blend(List.of(part(1), part(2)), 2, 1);
    BlendedDataset outer = blend(List.of(part(0), inner), 1, 3);
    assertThat(outer.sources())
        .extracting(source -> source.prefix().getFileName().toString())
        .containsExactly("part0", "part1", "part2");
    assertExact(outer, 300);
  }

  /** The last token of a sample is the first of the one cut behind it. */
  @Test
  void neighboursShareOneToken() {
    IndexedDataset data = Fixtures.write(folder.resolve("data"), 100, 13);
    GptDataset dataset = dataset(data, Spec.all(data, 3, 4, 1));
    assertThat(dataset.reads(new Origin(0, 0, 4), 3))
        .extracting(Dataset.Read::position)
        .containsExactlyInAnyOrder(0, 4);
    assertThat(dataset.reads(new Origin(0, 0, 5), 3))
        .extracting(Dataset.Read::position)
        .containsExactly(1);
    assertThat(dataset.reads(new Origin(0, 0, 0), 3))
        .extracting(Dataset.Read::position)
        .containsExactly(0);
  }

  @Test
  void refusesATokenThatIsNotThere() {
    IndexedDataset data = Fixtures.write(folder.resolve("data"), 100, 13, 0);
    GptDataset dataset = dataset(data, Spec.all(data, 3, 4, 1));
    BlendedDataset blend = blend(List.of(dataset, dataset), 1, 1);
    for (Origin origin : List.of(new Origin(0, 0, 13), new Origin(0, 1, 0), new Origin(0, 2, 0))) {
      assertThatThrownBy(() -> dataset.reads(origin, 3))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
    assertThatThrownBy(() -> dataset.reads(new Origin(1, 0, 0), 3))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> blend.reads(new Origin(2, 0, 0), 3))
        .isInstanceOf(IndexOutOfBoundsException.class);
    BatchOrder order = new BatchOrder(dataset, 2, 1);
    assertThatThrownBy(() -> order.spans(0, 2)).isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> order.origin(new BatchOrder.Read(0, 0, 5)))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }
}
