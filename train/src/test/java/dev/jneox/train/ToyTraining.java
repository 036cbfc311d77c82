package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.data.IndexedDatasetWriter;
import dev.jneox.dist.Mesh;
import dev.jneox.dist.Ranks;
import dev.jneox.io.Progress;
import dev.jneox.model.ModelSpec;
import dev.jneox.torch.Device;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.StoredTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** Trains a small model on ranks that are threads of this process. */
final class ToyTraining {
  static final int VOCAB = 61;
  static final int STEPS = 20;

  /** Elements of a bucket of gradients: a few layers, so that there are several. */
  private static final int BUCKET = 6000;

  private final Path dir;

  private ToyTraining(Path dir) {
    this.dir = dir;
  }

  /** Writes data and recipe. */
  static ToyTraining write(Path dir) throws IOException {
    Random random = new Random(1);
    try (IndexedDatasetWriter writer = new IndexedDatasetWriter(dir.resolve("data"), VOCAB)) {
      for (int d = 0; d < 300; d++) {
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
        gradient_clipping: 1.0
        train_iters: 20
        train_batch_size: 8
        train_micro_batch_size_per_gpu: 1
        split: "90,5,5"
        eval_interval: 8
        eval_iters: 2
        checkpoint_factor: 100
        precision: fp32
        """);
    return new ToyTraining(dir);
  }

  /**
   * What one rank saw.
   *
   * @param weights that it has
   * @param whole those of the whole model, on the first rank
   */
  record Run(
      List<Trainer.Step> steps,
      List<String> evaluations,
      float[] weights,
      float[] whole,
      List<String> notes) {}

  NeoxConfig config(int ranks, String... sets) {
    List<String> all = new ArrayList<>(List.of("data_path=" + dir.resolve("data")));
    all.addAll(List.of(sets));
    return NeoxConfig.load(List.of(dir.resolve("tiny.yml")), all, ranks);
  }

  /** Trains on threads and returns what each rank saw. */
  List<Run> train(Mesh mesh, String... sets) {
    String[] all =
        concat(
            sets, "pipe_parallel_size=" + mesh.pipeline(), "model_parallel_size=" + mesh.tensor());
    return all(
        Ranks.threads(mesh).stream()
            .map(rank -> started(() -> train(rank, config(mesh.size(), all), null)))
            .toList());
  }

  interface Task {
    Run run() throws Exception;
  }

  static CompletableFuture<Run> started(Task task) {
    CompletableFuture<Run> future = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try {
                future.complete(task.run());
              } catch (Throwable t) {
                future.completeExceptionally(t);
              }
            });
    return future;
  }

  /** Returns what all ranks saw; where one failed, its failure, not that of those who wait. */
  static List<Run> all(List<CompletableFuture<Run>> runs) {
    for (CompletableFuture<Run> run : runs) {
      run.exceptionally(
          failure -> {
            runs.forEach(other -> other.completeExceptionally(failure));
            return null;
          });
    }
    return runs.stream().map(CompletableFuture::join).toList();
  }

  Run train(Ranks ranks, NeoxConfig config, @Nullable Integer stopAfter) {
    return trainHeard(
        ranks,
        config,
        new TrainingCallback() {
          @Override
          public void afterStep(Trainer running, Trainer.Step step) {
            if (stopAfter != null && step.iteration() == stopAfter) {
              assertThat(running.stop()).isEqualTo(ranks.size() == 1 ? stopAfter : stopAfter + 1);
            }
          }
        });
  }

  /** Trains one rank; {@code listener} hears of each step. */
  Run trainHeard(Ranks ranks, NeoxConfig config, TrainingCallback listener) {
    List<Trainer.Step> steps = new ArrayList<>();
    List<String> evaluations = new ArrayList<>();
    List<String> notes = new ArrayList<>();
    Parameters.Copy copy =
        new Parameters.Copy(
            ranks.data().rank(),
            ranks.data().size(),
            ranks.data().size() > 1 && config.optimizer().zeroStage() == 1,
            BUCKET);
    ModelSpec model = config.model().shape(VOCAB, 0);
    try (ranks;
        RunDirectory directory = RunDirectory.open(config.checkpoint(), Resume.DEFAULT, ranks);
        TrainingData data = TrainingData.open(config, Progress.silent(), ranks);
        Trainer trainer =
            new Trainer(
                config,
                0,
                null,
                data,
                directory,
                new Parameters(
                    Trainer.shard(config, model, ranks),
                    config.precision().format().dtype(),
                    Device.CPU,
                    copy),
                ranks)) {
      notes.addAll(trainer.warnings());
      trainer.run(
          new TrainingCallback() {
            @Override
            public void afterStep(Trainer running, Trainer.Step step) {
              steps.add(step);
              double[] parts = running.partNorms();
              if (parts.length > 0) {
                double squares = Arrays.stream(parts).map(norm -> norm * norm).sum();
                assertThat(parts).hasSize(model.layers() + 2).doesNotContain(0);
                assertThat(Math.sqrt(squares) / step.gradientNorm()).isCloseTo(1, within(1e-9));
              }
              listener.afterStep(running, step);
            }

            @Override
            public void afterEvaluation(String name, int iteration, double loss) {
              evaluations.add(name + " " + iteration + " " + loss);
            }
          });
      List<float[]> whole = new ArrayList<>();
      trainer.readWeights(
          weights ->
              weights.spec().parameters().forEach(param -> whole.add(weights.floats(param.id()))));
      return new Run(steps, evaluations, values(trainer.weights()), joined(whole), notes);
    }
  }

  private static float[] values(ModelWeights weights) {
    List<float[]> values = new ArrayList<>();
    for (StoredTensor tensor : weights.tensors()) {
      values.add(weights.floats(tensor.expression().first()));
    }
    return joined(values);
  }

  private static float[] joined(List<float[]> values) {
    float[] all = new float[values.stream().mapToInt(v -> v.length).sum()];
    int at = 0;
    for (float[] v : values) {
      System.arraycopy(v, 0, all, at, v.length);
      at += v.length;
    }
    return all;
  }

  static void assertSameNumbers(Run a, Run b) {
    assertThat(numbers(b)).isEqualTo(numbers(a));
    assertThat(b.evaluations).isEqualTo(a.evaluations);
  }

  static void assertSameBits(Run a, Run b) {
    assertSameNumbers(a, b);
    assertThat(b.weights).isEqualTo(a.weights);
  }

  static List<List<Double>> numbers(Run run) {
    return run.steps.stream()
        .map(s -> List.of(s.loss(), s.gradientNorm(), s.lr(), s.lossScale()))
        .toList();
  }

  /** Bound of the difference of two gradient norms, divided by one; found: 1e-6. */
  private static final double NORM_BOUND = 1e-5;

  /** Compares the first ranks of two layouts. */
  static void assertClose(Run one, Run several, double lossBound, double weightBound) {
    assertThat(several.steps).hasSameSizeAs(one.steps);
    for (int s = 0; s < one.steps.size(); s++) {
      Trainer.Step a = one.steps.get(s);
      Trainer.Step b = several.steps.get(s);
      assertThat(b.loss()).as("loss of step %s", s).isCloseTo(a.loss(), within(lossBound));
      assertThat(b.gradientNorm() / a.gradientNorm())
          .as("norm of step %s", s)
          .isCloseTo(1, within(NORM_BOUND));
      assertThat(b.tokens()).isEqualTo(a.tokens());
    }
    assertThat(several.whole).hasSameSizeAs(one.whole);
    double worst = 0;
    for (int i = 0; i < one.whole.length; i++) {
      worst = Math.max(worst, Math.abs(one.whole[i] - several.whole[i]));
    }
    assertThat(worst).isLessThan(weightBound);
    assertThat(several.evaluations).hasSameSizeAs(one.evaluations);
    for (int e = 0; e < one.evaluations.size(); e++) {
      String[] a = one.evaluations.get(e).split(" ");
      String[] b = several.evaluations.get(e).split(" ");
      assertThat(b[1]).isEqualTo(a[1]);
      assertThat(Double.parseDouble(b[2])).isCloseTo(Double.parseDouble(a[2]), within(lossBound));
    }
  }

  static String[] concat(String[] some, String... more) {
    List<String> all = new ArrayList<>(Arrays.asList(some));
    all.addAll(Arrays.asList(more));
    return all.toArray(String[]::new);
  }
}
