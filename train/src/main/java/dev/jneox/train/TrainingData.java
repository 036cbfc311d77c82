package dev.jneox.train;

import dev.jneox.data.BatchOrder;
import dev.jneox.data.BlendedDataset;
import dev.jneox.data.Dataset;
import dev.jneox.data.GptDataset;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.SampleIndex;
import dev.jneox.data.Splits;
import dev.jneox.dist.Ranks;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.Progress;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Opens the samples of a run in GPT-NeoX's order: documents shuffled over all epochs, cut into
 * sequences, shuffled again, and mixed by weight.
 */
public final class TrainingData implements AutoCloseable {
  private final NeoxConfig config;
  private final Arena arena = Arena.ofShared();
  private final Map<Path, IndexedDataset> files = new LinkedHashMap<>();
  private final Progress progress;
  private final int iterations;
  private final Dataset train;
  private final Optional<Dataset> valid;
  private final Optional<Dataset> test;
  private Optional<String> warning = Optional.empty();

  private TrainingData(NeoxConfig config, Progress progress) {
    this.config = config;
    this.progress = progress;
    iterations = iterations();
    long batch = config.batch().total();
    RunSection run = config.run();
    long validSamples =
        run.evalIters() == 0 ? 0 : (iterations / run.evalInterval() + 1L) * run.evalIters() * batch;
    long testSamples = run.evalIters() * batch;
    Optional<Dataset> training;
    switch (source(config)) {
      case DataSection.Source.Split split -> {
        IndexedDataset file = file(split.path());
        Splits parts = Splits.of(split.parts(), file.sequences());
        if (run.evalIters() > 0) {
          warning = SharedDocuments.warning(split.path(), parts);
        }
        training = part(file, "train", 0, parts.valid(), iterations * batch);
        valid = part(file, "valid", parts.valid(), parts.test(), validSamples);
        test = part(file, "test", parts.test(), parts.end(), testSamples);
      }
      case DataSection.Source.Separate mixes -> {
        training = blend(mixes.train(), "train", iterations * batch);
        valid = blend(mixes.valid(), "valid", validSamples);
        test = blend(mixes.test(), "test", testSamples);
      }
    }
    train =
        training.orElseThrow(
            () -> new InputException("no training data: the split leaves it no documents"));
    requireABatch(train, "train", "");
    String remedy = "; or set eval_iters to 0, which leaves out validation and test";
    valid.ifPresent(dataset -> requireABatch(dataset, "valid", remedy));
    test.ifPresent(dataset -> requireABatch(dataset, "test", remedy));
  }

  /**
   * Opens the data that {@code config} names, and builds their order or reads it from a file.
   *
   * @param progress counts samples while an order is built, which may take minutes
   * @throws InputException when there are no training data, or a part is smaller than a micro-batch
   */
  public static TrainingData open(NeoxConfig config, Progress progress) {
    return new TrainingData(config, progress);
  }

  /**
   * Opens the data on every rank of a run: first on rank 0, which writes their order beside them,
   * then on the others, which read it.
   *
   * @throws dev.jneox.io.PeerException on the other ranks, when rank 0 cannot open them
   * @see #open(NeoxConfig, Progress)
   */
  public static TrainingData open(NeoxConfig config, Progress progress, Ranks ranks) {
    if (!ranks.isFirst()) {
      ranks.barrier();
      return open(config, Progress.silent());
    }
    TrainingData data = open(config, progress);
    try {
      ranks.barrier();
      return data;
    } catch (JneoxException e) {
      data.close();
      throw e;
    }
  }

  /** Returns a warning where documents for validation are copies of those for training. */
  Optional<String> warning() {
    return warning;
  }

  /**
   * Refuses a data set that has no whole micro-batch, which a run would find out only when it reads
   * one, for validation and test after many steps.
   */
  private void requireABatch(Dataset dataset, String name, String remedy) {
    int micro = config.batch().micro();
    if (dataset.length() < micro) {
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
   * Returns the optimizer steps of the run: {@code train_iters}, or those of {@code train_epochs}
   * passes over the data.
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

  /** Returns a part of a split; empty where it has no documents or the run reads none of it. */
  private Optional<Dataset> part(
      IndexedDataset file, String name, int first, int end, long samples) {
    return samples == 0 || first == end
        ? Optional.empty()
        : Optional.of(dataset(file, name, first, end, samples));
  }

  private Dataset dataset(IndexedDataset file, String name, int first, int end, long samples) {
    int seq = config.model().seqLength();
    SampleIndex.Spec spec = new SampleIndex.Spec(first, end, samples, seq, config.run().seed());
    return new GptDataset(file, SampleIndex.cached(file, name, spec, arena, progress), seq);
  }

  private Optional<Dataset> blend(DataSection.Mix mix, String name, long samples) {
    if (samples == 0) {
      return Optional.empty();
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
    return Optional.of(
        parts.size() == 1 ? parts.getFirst() : BlendedDataset.of(parts, weights, arena, progress));
  }

  /** Returns the optimizer steps of the whole run. */
  public int trainIters() {
    return iterations;
  }

  /** Returns lines that differ for other data: their number, and hashes of some of the samples. */
  String fingerprint() {
    StringBuilder text = new StringBuilder();
    text.append("number of steps: ").append(iterations);
    text.append("\nnumber of samples: ").append(train.length());
    for (long sample : new long[] {0, train.length() / 2, train.length() - 1}) {
      text.append(
          "\nthe hash of sample %d: %x".formatted(sample, Arrays.hashCode(train.sample(sample))));
    }
    return text.toString();
  }

  /** Returns the training samples, each of {@code seq_length + 1} ids. */
  public Dataset train() {
    return train;
  }

  /**
   * Returns the order in which the run reads its training samples. It leads from a step, row and
   * position to a token of a document, and back.
   */
  public BatchOrder order() {
    return order(train);
  }

  BatchOrder order(Dataset dataset) {
    return new BatchOrder(dataset, config.batch().micro(), config.batch().microBatches());
  }

  /** Returns the validation samples; empty where the run has no validation or no data for it. */
  public Optional<Dataset> valid() {
    return valid;
  }

  /** Returns the test samples; empty where the run has no test or no data for it. */
  Optional<Dataset> test() {
    return test;
  }

  /**
   * Reads micro-batch {@code index} of an order.
   *
   * @param usedVocab size of the vocabulary; an id that is not below it is an error
   * @param endOfText id of inputs whose positions have no loss, or -1
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
