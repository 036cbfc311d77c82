package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.data.IndexedDatasetWriter;
import dev.jneox.dist.Ranks;
import dev.jneox.io.Progress;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A checkpoint that an earlier version wrote, when query, key and value were one parameter: the run
 * of {@link #writeRun} after four of its eight steps, with the losses it had.
 */
class CheckpointTest {
  private static final Path FIXTURE = Path.of("src/test/resources/checkpoint/global_step4");
  private static final int VOCAB = 61;

  private static final double[] LOSSES = {
    4.1117273126863605,
    4.105900789744183,
    4.084384659023156,
    4.062942201612639,
    4.012450633656879,
    3.9925995669236833,
    3.9946690819941737,
    3.971638841697561
  };

  @TempDir Path dir;

  @BeforeEach
  void writeRun() throws IOException {
    Random random = new Random(1);
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(dir.resolve("data"), VOCAB)) {
      for (int d = 0; d < 200; d++) {
        int[] ids = new int[5 + random.nextInt(40)];
        for (int i = 0; i < ids.length; i++) {
          ids[i] = i == 0 ? random.nextInt(VOCAB) : (ids[i - 1] * 3 + random.nextInt(2)) % VOCAB;
        }
        writer.add(ids, 0, ids.length);
      }
      writer.commit();
    }
    Files.copy(FIXTURE.resolve("configs/tiny.yml"), dir.resolve("tiny.yml"));
  }

  private NeoxConfig config(String... sets) {
    List<String> all = new ArrayList<>(List.of("data_path=" + dir.resolve("data")));
    all.addAll(List.of(sets));
    return NeoxConfig.load(List.of(dir.resolve("tiny.yml")), all);
  }

  private List<Double> losses(String... sets) {
    NeoxConfig config = config(sets);
    List<Double> losses = new ArrayList<>();
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.DEFAULT);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer = new Trainer(config, VOCAB, 0, null, data, directory)) {
      trainer.run(
          new TrainingCallback() {
            @Override
            public void afterStep(Trainer running, Trainer.Step step) {
              losses.add(step.loss());
            }
          });
    }
    return losses;
  }

  @Tag("slow")
  @Test
  void aRunBeginsWithTheSameWeights() {
    assertLosses(losses(), 0);
  }

  @Test
  void anEarlierRunGoesOn() throws IOException {
    Path run = dir.resolve("run");
    Path step = Files.createDirectories(run.resolve("global_step4"));
    try (Stream<Path> files = Files.walk(FIXTURE)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path copy = step.resolve(FIXTURE.relativize(file));
        Files.createDirectories(copy.getParent());
        Files.copy(file, copy);
      }
    }
    Files.writeString(run.resolve("latest"), "global_step4");
    assertLosses(losses("save=" + run, "load=" + run), 4);
    assertThat(run.resolve("latest")).hasContent("global_step8");
  }

  private static void assertLosses(List<Double> found, int first) {
    assertThat(found).hasSize(LOSSES.length - first);
    for (int i = first; i < LOSSES.length; i++) {
      assertThat(found.get(i - first)).as("step %d", i + 1).isCloseTo(LOSSES[i], within(1e-5));
    }
  }

  @Test
  void theFilesAreTheSameByteForByte() throws IOException {
    Path written = Files.createDirectories(dir.resolve("written"));
    try (Parameters parameters = new Parameters(config().model().shape(VOCAB, 0), Dtype.F32)) {
      Checkpoint.loadWeights(FIXTURE, parameters);
      Checkpoint.State state = Checkpoint.loadTraining(FIXTURE, parameters);
      assertThat(state.iteration()).isEqualTo(4);
      DataParallel one = new DataParallel(Ranks.ALONE, parameters);
      Checkpoint.write(
          written,
          state,
          parameters.spec(),
          Checkpoint.live(parameters, one),
          null,
          GenerationSettings.NONE,
          Map.of());
    }
    for (String file :
        List.of("config.json", "model.safetensors", "optimizer.safetensors", "training.json")) {
      assertThat(Files.readAllBytes(written.resolve(file)))
          .as(file)
          .isEqualTo(Files.readAllBytes(FIXTURE.resolve(file)));
    }
  }
}
