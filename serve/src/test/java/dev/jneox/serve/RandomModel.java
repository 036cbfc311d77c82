package dev.jneox.serve;

import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Vocabulary;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.RandomWeights;
import java.nio.file.Path;
import java.util.List;

/** Writes a tiny model of random weights, with a byte-level tokenizer. */
final class RandomModel {
  private RandomModel() {}

  /** Writes it into {@code dir/model} and returns that folder. */
  static Path write(Path dir, int context) {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("static int max(int a, int b) { return a > b ? a : b; }").iterator());
    trainer.train(merges -> {}).write(dir.resolve("tokenizer.json"));
    ModelSpec spec =
        ModelSpec.neox(320, 64, 2, 4, context).withVocabulary(new Vocabulary(320, 300, 0));
    HfFolderWriter writer = new HfFolderWriter(dir.resolve("model"), spec, Dtype.BF16);
    writer.tokenizer(dir.resolve("tokenizer.json"));
    writer.write(new RandomWeights(spec, 1));
    return dir.resolve("model");
  }

  /** Settings for a server on a free port, with the keys. */
  static ServerSettings settings(String... keys) {
    ServerSettings d = ServerSettings.DEFAULT;
    return new ServerSettings(
        d.host(),
        0,
        List.of(keys),
        d.tls(),
        d.precision(),
        4,
        d.queue(),
        1,
        64L << 20,
        d.readers(),
        d.timeout(),
        d.maxBody(),
        d.maxConnections(),
        java.time.Duration.ofSeconds(1));
  }
}
