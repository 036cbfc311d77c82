package dev.jneox.train;

import dev.jneox.data.IndexedDatasetWriter;
import dev.jneox.format.Manifest;
import dev.jneox.fuzz.FuzzTest;
import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import dev.jneox.io.Progress;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** All readers of training. A new one is a line. */
class TrainFuzzTest extends FuzzTest {
  private static final Path CHECKPOINT = Path.of("src/test/resources/checkpoint/global_step4");

  private static final List<Reader> READERS =
      List.of(
          Reader.ofFile("recipe", "recipe.yml", TrainFuzzTest::recipe, TrainFuzzTest::recipes),
          Reader.of("checkpoint", TrainFuzzTest::checkpoint, TrainFuzzTest::checkpoint),
          Reader.of("run-folder", TrainFuzzTest::run, TrainFuzzTest::run)
              .repairedBy(TrainFuzzTest::withManifest)
              .thatWrites(),
          Reader.ofFile("metrics", "metrics.csv", TrainFuzzTest::metrics, TrainFuzzTest::metrics)
              .thatWrites(),
          Reader.of("training-data", TrainFuzzTest::data, TrainFuzzTest::data).thatWrites());

  @Override
  protected List<Reader> readers() {
    return READERS;
  }

  @Override
  protected double share() {
    return 0.15;
  }

  private static void recipe(Path file) {
    NeoxConfig config = NeoxConfig.load(List.of(file), List.of());
    config.unsupported();
    config.model().shape(300, 0).parameterCount();
  }

  private static List<Input> recipes() {
    List<Input> recipes = new ArrayList<>();
    recipes.add(Input.of("recipe.yml", NeoxConfigTest.SMALL));
    recipes.add(
        Input.of(
            "recipe.yml",
            NeoxConfigTest.SMALL
                + """
                gradient_accumulation_steps: 2
                train_batch_size: 16
                fp16: {enabled: true, "loss_scale": 0, 'initial_scale_power': 12,}
                "data-path": data/text # a comment
                split: "969, 30, 1"
                extra_save_iters: &x [0, 1, 2]
                save: |
                  there
                rotary_pct: .25
                warmup: 1e-2
                """));
    try (Stream<Path> files = Files.walk(Path.of("../configs"))) {
      for (Path file : files.filter(path -> path.toString().endsWith(".yml")).sorted().toList()) {
        recipes.add(Input.of("recipe.yml", Files.readAllBytes(file)));
      }
      recipes.add(
          Input.of("recipe.yml", Files.readAllBytes(CHECKPOINT.resolve("configs/tiny.yml"))));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return recipes;
  }

  private static final NeoxConfig TINY =
      NeoxConfig.load(List.of(CHECKPOINT.resolve("configs/tiny.yml")), List.of());

  private static Parameters parameters;

  private static void checkpoint(Path folder) {
    if (parameters == null) {
      parameters = new Parameters(TINY.model().shape(61, 0), Dtype.F32);
    }
    Checkpoint.loadWeights(folder, parameters);
    Checkpoint.loadTraining(folder, parameters);
  }

  private static List<Input> checkpoint() {
    return List.of(Input.of(CHECKPOINT));
  }

  private static void run(Path folder) {
    Path run = folder.resolve("run");
    NeoxConfig config =
        NeoxConfig.load(
            List.of(CHECKPOINT.resolve("configs/tiny.yml")),
            List.of("data_path=" + folder.resolve("data"), "save=" + run, "load=" + run));
    for (Resume resume : List.of(Resume.DEFAULT, new Resume(false, true, false))) {
      try (RunDirectory directory = RunDirectory.open(config.checkpoint(), resume)) {
        directory.start();
        directory.notes();
      }
    }
  }

  private static List<Input> run() {
    Input run =
        new Input(
            Map.of(
                "run/latest",
                "global_step4".getBytes(StandardCharsets.UTF_8),
                "run/global_step2.partial/x",
                new byte[3]));
    for (Map.Entry<String, byte[]> file : Input.of(CHECKPOINT).files().entrySet()) {
      run = run.with("run/global_step4/" + file.getKey(), file.getValue());
    }
    return List.of(run, run.with("run/latest", "global_step4\n"));
  }

  /** Makes the manifest fit again, but not to its own text. */
  private static Input withManifest(Input input) {
    String name = "run/global_step4/" + Manifest.NAME;
    byte[] old = input.files().get(name);
    if (old == null || old.length < 9) {
      return input;
    }
    java.util.zip.CRC32C crc = new java.util.zip.CRC32C();
    crc.update(old, 0, old.length - 9);
    byte[] last = "%08x\n".formatted((int) crc.getValue()).getBytes(StandardCharsets.UTF_8);
    byte[] fitting = old.clone();
    System.arraycopy(last, 0, fitting, old.length - 9, 9);
    return input.with(name, fitting);
  }

  private static void metrics(Path file) {
    try (MetricsCsv csv = MetricsCsv.open(file, List.of("loss", "lr"), 3, note -> {})) {
      csv.write(4, List.of(1.0, 1e-3));
    }
    try (EventFile events = EventFile.create(file.resolveSibling("events"), 4)) {
      events.write(4, Map.of("loss", 1.0));
    }
  }

  private static List<Input> metrics() {
    Input table =
        Input.of("metrics.csv", "step,loss,lr\n1,1.0,0.001\n2,NaN,\n3,0.5,1.5E-4\n4,1,1\n");
    return List.of(
        table.with("events/events.out.tfevents.1700000000.jneox.1.0", new byte[] {1, 2, 3}));
  }

  private static void data(Path folder) {
    NeoxConfig config =
        NeoxConfig.load(
            List.of(CHECKPOINT.resolve("configs/tiny.yml")),
            List.of("data_path=" + folder.resolve("data"), "train_iters=2"));
    try (TrainingData data = TrainingData.open(config, Progress.silent())) {
      data.train().sample(0);
    }
  }

  private static List<Input> data() {
    try {
      Path folder = Files.createTempDirectory(Path.of("target"), "scratch");
      try (IndexedDatasetWriter writer = new IndexedDatasetWriter(folder.resolve("data"), 61)) {
        for (int d = 0; d < 200; d++) {
          writer.add(new int[] {d % 61, 5, 6, 7, 8, 9, 10, 11, 12, 13}, 0, 10);
        }
        writer.commit();
      }
      Input made = new Input(Map.of());
      for (String name : List.of("data.bin", "data.idx")) {
        made = made.with(name, Files.readAllBytes(folder.resolve(name)));
      }
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path path : files.toList().reversed()) {
          Files.delete(path);
        }
      }
      return List.of(made);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
