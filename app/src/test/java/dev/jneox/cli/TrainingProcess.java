package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.data.IndexedDatasetWriter;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;

/** A {@code jneox train} in a process of its own, for tests that send it signals. */
record TrainingProcess(Process process, Path out, Path err) implements AutoCloseable {
  /** Writes a tokenizer, data and a recipe, and returns the recipe: {@code tiny.yml}. */
  static Path recipe(Path dir) throws IOException {
    Path vocabulary = dir.resolve("tokenizer.json");
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("static int max(int a, int b) { return a > b ? a : b; }").iterator());
    trainer.train(merges -> {}).write(vocabulary);
    Random random = new Random(1);
    try (Tokenizer tokenizer = Tokenizer.load(vocabulary);
        IndexedDatasetWriter writer =
            new IndexedDatasetWriter(dir.resolve("data"), tokenizer.vocabSize())) {
      for (int d = 0; d < 400; d++) {
        int[] ids = random.ints(5 + random.nextInt(40), 0, tokenizer.vocabSize()).toArray();
        writer.add(ids, 0, ids.length);
      }
      writer.commit();
    }
    return Files.writeString(
        dir.resolve("tiny.yml"),
        """
        num_layers: 2
        hidden_size: 64
        num_attention_heads: 4
        seq_length: 16
        max_position_embeddings: 16
        pos_emb: rotary
        rotary_pct: 0.25
        no_weight_tying: true
        gpt_j_residual: true
        optimizer: {type: Adam, params: {lr: 0.01}}
        train_iters: 5000
        train_micro_batch_size_per_gpu: 2
        gradient_accumulation_steps: 2
        split: "100,0,0"
        eval_iters: 0
        log_interval: 1
        precision: fp32
        checkpoint_factor: 1000000
        vocab_file: '%s'
        data_path: '%s'
        """
            .formatted(vocabulary, dir.resolve("data")));
  }

  /** Starts {@code jneox arguments} as the launcher does. */
  static TrainingProcess start(Path dir, String... arguments) throws IOException {
    return startBehind(dir, List.of(), arguments);
  }

  /** Starts the same by another command, which gets it as its last arguments. */
  static TrainingProcess startBehind(Path dir, List<String> before, String... arguments)
      throws IOException {
    List<String> command = new ArrayList<>(before);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(Relaunch.read().options());
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Start.class.getName()));
    command.addAll(List.of(arguments));
    Path out = Files.createTempFile(dir, "out", "");
    Path err = Files.createTempFile(dir, "err", "");
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    return new TrainingProcess(process, out, err);
  }

  /** Waits until standard output has a text. */
  void await(String text) throws IOException, InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!Files.readString(out).contains(text)) {
      assertThat(process.isAlive()).as(Files.readString(out) + Files.readString(err)).isTrue();
      assertThat(System.nanoTime()).as(Files.readString(out)).isLessThan(end);
      Thread.sleep(1);
    }
  }

  /** Returns the processes that {@code launch} started, in the order of their ranks. */
  List<ProcessHandle> ranks() {
    // Between them and this test may be a JVM that started launch with its flags.
    return process
        .toHandle()
        .descendants()
        .filter(child -> child.children().findAny().isEmpty())
        .sorted(Comparator.comparing(ProcessHandle::pid))
        .toList();
  }

  void signal(String name) throws IOException, InterruptedException {
    assertThat(new ProcessBuilder("kill", "-" + name, "" + process.pid()).start().waitFor())
        .isZero();
  }

  /** Waits for the end; of standard error only what follows the data order counts. */
  Output end() throws IOException, InterruptedException {
    assertThat(process.waitFor(120, TimeUnit.SECONDS))
        .as(Files.readString(out) + Files.readString(err))
        .isTrue();
    String errors = Files.readString(err).replaceFirst("(?s)^.*data order: [^\n]*took[^\n]*\n", "");
    return new Output(process.exitValue(), Files.readString(out), errors);
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
