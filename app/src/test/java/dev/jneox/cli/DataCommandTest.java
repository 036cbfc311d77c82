package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.data.BlendedDataset;
import dev.jneox.data.GptDataset;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.IndexedDatasetWriter;
import dev.jneox.data.Npy;
import dev.jneox.data.SampleIndex;
import dev.jneox.io.Progress;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataCommandTest {
  private static final int SEQ_LENGTH = 8;

  @TempDir Path folder;

  private final Arena arena = Arena.ofAuto();

  @BeforeEach
  void writeTwoDataSets() {
    for (int part = 0; part < 2; part++) {
      try (IndexedDatasetWriter writer =
          new IndexedDatasetWriter(folder.resolve("in" + part), 1000)) {
        for (int size = 1; size < 30; size++) {
          int from = size + part;
          writer.add(IntStream.range(from, from + size).toArray(), 0, size);
        }
        writer.commit();
      }
    }
  }

  private Output jneox(String... args) {
    return Output.of(args);
  }

  private GptDataset expected(int part, int samples, long seed) {
    IndexedDataset data = IndexedDataset.open(folder.resolve("in" + part));
    SampleIndex.Spec spec = SampleIndex.Spec.all(data, samples, SEQ_LENGTH, seed);
    return new GptDataset(
        data, SampleIndex.build(data, spec, arena, Progress.silent()), SEQ_LENGTH);
  }

  private void assertSame(String file, Npy expected) {
    Npy written = Npy.map(folder.resolve("out").resolve(file), arena);
    assertThat(written.type()).isEqualTo(expected.type());
    assertThat(written.shape()).isEqualTo(expected.shape());
    assertThat(written.data().mismatch(expected.data())).isEqualTo(-1);
  }

  @Test
  void writesTheOrderOfTheSamplesAndOfTheBlend() throws IOException {
    Output output =
        jneox(
            "data",
            "index",
            "--seq-length",
            "8",
            "--part",
            folder.resolve("in0") + ":1234:100:3",
            "--part",
            folder.resolve("in1") + ":5:20:1.5",
            "--out",
            folder.resolve("out").toString());
    assertThat(output.err()).contains("indexing").contains("blending");
    assertThat(output.code()).isZero();
    List<GptDataset> parts = List.of(expected(0, 100, 1234), expected(1, 20, 5));
    BlendedDataset blend =
        BlendedDataset.of(parts, new double[] {3, 1.5}, arena, Progress.silent());
    assertSame("blend.dataset_index.npy", blend.datasetIndex());
    assertSame("blend.dataset_sample_index.npy", blend.sampleIndex());
    assertSame("part0.first16.npy", parts.get(0).first(16, arena));
    assertSame("part1.first16.npy", parts.get(1).first(16, arena));
    try (Stream<Path> files = Files.list(folder.resolve("out"))) {
      assertThat(files).hasSize(10);
    }
  }

  @Test
  void blendsNothingWithoutWeights() {
    Output output =
        jneox(
            "data",
            "index",
            "--seq-length",
            "8",
            "--part",
            folder.resolve("in0") + ":1:10",
            "--out",
            folder.resolve("out").toString());
    assertThat(output.code()).isZero();
    assertThat(folder.resolve("out/part0.shuffle_idx.npy")).exists();
    assertThat(folder.resolve("out/blend.dataset_index.npy")).doesNotExist();
  }

  @Test
  void explainsAPartItDoesNotUnderstand() {
    String in = folder.resolve("in0").toString();
    for (List<String> parts :
        List.of(
            List.of(in + ":1"),
            List.of(in + ":x:5"),
            List.of(in + ":1:5:"),
            List.of(in + ":1:5:2", in + ":1:5"))) {
      String[] args =
          Stream.concat(
                  Stream.of("data", "index", "--seq-length", "8", "--out", in),
                  parts.stream().flatMap(part -> Stream.of("--part", part)))
              .toArray(String[]::new);
      assertThat(jneox(args).code()).as(parts.toString()).isEqualTo(2);
    }
  }

  @Test
  void saysInOneLineWhatIsWrongWithAFile() throws IOException {
    Path index = folder.resolve("in0.idx");
    byte[] content = Files.readAllBytes(index);
    Files.write(index, java.util.Arrays.copyOf(content, content.length - 3));
    for (String command : List.of("inspect", "index")) {
      Output output =
          command.equals("inspect")
              ? jneox("data", command, folder.resolve("in0").toString())
              : jneox(
                  "data",
                  command,
                  "--seq-length",
                  "8",
                  "--part",
                  folder.resolve("in0") + ":1:5",
                  "--out",
                  folder + "/out");
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.err().lines())
          .singleElement()
          .asString()
          .startsWith("jneox: " + index + ": ")
          .contains("truncated");
    }
  }

  @Test
  void writesNothingWhenAPartIsEmpty() {
    Path empty = folder.resolve("empty");
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(empty, 300)) {
      writer.commit();
    }
    Output output =
        jneox(
            "data",
            "index",
            "--seq-length",
            "8",
            "--part",
            folder.resolve("in0") + ":1:5",
            "--part",
            empty + ":1:5",
            "--out",
            folder.resolve("out").toString());
    assertThat(output.code()).isEqualTo(1);
    assertThat(output.err().lines())
        .last()
        .asString()
        .isEqualTo("jneox: " + empty + ": documents 0 to 0: expected at least 2 tokens, found 0");
    assertThat(folder.resolve("out")).doesNotExist();
  }

  @Test
  void tellsWhatIsInAPair() throws IOException {
    Output output = jneox("data", "inspect", folder.resolve("in1").toString(), "--tokens", "5");
    JsonNode report = new ObjectMapper().readTree(output.out());
    assertThat(report.get("documents").asInt()).isEqualTo(29);
    assertThat(report.get("tokens").asInt()).isEqualTo(435);
    assertThat(report.get("type").asText()).isEqualTo("u16");
    assertThat(report.get("longest").asInt()).isEqualTo(29);
    assertThat(report.get("first")).hasSize(1);
    assertThat(report.get("first").get(0).asInt()).isEqualTo(2);
  }

  private List<JsonNode> inspect(String... options) throws IOException {
    Output output =
        jneox(
            Stream.concat(
                    Stream.of("data", "inspect", folder.resolve("in0").toString()),
                    Stream.of(options))
                .toArray(String[]::new));
    assertThat(output.code()).as(output.err()).isZero();
    List<JsonNode> lines = new ArrayList<>();
    for (String line : output.out().lines().toList()) {
      lines.add(new ObjectMapper().readTree(line));
    }
    return lines;
  }

  @Test
  void showsTheDocumentsOfASampleAndTheSamplesOfAToken() throws IOException {
    GptDataset dataset = expected(0, 60, 1234);
    int[] ids = dataset.sample(55);
    List<JsonNode> lines = inspect("--seq-length", "8", "--samples", "60", "--sample", "55");
    assertThat(lines.getFirst()).isEqualTo(inspect().getFirst());
    int position = 0;
    for (JsonNode line : lines.subList(1, lines.size())) {
      assertThat(line.get("sample").asInt()).isEqualTo(55);
      assertThat(line.get("position").asInt()).isEqualTo(position);
      int[] document = dataset.sources().getFirst().get(line.get("document").asInt());
      for (int k = 0; k < line.get("length").asInt(); k++) {
        assertThat(document[line.get("offset").asInt() + k]).isEqualTo(ids[position++]);
      }
      String token = line.get("document").asInt() + ":" + line.get("offset").asInt();
      List<JsonNode> reads = inspect("--seq-length", "8", "--samples", "60", "--token", token);
      assertThat(reads.subList(1, reads.size()))
          .anySatisfy(
              read -> {
                assertThat(read.get("sample").asInt()).isEqualTo(55);
                assertThat(read.get("position")).isEqualTo(line.get("position"));
              });
    }
    assertThat(position).isEqualTo(9);
  }

  @Test
  void saysWhichSamplesAndTokensThereAre() {
    String in = folder.resolve("in0").toString();
    for (List<String> option :
        List.of(
            List.of("--sample", "54", "--sample: expected a sample of 0 to 52, found 54"),
            List.of("--token", "28:29", "--token: expected an offset below the 29 tokens"),
            List.of("--token", "29:0", "--token: expected a document below 29, found 29:0"))) {
      Output output =
          jneox("data", "inspect", in, "--seq-length", "8", option.get(0), option.get(1));
      assertThat(output.code()).isEqualTo(1);
      assertThat(output.err().lines()).last().asString().contains(option.get(2));
    }
    assertThat(jneox("data", "inspect", in, "--sample", "1").code()).isEqualTo(2);
    assertThat(jneox("data", "inspect", in, "--seq-length", "8", "--token", "x").code())
        .isEqualTo(2);
  }
}
