package dev.jneox.eval;

import dev.jneox.infer.Engine;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Scorer;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Vocabulary;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.RandomWeights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Makes a model of random weights, and data of tasks. */
final class Toys {
  static final String TEXT =
      "Question: which of the two kettles is warm? Answer: the red one, because it was on.\n\n"
          + "The quiet harbour answers the distant engine, and a wooden lantern turns.";

  private Toys() {}

  static Path model(Path folder, int context) throws IOException {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of(TEXT).iterator());
    trainer.train(merges -> {}).write(folder.resolve("tokenizer.json"));
    ModelSpec spec =
        ModelSpec.neox(320, 32, 2, 2, context).withVocabulary(new Vocabulary(320, 300, 0));
    Path model = folder.resolve("model-" + context);
    new dev.jneox.format.hf.HfFolderWriter(model, spec, Dtype.F32)
        .tokenizer(folder.resolve("tokenizer.json"))
        .write(new RandomWeights(spec, 7));
    return model;
  }

  static LanguageModel open(Path model) {
    return LanguageModel.open(model, Precision.STORED);
  }

  static EvaluatedModel evaluated(LanguageModel model, int batch, int threads) {
    Engine.Settings settings = Scorer.settings(model.packed(), batch).withThreads(threads);
    return new EvaluatedModel(model, settings);
  }

  /** Writes the records of a split. */
  static Path write(Path data, String task, String split, String... records) throws IOException {
    Path file = Files.createDirectories(data.resolve(task)).resolve(split + ".jsonl");
    return Files.writeString(file, String.join("\n", records) + "\n");
  }

  /** Writes a task file. */
  static Path task(Path folder, String name, String yaml) throws IOException {
    return Files.writeString(Files.createDirectories(folder).resolve(name + ".yaml"), yaml);
  }
}
