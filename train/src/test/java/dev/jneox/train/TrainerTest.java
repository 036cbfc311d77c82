package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.data.IndexedDatasetWriter;
import dev.jneox.dist.Shard;
import dev.jneox.format.ModelFiles;
import dev.jneox.io.DivergedException;
import dev.jneox.io.InputException;
import dev.jneox.io.MachineException;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.torch.Device;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("slow")
class TrainerTest {
  private static final int VOCAB = 61;

  @TempDir Path dir;
  private Path tokenizer;

  @BeforeEach
  void writeData() throws IOException {
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
    Files.writeString(
        dir.resolve("tiny.yml"),
        """
        num_layers: 2
        hidden_size: 32
        num_attention_heads: 4
        seq_length: 16
        max_position_embeddings: 16
        rotary_pct: 0.25
        pos_emb: rotary
        gpt_j_residual: true
        no_weight_tying: true
        make_vocab_size_divisible_by: 32
        optimizer: {type: Adam, params: {lr: 0.01, betas: [0.9, 0.95]}}
        train_iters: 20
        train_micro_batch_size_per_gpu: 4
        gradient_accumulation_steps: 2
        split: "90,5,5"
        eval_interval: 8
        eval_iters: 2
        checkpoint_factor: 100
        fp16: {initial_scale_power: 12}
        """);
  }

  private NeoxConfig config(String... sets) {
    List<String> all = new ArrayList<>(List.of("data_path=" + dir.resolve("data")));
    all.addAll(List.of(sets));
    return NeoxConfig.load(List.of(dir.resolve("tiny.yml")), all);
  }

  private record Run(
      Trainer.End end,
      List<Trainer.Step> steps,
      List<String> evaluations,
      float[] weights,
      List<String> notes) {}

  private Run train(String... sets) {
    return train(Resume.DEFAULT, sets);
  }

  private Run train(Resume resume, String... sets) {
    return train(resume, (trainer, step) -> {}, sets);
  }

  /**
   * @param each is called after each step
   */
  private Run train(Resume resume, BiConsumer<Trainer, Trainer.Step> each, String... sets) {
    NeoxConfig config = config(sets);
    List<Trainer.Step> steps = new ArrayList<>();
    List<String> evaluations = new ArrayList<>();
    List<String> notes = new ArrayList<>();
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), resume);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer = new Trainer(config, VOCAB, 0, tokenizer, data, directory)) {
      notes.addAll(directory.notes());
      notes.addAll(trainer.warnings());
      Trainer.End end =
          trainer.run(
              new TrainingCallback() {
                @Override
                public void noted(String line) {
                  notes.add(line);
                }

                @Override
                public void afterStep(Trainer running, Trainer.Step step) {
                  steps.add(step);
                  each.accept(running, step);
                }

                @Override
                public void afterEvaluation(String name, int iteration, double loss) {
                  evaluations.add(name + " " + iteration + " " + loss);
                }
              });
      ModelWeights weights = trainer.weights();
      List<float[]> values =
          weights.spec().parameters().stream().map(param -> weights.floats(param.id())).toList();
      float[] flat = new float[values.stream().mapToInt(v -> v.length).sum()];
      int at = 0;
      for (float[] v : values) {
        System.arraycopy(v, 0, flat, at, v.length);
        at += v.length;
      }
      return new Run(end, steps, evaluations, flat, notes);
    }
  }

  private static double[] losses(List<Trainer.Step> steps) {
    return steps.stream().mapToDouble(Trainer.Step::loss).toArray();
  }

  @ParameterizedTest
  @ValueSource(strings = {"precision=bfloat16", "precision=fp16", "checkpoint_activations=true"})
  void tenStepsResumedAndTenMoreAreTwentyToTheLastBit(String mode) {
    Run straight = train(mode);
    assertThat(straight.steps).hasSize(20);
    assertThat(straight.steps.getLast().loss()).isLessThan(straight.steps.getFirst().loss() - 0.5);

    String save = "save=" + dir.resolve("run");
    String load = "load=" + dir.resolve("run");
    Run firstHalf = train(mode, save, load, "exit_interval=10");
    Run secondHalf = train(mode, save, load);
    assertThat(secondHalf.steps.getFirst().iteration()).isEqualTo(11);
    double[] resumed =
        Stream.of(firstHalf, secondHalf)
            .flatMapToDouble(r -> Arrays.stream(losses(r.steps)))
            .toArray();
    assertThat(resumed).isEqualTo(losses(straight.steps));
    assertThat(secondHalf.weights).isEqualTo(straight.weights);
    assertThat(straight.evaluations)
        .endsWith(secondHalf.evaluations.toArray(String[]::new))
        .contains(firstHalf.evaluations.getFirst());
  }

  /** Other shapes that the keys can say, and the type of the folder they are saved as. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "gpt_neox|precision=fp32|gpt_j_residual=false|no_weight_tying=false",
        "gpt2|pos_emb=learned|gpt_j_residual=false|no_weight_tying=false",
        "jneox|pos_emb=learned|precision=bfloat16|gpt_j_tied=true",
        "jneox|attention_config=[[[global,local],1]]|attention_window=5|precision=fp16",
        "jneox|attention_config=[[[global,local],1]]|attention_window=5|pos_emb=learned",
      })
  void otherShapesTrainAndResumeToTheLastBit(String type, String first, String second, String third)
      throws IOException {
    trainsAndResumesToTheLastBit(type, first, second, third);
  }

  private void trainsAndResumesToTheLastBit(String type, String... keys) throws IOException {
    List<String> sets = new ArrayList<>(List.of(keys));
    Run straight = train(sets.toArray(String[]::new));
    assertThat(straight.steps.getLast().loss()).isLessThan(straight.steps.getFirst().loss() - 0.5);
    sets.addAll(
        List.of("save=" + dir.resolve("run"), "load=" + dir.resolve("run"), "exit_interval=10"));
    train(sets.toArray(String[]::new));
    Path saved = dir.resolve("run/global_step10");
    assertThat(Files.readString(saved.resolve("config.json")))
        .contains("\"model_type\": \"" + type + "\"");
    sets.removeLast();
    Run resumed = train(sets.toArray(String[]::new));
    assertThat(resumed.steps.getFirst().iteration()).isEqualTo(11);
    assertThat(resumed.weights).isEqualTo(straight.weights);
  }

  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bfloat16"})
  void llamasShapeTrainsAndIsSavedAsLlama(String precision) throws IOException {
    trainsAndResumesToTheLastBit(
        "llama",
        "precision=" + precision,
        "norm=rmsnorm",
        "activation=swiglu",
        "num_kv_heads=2",
        "rotary_pct=1.0",
        "gpt_j_residual=false",
        "use_bias_in_attn_linear=false",
        "use_bias_in_mlp=false");
  }

  /** The place in the data is counted in samples: with a rate of 0 the losses are of the data. */
  @Test
  void anotherBatchSizeGoesOnBehindTheSamplesThatWereRead() {
    String[] rest = {"optimizer.params.lr=1e-30", "min_lr=0", "eval_iters=0"};
    List<Trainer.Step> straight = train(rest).steps;
    String save = "save=" + dir.resolve("run");
    String load = "load=" + dir.resolve("run");
    train(
        Stream.concat(Stream.of(rest), Stream.of(save, load, "exit_interval=10"))
            .toArray(String[]::new));
    Run half =
        train(
            Stream.concat(
                    Stream.of(rest), Stream.of(load, "gradient_accumulation_steps=1", "seed=1234"))
                .toArray(String[]::new));
    for (int i = 0; i < 5; i++) {
      assertThat((half.steps.get(2 * i).loss() + half.steps.get(2 * i + 1).loss()) / 2)
          .as("steps %d and the next", 11 + 2 * i)
          .isCloseTo(straight.get(10 + i).loss(), within(1e-5));
    }
    assertThat(half.notes)
        .singleElement()
        .asString()
        .startsWith("train_batch_size was 8, is 4: reading goes on at sample 80 of the data");
  }

  @Test
  void otherDataAnotherSeedAndAnotherLengthAreToldWithBothValues() {
    String save = "save=" + dir.resolve("run");
    String load = "load=" + dir.resolve("run");
    train(save, load, "exit_interval=5");
    Run run =
        train(
            load,
            "seed=7",
            "seq_length=8",
            "split=80,10,10",
            "train_micro_batch_size_per_gpu=3",
            "exit_interval=6");
    assertThat(run.steps).singleElement().satisfies(s -> assertThat(s.iteration()).isEqualTo(6));
    assertThat(run.notes)
        .satisfiesExactly(
            note -> assertThat(note).startsWith("train_batch_size was 8, is 6: "),
            note -> assertThat(note).startsWith("seq_length was 16, is 8: ").endsWith("sample 80"),
            note -> assertThat(note).startsWith("seed was 1234, is 7: the data have another order"),
            note ->
                assertThat(note)
                    .startsWith("the data were " + dir.resolve("data") + " split 90,5,5, are ")
                    .contains("split 80,10,10: they have another order"),
            note ->
                assertThat(note).startsWith("the last 2 samples that were read are read again"));
  }

  /** A checkpoint of a version that did not write the order. */
  @Test
  void aCheckpointWithoutTheOrderGoesOn() throws IOException {
    String load = "load=" + dir.resolve("run");
    List<Trainer.Step> straight = train("eval_iters=0").steps;
    train("save=" + dir.resolve("run"), load, "exit_interval=10", "eval_iters=0");
    Path state = dir.resolve("run/global_step10/training.json");
    String text = Files.readString(state);
    String old = text.replaceAll("(?s),\\s*\"order\" : \\{.*?\\}", "");
    assertThat(old).isNotEqualTo(text);
    Files.writeString(state, old);
    Run resumed = train(new Resume(false, false, true), load, "eval_iters=0");
    assertThat(losses(resumed.steps)).isEqualTo(losses(straight.subList(10, 20)));
    assertThat(resumed.notes).isEmpty();
    Files.writeString(state, "[]");
    assertThatThrownBy(() -> train(new Resume(false, false, true), load))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(state + ": content: expected the state of a run");
  }

  /** Continued pretraining: other data, more ids. */
  @ParameterizedTest
  @CsvSource({"true, bfloat16", "false, fp32", "true, fp32"})
  void aGrownVocabularyKeepsTheLossOnOldTextAndLearnsTheNew(boolean untied, String precision)
      throws IOException {
    String[] keys = {
      "precision=" + precision, "no_weight_tying=" + untied, "make_vocab_size_divisible_by=1"
    };
    Path run = dir.resolve("run");
    train(Stream.concat(Stream.of(keys), Stream.of("save=" + run)).toArray(String[]::new));
    String load = "load=" + run.resolve("global_step20");
    int grown = VOCAB + 4;
    Random random = new Random(2);
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(dir.resolve("more"), grown)) {
      for (int d = 0; d < 200; d++) {
        writer.add(random.ints(40, VOCAB - 4, grown).toArray(), 0, 40);
      }
      writer.commit();
    }
    double before = loss(VOCAB, keys, load, "data_path=" + dir.resolve("data"));
    double after = loss(grown, keys, load, "data_path=" + dir.resolve("data"));
    assertThat(after - before).isBetween(-0.01, Math.log((double) grown / VOCAB) + 0.01);

    NeoxConfig config =
        config(with(keys, load, "finetune=true", "data_path=" + dir.resolve("more")));
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.DEFAULT);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer = new Trainer(config, grown, 0, tokenizer, data, directory)) {
      assertThat(trainer.iteration()).isZero();
      assertThat(trainer.warnings())
          .singleElement()
          .asString()
          .startsWith("the vocabulary grows from 61 to 65 ids");
      float[] head = trainer.weights().floats(trainer.model().headWeight());
      for (int c = 0; c < 32; c++) {
        double mean = 0;
        for (int r = 0; r < VOCAB; r++) {
          mean += head[r * 32 + c] / VOCAB;
        }
        assertThat((double) head[VOCAB * 32 + c]).isCloseTo(mean, within(0.02));
        assertThat(head[VOCAB * 32 + c]).isNotEqualTo(head[(VOCAB + 1) * 32 + c]);
      }
      List<Trainer.Step> steps = new ArrayList<>();
      trainer.run(
          new TrainingCallback() {
            @Override
            public void afterStep(Trainer running, Trainer.Step step) {
              steps.add(step);
            }
          });
      assertThat(steps.getLast().loss()).isLessThan(steps.getFirst().loss() - 1);
      assertThat(steps.getLast().loss()).isLessThan(Math.log(8) + 0.5);
    }
  }

  private static String[] with(String[] keys, String... more) {
    return Stream.concat(Stream.of(keys), Stream.of(more)).toArray(String[]::new);
  }

  /** The loss on validation data of the weights of another model. */
  private double loss(int vocabulary, String[] keys, String... more) {
    NeoxConfig config = config(with(with(keys, more), "finetune=true"));
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.DEFAULT);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer = new Trainer(config, vocabulary, 0, null, data, directory)) {
      return trainer.meanLoss(data.valid().orElseThrow(), 0, 2).orElseThrow();
    }
  }

  @Test
  void whatAModelSaysOfItsTextsStaysWithTheRun() throws IOException {
    Path base = dir.resolve("base");
    train("save=" + base, "exit_interval=1");
    Path model = base.resolve("global_step1");
    Files.writeString(model.resolve("chat_template.jinja"), "{{ messages }}");
    Files.writeString(
        model.resolve("generation_config.json"),
        "{\"eos_token_id\": [0, 7], \"do_sample\": true, \"temperature\": 0.6}");
    Files.delete(model.resolve("manifest.crc32c"));
    String save = "save=" + dir.resolve("tuned");
    train(save, "load=" + model, "finetune=true", "exit_interval=1");
    train(save, "load=" + dir.resolve("tuned"), "train_iters=2");
    for (String step : List.of("global_step1", "global_step2")) {
      try (StoredModel tuned = ModelFiles.open(dir.resolve("tuned").resolve(step))) {
        assertThat(tuned.chatTemplates().orElseThrow().sources())
            .as(step)
            .containsExactly(Map.entry("default", "{{ messages }}"));
        assertThat(tuned.sampling().temperature()).hasValue(0.6);
        assertThat(tuned.spec().vocabulary().ends()).containsExactly(0, 7);
      }
    }
  }

  /** The ids of the model and those of the data must mean the same tokens. */
  @Test
  void aTokenizerThatIsNotTheModelsIsTold() throws IOException {
    String json =
        """
        {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}\
        """;
    tokenizer = Files.writeString(dir.resolve("tokenizer.json"), json);
    train("save=" + dir.resolve("run"), "exit_interval=1");
    String load = "load=" + dir.resolve("run");
    assertThat(train(load, "finetune=true", "exit_interval=1").notes)
        .noneMatch(note -> note.contains("is lost"));
    Files.writeString(tokenizer, json.replace("\"a\": 0, \"b\": 1", "\"b\": 0, \"a\": 1"));
    assertThat(train(load, "finetune=true", "exit_interval=1").notes)
        .anySatisfy(
            note ->
                assertThat(note)
                    .startsWith(tokenizer + ": id 0 is \"b\", in the model that is loaded \"a\""));
  }

  @Test
  void recomputingActivationsChangesNoBit() {
    assertThat(losses(train("checkpoint_activations=true").steps)).isEqualTo(losses(train().steps));
  }

  @Test
  void accumulatingTwoMicroBatchesIsOneOfTwiceTheSize() {
    double[] two = losses(train().steps);
    double[] one =
        losses(train("train_micro_batch_size_per_gpu=8", "gradient_accumulation_steps=1").steps);
    for (int i = 0; i < 20; i++) {
      assertThat(one[i]).isCloseTo(two[i], org.assertj.core.api.Assertions.within(1e-4));
    }
  }

  @Test
  void theTableHasARowAStepAndResumingReplacesLaterOnes() throws IOException {
    String save = "save=" + dir.resolve("run");
    train(save, "checkpoint_factor=5", "exit_interval=15");
    Files.writeString(dir.resolve("run/latest"), "global_step5");
    train(save, "load=" + dir.resolve("run"));
    List<String> rows = Files.readAllLines(dir.resolve("run/metrics.csv"));
    assertThat(rows).hasSize(21).element(0).asString().startsWith("step,loss,lr");
    assertThat(rows.get(20)).startsWith("20,");
  }

  @Test
  void olderCheckpointsAreRemoved() throws IOException {
    train("save=" + dir.resolve("run"), "checkpoint_factor=5", "keep_last_n_checkpoints=2");
    try (Stream<Path> entries = Files.list(dir.resolve("run"))) {
      assertThat(entries.map(p -> p.getFileName().toString()).filter(n -> n.startsWith("global")))
          .containsExactlyInAnyOrder("global_step15", "global_step20");
    }
    assertThat(dir.resolve("run/latest")).hasContent("global_step20");
  }

  /** What is written beside the training is the state after the step that was to be saved. */
  @Test
  void aCheckpointWrittenBesideTheTrainingHasTheBitsOfItsStep() throws IOException {
    Path beside = dir.resolve("beside");
    Path within = dir.resolve("within");
    train("save=" + beside, "checkpoint_factor=1");
    train("save=" + within, "checkpoint_factor=1", "async_save=false");
    for (int step = 1; step <= 20; step++) {
      for (String file : List.of("model.safetensors", "optimizer.safetensors", "training.json")) {
        Path path = Path.of("global_step" + step, file);
        assertThat(Files.mismatch(beside.resolve(path), within.resolve(path)))
            .as(path.toString())
            .isEqualTo(-1);
      }
    }
  }

  /** Weights in memory are not lost for a file that goes while the run is on. */
  @Test
  void theTokenizerIsThatOfTheStart() throws IOException {
    tokenizer =
        Files.writeString(
            dir.resolve("tokenizer.json"),
            """
            {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}\
            """);
    String text = Files.readString(tokenizer);
    train(
        Resume.DEFAULT,
        (trainer, step) -> {
          try {
            Files.deleteIfExists(tokenizer);
          } catch (IOException e) {
            throw new AssertionError(e);
          }
        },
        "save=" + dir.resolve("run"),
        "exit_interval=5");
    assertThat(dir.resolve("run/global_step5/tokenizer.json")).hasContent(text);
  }

  @Test
  void dataThatAreCutShortWhileTheyAreReadSaveTheLastWholeStep() {
    Path run = dir.resolve("run");
    assertThatThrownBy(
            () ->
                train(
                    Resume.DEFAULT,
                    (trainer, step) -> {
                      if (step.iteration() == 5) {
                        try (var data =
                            java.nio.channels.FileChannel.open(
                                dir.resolve("data.bin"), java.nio.file.StandardOpenOption.WRITE)) {
                          data.truncate(0);
                        } catch (IOException e) {
                          throw new AssertionError(e);
                        }
                      }
                    },
                    "save=" + run,
                    "eval_iters=0"))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining(
            "step 6: " + dir.resolve("data.bin") + ": was changed while it was in use")
        .hasMessageEndingWith("the last good checkpoint is " + run.resolve("global_step5"));
    assertThat(run.resolve("latest")).hasContent("global_step5");
  }

  /** A table or an event file only tells of a run: it never ends one. */
  @Test
  void aLogThatCannotBeWrittenIsToldAndTheRunGoesOn() throws IOException {
    Files.createDirectories(dir.resolve("logs/metrics.csv"));
    Path events = Files.writeString(dir.resolve("events"), "a file where the folder should be");
    Run run =
        train(
            "log_dir=" + dir.resolve("logs"),
            "tensorboard_dir=" + events,
            "save=" + dir.resolve("run"));
    assertThat(run.steps()).hasSize(20);
    assertThat(run.notes())
        .anySatisfy(note -> assertThat(note).contains("metrics.csv", "goes on without it"))
        .anySatisfy(note -> assertThat(note).contains("events", "goes on without it"));
    assertThat(dir.resolve("run/latest")).hasContent("global_step20");
  }

  /** Also where eval_interval does not fall on it. */
  @Test
  void theTableHasTheLastValidation() throws IOException {
    train("save=" + dir.resolve("run"), "eval_interval=8");
    List<String> rows = Files.readAllLines(dir.resolve("run/metrics.csv"));
    assertThat(rows.get(20)).startsWith("20,").doesNotContain("NaN").doesNotEndWith(",");
    assertThat(rows.get(19)).startsWith("19,").doesNotContain("NaN").endsWith(",");
  }

  /** A micro-batch may take minutes: it ends between layers. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aStepThatIsStoppedEndsAtTheNextLayerAndTheWeightsStay(boolean onHost) {
    NeoxConfig config = config();
    var model = config.model().shape(VOCAB, 0);
    try (Parameters parameters =
            new Parameters(Shard.whole(model), Dtype.F32, Dtype.F32, Device.CPU, onHost);
        GradientStep step = GradientStep.of(parameters, false)) {
      GradientStep.Batch batch = GradientStep.Batch.of(new int[2][17]);
      step.gradient(batch, 1);
      step.stop();
      assertThatThrownBy(() -> step.gradient(batch, 1)).isInstanceOf(GradientStep.Stopped.class);
      assertThatThrownBy(() -> step.loss(batch)).isInstanceOf(GradientStep.Stopped.class);
    }
  }

  /** A checkpoint has the same form whatever step it is of, so a run may change the device. */
  @ParameterizedTest
  @CsvSource({"true, false", "false, true", "false, false"})
  void aRunGoesOnWithTheStepOfAnotherDevice(boolean firstOnHost, boolean thenOnHost) {
    List<Trainer.Step> expected = train().steps;
    String run = dir.resolve("run").toString();
    List<Trainer.Step> found = steps(firstOnHost, "save=" + run, "exit_interval=5");
    found.addAll(steps(thenOnHost, "save=" + run, "load=" + run));
    assertThat(found).hasSameSizeAs(expected);
    for (int i = 0; i < expected.size(); i++) {
      Trainer.Step step = expected.get(i);
      assertThat(found.get(i).iteration()).isEqualTo(step.iteration());
      assertThat(found.get(i).loss()).as(step.toString()).isCloseTo(step.loss(), within(1e-4));
      assertThat(found.get(i).gradientNorm()).isCloseTo(step.gradientNorm(), within(1e-3));
    }
  }

  private List<Trainer.Step> steps(boolean onHost, String... sets) {
    NeoxConfig config = config(sets);
    List<Trainer.Step> steps = new ArrayList<>();
    Parameters parameters =
        new Parameters(
            Shard.whole(config.model().shape(VOCAB, 0)), Dtype.F32, Dtype.F32, Device.CPU, onHost);
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.DEFAULT);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer = new Trainer(config, 0, null, data, directory, parameters)) {
      trainer.run(
          new TrainingCallback() {
            @Override
            public void afterStep(Trainer running, Trainer.Step step) {
              steps.add(step);
            }
          });
    }
    return steps;
  }

  @Test
  void aBrokenCheckpointIsNamed() throws IOException {
    Path run = dir.resolve("run");
    train("save=" + run, "exit_interval=5");
    Files.writeString(run.resolve("global_step5/training.json"), "{\"iteration\": 5");
    assertThatThrownBy(() -> train("load=" + run))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("training.json");
    Files.writeString(run.resolve("latest"), "global_step7");
    assertThatThrownBy(() -> train("load=" + run))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("global_step7");
  }

  @Test
  void aShapeThatIsNotTheCheckpointsIsAnError() {
    Path run = dir.resolve("run");
    train("save=" + run, "exit_interval=5");
    assertThatThrownBy(() -> train("load=" + run, "num_layers=3"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("num_layers")
        .hasMessageContaining("expected 3")
        .hasMessageContaining("found 2");
  }

  @Test
  void aDivergedRunStopsAndNamesTheLastGoodCheckpoint() {
    NeoxConfig config =
        config("save=" + dir.resolve("run"), "checkpoint_factor=2", "async_save=false");
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.DEFAULT);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer = new Trainer(config, VOCAB, 0, null, data, directory)) {
      TrainingCallback poison =
          new TrainingCallback() {
            @Override
            public void afterSave(Path checkpoint, int iteration) {
              if (iteration == 4) {
                trainer
                    .weights()
                    .holder(ParamId.weight(0, Part.UP))
                    .inPlace()
                    .orElseThrow()
                    .write(0, new float[] {Float.NaN}, 0, 1);
              }
            }
          };
      assertThatThrownBy(() -> trainer.run(poison))
          .isInstanceOfSatisfying(
              DivergedException.class,
              e -> {
                assertThat(e.iteration()).isEqualTo(5);
                assertThat(e.loss()).isNaN();
                assertThat(e.gradientNorm()).isNaN();
              })
          .hasMessageContaining("iteration 5")
          .hasMessageContaining(", and when computed again the same; the batch reads documents ")
          .hasMessageContaining("global_step4");
    }
  }

  /** A wrong number that does not come again is the machine's, and is not made a weight. */
  @Test
  void aStepThatDiffersWhenComputedAgainIsTheMachine() throws IOException {
    Path run = dir.resolve("run");
    NeoxConfig config = config("save=" + run, "checkpoint_factor=2");
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.DEFAULT);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer = new Trainer(config, VOCAB, 0, null, data, directory)) {
      int[] poisoned = new int[1];
      TrainingCallback poison =
          new TrainingCallback() {
            @Override
            public void afterMicroBatch(int iteration, int done, int of, double seconds) {
              if (iteration == 5 && poisoned[0]++ == 0) {
                trainer.parameters().gradients().memory().set(ValueLayout.JAVA_FLOAT, 0, Float.NaN);
              }
            }
          };
      assertThatThrownBy(() -> trainer.run(poison))
          .isInstanceOf(MachineException.class)
          .hasMessageStartingWith("step 5: computed twice from the same weights and batch, ")
          .hasMessageContaining("the gradient norm NaN, then ")
          .hasMessageContaining("the machine of rank 0 is faulty")
          .hasMessageEndingWith("; the last good checkpoint is " + run.resolve("global_step4"));
      assertThat(poisoned[0]).as("the step was computed twice").isGreaterThan(1);
    }
  }

  @Test
  void leapsAreLeftOutAndAResumedRunLeavesOutTheSame() {
    String[] rule = {"skip_step_sigma_factor=0.5", "skip_step_rolling_interval_length=4"};
    Run straight = train(rule);
    assertThat(straight.steps.subList(0, 2)).noneMatch(Trainer.Step::skipped);
    assertThat(straight.steps).anyMatch(Trainer.Step::skipped);
    assertThat(straight.notes)
        .filteredOn(line -> line.contains(": skipped: "))
        .hasSize((int) straight.steps.stream().filter(Trainer.Step::skipped).count())
        .allSatisfy(
            line ->
                assertThat(line)
                    .matches(
                        "step \\d+: skipped: (loss|gradient norm) \\S+ is \\S+ standard deviations"
                            + " above \\S+, the mean of the last \\d steps; the batch reads"
                            + " documents .*"));
    String run = "save=" + dir.resolve("run");
    Run first = train(rule[0], rule[1], run, "exit_interval=10");
    Run second = train(rule[0], rule[1], run, "load=" + dir.resolve("run"));
    List<Trainer.Step> both = new ArrayList<>(first.steps);
    both.addAll(second.steps);
    assertThat(losses(both)).isEqualTo(losses(straight.steps));
    assertThat(second.weights).isEqualTo(straight.weights);
  }

  @Test
  void fp16HalvesItsScaleOnOverflowAndSkipsTheStep() {
    Run run = train("precision=fp16", "fp16.initial_scale_power=24", "fp16.hysteresis=1");
    assertThat(run.steps.getFirst().skipped()).isTrue();
    assertThat(run.steps.get(1).lossScale()).isEqualTo(run.steps.getFirst().lossScale() / 2);
    assertThat(run.steps.getLast().skipped()).isFalse();
  }

  @Test
  void idsPastTheVocabularyAreAnError() {
    NeoxConfig config = config();
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.DEFAULT);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer = new Trainer(config, 40, 0, null, data, directory)) {
      assertThatThrownBy(() -> trainer.run(new TrainingCallback() {}))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("vocabulary");
    }
  }

  @Test
  void theTokenizerOfGpt2IsSavedAsOneFile() throws IOException {
    tokenizer = Files.writeString(dir.resolve("vocab.json"), "{\"a\": 0, \"b\": 1, \"ab\": 2}");
    Path merges = Files.writeString(dir.resolve("rules"), "#version: 0.2\na b\n");
    Path run = dir.resolve("run");
    train("save=" + run, "exit_interval=2", "merge_file=" + merges);
    assertThat(run.resolve("global_step2/tokenizer.json"))
        .content()
        .contains("\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]");
  }

  @Test
  void oneFlippedBitInAnyFileOfACheckpointIsNamed() throws IOException {
    tokenizer =
        Files.writeString(
            dir.resolve("tokenizer.json"),
            """
            {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}\
            """);
    Path run = dir.resolve("run");
    train("save=" + run, "exit_interval=2");
    List<Path> files;
    try (Stream<Path> walk = Files.walk(run.resolve("global_step2"))) {
      files = walk.filter(Files::isRegularFile).toList();
    }
    assertThat(files)
        .extracting(file -> run.resolve("global_step2").relativize(file).toString())
        .containsExactlyInAnyOrder(
            "config.json",
            "configs/tiny.yml",
            "generation_config.json",
            "manifest.crc32c",
            "model.safetensors",
            "optimizer.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "training.json");
    long seed = System.nanoTime();
    Random random = new Random(seed);
    for (Path file : files) {
      byte[] bytes = Files.readAllBytes(file);
      byte[] damaged = bytes.clone();
      int bit = random.nextInt(8 * bytes.length);
      damaged[bit / 8] ^= (byte) (1 << bit % 8);
      Files.write(file, damaged);
      assertThatThrownBy(() -> train("load=" + run))
          .as("seed " + seed)
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(file + ": damaged: ");
      Files.write(file, bytes);
    }
    assertThat(train("load=" + run).steps.getFirst().iteration()).isEqualTo(3);
  }

  @Test
  void aDamagedTableIsPutAsideAndTheRunGoesOn() throws IOException {
    Path run = dir.resolve("run");
    train("save=" + run, "exit_interval=4");
    Path table = run.resolve("metrics.csv");
    String damaged = Files.readString(table).replaceFirst("(?m)^2,", "2;");
    Files.writeString(table, damaged);
    Run resumed = train("save=" + run, "load=" + run, "exit_interval=6");
    assertThat(resumed.notes)
        .containsExactly(
            table
                + ": line 3 is damaged: the good rows are kept, and the file as it was is now "
                + run.resolve("metrics-1.csv"));
    assertThat(run.resolve("metrics-1.csv")).hasContent(damaged);
    assertThat(Files.readAllLines(table))
        .extracting(row -> row.split(",")[0])
        .containsExactly("step", "1", "3", "4", "5", "6");
  }

  @Test
  void aRestartKeepsTheTableOfTheRunBefore() throws IOException {
    Path run = dir.resolve("run");
    train("save=" + run, "exit_interval=2");
    String before = Files.readString(run.resolve("metrics.csv"));
    Run again = train(Resume.RESTART, "save=" + run, "load=" + run, "exit_interval=4");
    assertThat(again.steps.getFirst().iteration()).isEqualTo(1);
    assertThat(again.notes)
        .hasSize(2)
        .element(1)
        .asString()
        .contains("is of an earlier run: it is now " + run.resolve("metrics-1.csv"));
    assertThat(run.resolve("metrics-1.csv")).hasContent(before);
    assertThat(run.resolve("global_step2")).exists();
    assertThat(run.resolve("latest")).hasContent("global_step4");
  }

  @Test
  void aFailedSaveNamesTheCheckpointBeforeIt() {
    Path run = dir.resolve("run");
    BiConsumer<Trainer, Trainer.Step> obstruct =
        (trainer, step) -> {
          if (step.iteration() == 3) {
            try {
              await(run.resolve("latest"));
              Files.delete(run.resolve("latest"));
              Files.createDirectories(run.resolve("latest/in the way"));
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        };
    assertThatThrownBy(() -> train(Resume.DEFAULT, obstruct, "save=" + run, "checkpoint_factor=2"))
        .isInstanceOfSatisfying(
            StorageException.class, e -> assertThat(e.path()).contains(run.resolve("latest")))
        .hasCauseInstanceOf(StorageException.class)
        .hasMessageStartingWith(run.resolve("latest") + ": cannot be written: ")
        .hasMessageEndingWith("; the last good checkpoint is " + run.resolve("global_step2"));
  }

  /** Waits until a file that is written beside the training is there. */
  private static void await(Path file) {
    while (!Files.exists(file)) {
      LockSupport.parkNanos(1_000_000);
    }
  }

  /**
   * Stops from another thread, so at moments between and within steps, validations and the test.
   */
  @ParameterizedTest
  @ValueSource(strings = {"precision=fp32", "precision=bfloat16", "precision=fp16"})
  void stoppedAtAnyMomentsAndResumedIsTheSameToTheLastBit(String precision) throws IOException {
    String often = "gradient_accumulation_steps=8";
    Run straight = train(precision, often);
    Path run = dir.resolve("run");
    List<Trainer.Step> steps = new ArrayList<>();
    Random random = new Random();
    Run part;
    int starts = 0;
    do {
      int after = steps.size() + 1 + random.nextInt(2);
      long delay = random.nextInt(8_000_000);
      part =
          train(
              Resume.DEFAULT,
              (trainer, step) -> {
                if (step.iteration() == after) {
                  Thread.startVirtualThread(
                      () -> {
                        LockSupport.parkNanos(delay);
                        trainer.stop();
                      });
                }
              },
              precision,
              often,
              "save=" + run,
              "load=" + run);
      steps.addAll(part.steps);
      starts++;
    } while (part.end == Trainer.End.STOPPED && steps.size() < 20);
    assertThat(starts).isGreaterThan(2);
    assertThat(losses(steps)).isEqualTo(losses(straight.steps));
    assertThat(part.weights).isEqualTo(straight.weights);
    assertThat(Files.readAllLines(run.resolve("metrics.csv")))
        .extracting(row -> row.split(",")[0])
        .hasSize(21)
        .endsWith("20");
  }

  @Test
  void aValidationThatWasStoppedIsLeftOutAndTheStepIsSaved() throws IOException {
    Path run = dir.resolve("run");
    Run stopped =
        train(
            Resume.DEFAULT,
            (trainer, step) -> {
              if (step.iteration() == 8) {
                trainer.stop();
              }
            },
            "save=" + run);
    assertThat(stopped.end).isEqualTo(Trainer.End.STOPPED);
    assertThat(stopped.evaluations).isEmpty();
    assertThat(run.resolve("latest")).hasContent("global_step8");
    assertThat(Files.readAllLines(run.resolve("metrics.csv")))
        .hasSize(9)
        .last()
        .asString()
        .startsWith("8,")
        .endsWith(",")
        .doesNotContain("NaN");
  }

  @Test
  void stoppedBeforeTheFirstStepThereIsNothingToSave() {
    Path run = dir.resolve("run");
    NeoxConfig config = config("save=" + run);
    try (RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.DEFAULT);
        TrainingData data = TrainingData.open(config, Progress.silent());
        Trainer trainer = new Trainer(config, VOCAB, 0, null, data, directory)) {
      trainer.stop();
      assertThat(trainer.run(new TrainingCallback() {})).isEqualTo(Trainer.End.STOPPED);
      assertThat(trainer.checkpoint()).isEmpty();
    }
    assertThat(run.resolve("latest")).doesNotExist();
  }

  /** Whatever remains of a save that was cut off, the run goes on from the checkpoint before. */
  @Test
  void aSaveThatWasCutOffLeavesTheOneBefore() throws IOException {
    Path run = dir.resolve("run");
    train("save=" + run, "exit_interval=5");
    Path partial = Files.createDirectories(run.resolve("global_step10.partial"));
    Files.write(partial.resolve("model.safetensors"), new byte[100]);
    Run resumed = train("save=" + run, "load=" + run, "exit_interval=10");
    assertThat(resumed.steps.getFirst().iteration()).isEqualTo(6);
    assertThat(partial).doesNotExist();
  }

  /** The moment in which a checkpoint is put in the place of an older one of the same step. */
  @Test
  void aReplacementThatWasCutOffLeavesTheOneReplaced() throws IOException {
    Path run = dir.resolve("run");
    train("save=" + run, "exit_interval=5");
    Files.move(run.resolve("global_step5"), run.resolve("global_step5.replaced"));
    Run resumed = train("save=" + run, "load=" + run, "exit_interval=10");
    assertThat(resumed.steps.getFirst().iteration()).isEqualTo(6);
  }

  @Test
  void savingTheSameStepAgainReplacesIt() throws IOException {
    Path run = dir.resolve("run");
    train("save=" + run, "exit_interval=5");
    train(Resume.RESTART, "save=" + run, "exit_interval=5");
    try (Stream<Path> entries = Files.list(run)) {
      assertThat(
              entries.map(p -> p.getFileName().toString()).filter(n -> n.startsWith("global_step")))
          .containsExactly("global_step5");
    }
  }

  @Test
  void matricesDecayAndVectorsDoNot() {
    NeoxConfig config = config("weight_decay=0.5", "optimizer.params.lr=0.1");
    try (Parameters p = new Parameters(config.model().shape(VOCAB, 0), Dtype.F32)) {
      p.weights()
          .memory()
          .asSlice(0, p.length() * 4)
          .copyFrom(MemorySegment.ofArray(ones((int) p.length())));
      new AdamW(p, 0.9, 0.95, 1e-8, 0.5).step(0.1, 1);
      assertThat(p.weights().floats(ParamId.weight(Part.EMBEDDING))).containsOnly(0.95f);
      assertThat(p.weights().floats(ParamId.weight(Part.FINAL_NORM))).containsOnly(1f);
    }
  }

  private static float[] ones(int n) {
    float[] v = new float[n];
    Arrays.fill(v, 1);
    return v;
  }
}
