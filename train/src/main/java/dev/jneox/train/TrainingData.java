package dev.jneox.train;

import dev.jneox.data.BatchOrder;
import dev.jneox.data.BlendedDataset;
import dev.jneox.data.Dataset;
import dev.jneox.data.GptDataset;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.SampleIndex;
import dev.jneox.data.Splits;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The samples of a run in GPT-NeoX's order: documents shuffled over all epochs, cut into sequences,
 * shuffled again, and mixed by weight. {@link #valid} and {@link #test} are null where the
 * configuration gives them no documents.
 */
public final class TrainingData implements AutoCloseable {
  private final NeoxConfig config;
  private final Arena arena = Arena.ofShared();
  private final Map<Path, IndexedDataset> files = new LinkedHashMap<>();
  private final Progress progress;
  private final int iterations;
  private Dataset train;
  private Dataset valid;
  private Dataset test;

  private TrainingData(NeoxConfig config, Progress progress) {
    this.config = config;
    this.progress = progress;
    this.iterations = iterations();
  }

  /** Opens the data that {@code config} names, and builds or reads the orders. */
  public static TrainingData open(NeoxConfig config, Progress progress) {
    TrainingData data = new TrainingData(config, progress);
    long batch = config.batch().total();
    RunSection run = config.run();
    long valid =
        run.evalIters() == 0
            ? 0
            : (data.iterations / run.evalInterval() + 1L) * run.evalIters() * batch;
    long test = run.evalIters() * batch;
    switch (source(config)) {
      case DataSection.Source.Split split -> {
        IndexedDataset file = data.file(split.path());
        Splits parts = Splits.of(split.parts(), file.sequences());
        data.train = data.dataset(file, "train", 0, parts.valid(), data.iterations * batch);
        data.valid = data.dataset(file, "valid", parts.valid(), parts.test(), valid);
        data.test = data.dataset(file, "test", parts.test(), parts.end(), test);
      }
      case DataSection.Source.Separate mixes -> {
        data.train = data.blend(mixes.train(), "train", data.iterations * batch);
        data.valid = data.blend(mixes.valid(), "valid", valid);
        data.test = data.blend(mixes.test(), "test", test);
      }
    }
    if (data.train == null) {
      throw new InputException("no training data: the split leaves it no documents");
    }
    data.requireABatch(data.train, "train", "");
    String remedy = "; or set eval_iters to 0, which leaves out validation and test";
    data.requireABatch(data.valid, "valid", remedy);
    data.requireABatch(data.test, "test", remedy);
    return data;
  }

  /**
   * Stops before the first step what would stop after the last: a micro-batch is read whole or not
   * at all.
   */
  private void requireABatch(Dataset dataset, String name, String remedy) {
    int micro = config.batch().micro();
    if (dataset != null && dataset.length() < micro) {
      String where =
          switch (source(config)) {
            case DataSection.Source.Split split ->
                split.path() + ": the " + name + " part of split " + split.parts();
            case DataSection.Source.Separate mixes -> name + "_data_paths";
          };
      throw new InputException(
          where
              + " has "
              + dataset.length()
              + " sequences of "
              + config.model().seqLength()
              + " tokens, fewer than one micro-batch of "
              + micro
              + ": give it more, or a smaller train_micro_batch_size_per_gpu"
              + remedy);
    }
  }

  private static DataSection.Source source(NeoxConfig config) {
    return config
        .data()
        .source()
        .orElseThrow(
            () ->
                new InputException(
                    "no training data: set data_path, or train_data_paths, valid_data_paths and"
                        + " test_data_paths"));
  }

  /**
   * Optimizer steps of the run: {@code train_iters}, or as many as {@code train_epochs} passes over
   * the data take.
   */
  private int iterations() {
    if (config.run().iters().isPresent()) {
      return config.run().iters().getAsInt();
    }
    long tokens =
        switch (source(config)) {
          case DataSection.Source.Split split -> {
            IndexedDataset file = file(split.path());
            Splits parts = Splits.of(split.parts(), file.sequences());
            long sum = 0;
            for (int d = 0; d < parts.valid(); d++) {
              sum += file.size(d);
            }
            yield sum;
          }
          case DataSection.Source.Separate mixes ->
              mixes.train().paths().stream().mapToLong(p -> file(p).tokens()).sum();
        };
    long samples = (config.run().epochs().getAsInt() * tokens - 1) / config.model().seqLength();
    if (samples < config.batch().total()) {
      throw new InputException(
          "train_epochs: the training data has "
              + samples
              + " sequences in all, fewer than one batch of "
              + config.batch().total());
    }
    return Math.toIntExact(samples / config.batch().total());
  }

  private IndexedDataset file(Path prefix) {
    return files.computeIfAbsent(prefix, IndexedDataset::open);
  }

  private Dataset dataset(IndexedDataset file, String name, int first, int end, long samples) {
    if (samples == 0 || first == end) {
      return null;
    }
    int seq = config.model().seqLength();
    SampleIndex.Spec spec = new SampleIndex.Spec(first, end, samples, seq, config.run().seed());
    return new GptDataset(file, SampleIndex.cached(file, name, spec, arena, progress), seq);
  }

  private Dataset blend(DataSection.Mix mix, String name, long samples) {
    if (samples == 0) {
      return null;
    }
    for (Path path : mix.paths()) {
      if (file(path).sequences() == 0) {
        throw new InputException(
            path
                + ": holds no documents: leave it out of "
                + name
                + "_data_paths, or prepare it again");
      }
    }
    double[] weights = mix.weights().stream().mapToDouble(w -> w).toArray();
    if (config.data().weightByDocuments()) {
      long[] documents = mix.paths().stream().mapToLong(p -> file(p).sequences()).toArray();
      weights = BlendedDataset.weightsByDocuments(documents, config.data().weightAlpha());
    }
    long[] wanted = BlendedDataset.samplesPerPart(weights, samples);
    List<Dataset> parts = new ArrayList<>();
    for (int i = 0; i < wanted.length; i++) {
      IndexedDataset file = file(mix.paths().get(i));
      parts.add(dataset(file, name + "_" + i, 0, file.sequences(), Math.max(1, wanted[i])));
    }
    return parts.size() == 1
        ? parts.getFirst()
        : BlendedDataset.of(parts, weights, arena, progress);
  }

  /** Optimizer steps in all. */
  public int trainIters() {
    return iterations;
  }

  /** The training samples, one int[length + 1] each. */
  public Dataset train() {
    return train;
  }

  /**
   * The order in which the run reads its training samples: from a step, row and position to a token
   * of a document, and back.
   */
  public BatchOrder order() {
    return order(train);
  }

  BatchOrder order(Dataset dataset) {
    return new BatchOrder(dataset, config.batch().micro(), config.batch().accumulation());
  }

  /** Held-out samples, or null. */
  public Dataset valid() {
    return valid;
  }

  Dataset test() {
    return test;
  }

  /**
   * Reads micro-batch {@code index} of an order.
   *
   * @param usedVocab ids from here on are an error
   * @param endOfText where inputs of this id carry no loss, or -1
   */
  static GradientStep.Batch batch(BatchOrder order, long index, int usedVocab, int endOfText) {
    int[][] samples = new int[order.micro()][];
    for (int i = 0; i < samples.length; i++) {
      long sample = order.sample(index, i);
      samples[i] = order.data().sample(sample);
      for (int id : samples[i]) {
        if (id < 0 || id >= usedVocab) {
          throw new InputException(
              "sample "
                  + sample
                  + " of the data: expected ids below the vocabulary's "
                  + usedVocab
                  + ", found "
                  + id
                  + ": the data was made with another tokenizer");
        }
      }
    }
    GradientStep.Batch batch = GradientStep.Batch.of(samples);
    if (endOfText < 0) {
      return batch;
    }
    float[] weights = new float[batch.inputs().length];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = batch.inputs()[i] == endOfText ? 0 : 1;
    }
    return new GradientStep.Batch(
        batch.inputs(), batch.labels(), weights, batch.sequences(), batch.length());
  }

  @Override
  public void close() {
    arena.close();
  }
}
