package dev.jneox.data;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.TrainedBpe;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongFunction;

/**
 * Learns a byte-level BPE vocabulary from documents. The same texts give the same vocabulary.
 *
 * @param skipped documents and files that were passed over
 */
public record LearnedVocabulary(TrainedBpe bpe, Documents.Skipped skipped) {
  /**
   * Learns from files or folders, as {@link Documents#open} reads them.
   *
   * @param vocabSize tokens wanted, from {@link BpeTrainer#SMALLEST_VOCABULARY} up; the texts may
   *     give fewer
   * @param skipBad passes over documents that are no JSON or no UTF-8 instead of stopping
   * @param reading makes the progress of reading; the total, in bytes, comes later
   * @param merging makes the progress of so many merges
   * @throws InputException when the inputs have no text, or no pair of letters that occurs twice
   */
  public static LearnedVocabulary of(
      List<Path> inputs,
      int vocabSize,
      boolean skipBad,
      LongFunction<Progress> reading,
      LongFunction<Progress> merging) {
    BpeTrainer trainer = new BpeTrainer(vocabSize);
    Documents.Skipped skipped;
    try (Progress progress = reading.apply(-1);
        Documents documents = Documents.open(inputs, skipBad, progress::step)) {
      progress.total(documents.totalBytes());
      trainer.count(documents.texts());
      skipped = documents.skipped();
      if (trainer.bytes() == 0) {
        throw documents.nothing(trainer.documents(), 1);
      }
    }
    TrainedBpe trained;
    try (Progress progress = merging.apply(vocabSize - BpeTrainer.SMALLEST_VOCABULARY)) {
      trained = trainer.train(progress::step);
    }
    if (trained.merges().isEmpty() && vocabSize > BpeTrainer.SMALLEST_VOCABULARY) {
      throw new InputException(
          "the texts: expected pairs of letters that occur twice, found none: "
              + trained.documents()
              + " documents of "
              + trained.bytes()
              + " bytes; give more text");
    }
    return new LearnedVocabulary(trained, skipped);
  }
}
