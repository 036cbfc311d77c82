package dev.jneox.inspect;

import dev.jneox.format.Manifest;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.neox.RunFolder;
import dev.jneox.hub.KnownHashes;
import dev.jneox.io.FolderFiles;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.Progress;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.NonFinite;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Checks a model on disk without running it: hashes of its files, tensors against its
 * configuration, tokenizer against vocabulary, every value a finite number.
 *
 * @param path of the model; of a run, its newest checkpoint where it has one
 */
public record Verification(Path path, List<Finding> findings) {
  /** What is checked. */
  public enum Check {
    /** Files against {@link KnownHashes}. */
    HASHES,
    /** The files of a checkpoint against its {@link Manifest}. */
    MANIFEST,
    /** Tensors against the configuration. */
    MODEL,
    /** The tokenizer against the rows of the embedding. */
    TOKENIZER,
    /** Every value. */
    VALUES
  }

  /** How a check ended. */
  public enum Verdict {
    OK,
    WRONG,
    /** There was nothing to check by. */
    UNKNOWN
  }

  /**
   * One result.
   *
   * @param message one line
   * @param tensor the tensor that {@link Check#VALUES} found wrong
   */
  public record Finding(
      Check check, Verdict verdict, String message, Optional<NonFiniteTensor> tensor) {
    private static Finding ok(Check check, String message, Object... values) {
      return new Finding(
          check, Verdict.OK, String.format(Locale.ROOT, message, values), Optional.empty());
    }

    private static Finding wrong(Check check, String message) {
      return new Finding(check, Verdict.WRONG, message, Optional.empty());
    }

    private static Finding unknown(Check check, String message) {
      return new Finding(check, Verdict.UNKNOWN, message, Optional.empty());
    }
  }

  /**
   * A tensor with values that are no numbers.
   *
   * @param first place of the first of them, one index an axis
   */
  public record NonFiniteTensor(String name, long[] first, long nans, long infinities) {}

  public Verification {
    findings = List.copyOf(findings);
  }

  /** Checks without showing how far it has come; see {@link #of(Path, Progress.Display)}. */
  public static Verification of(Path path) {
    return of(path, Progress.Display.SILENT);
  }

  /**
   * Checks a model, a run or a bare file of tensors. What cannot be opened at all is a finding.
   *
   * @param display shows the bytes that are read
   * @throws InputException when there is no such folder or file
   */
  public static Verification of(Path path, Progress.Display display) {
    if (!Files.exists(path)) {
      throw new InputException(path + ": there is no such model folder or file");
    }
    List<Finding> manifests = manifests(path);
    try {
      Path model = ModelFiles.resolve(path);
      return new Verification(model, new Checks(model, display).run(manifests));
    } catch (JneoxException e) { // a run that does not say which checkpoint is the newest
      manifests.add(Finding.wrong(Check.MODEL, e.getMessage()));
      return new Verification(path, manifests);
    }
  }

  /** Returns the first finding that is wrong. */
  public Optional<Finding> firstWrong() {
    return findings.stream().filter(finding -> finding.verdict == Verdict.WRONG).findFirst();
  }

  /** Of a checkpoint, or of every checkpoint of a run. */
  private static List<Finding> manifests(Path path) {
    List<Finding> findings = new ArrayList<>();
    List<Path> checkpoints = RunFolder.is(path) ? RunFolder.of(path).checkpoints() : List.of(path);
    for (Path checkpoint : checkpoints.stream().filter(Manifest::exists).toList()) {
      try {
        Manifest manifest = Manifest.read(checkpoint);
        List<String> problems = manifest.problems(checkpoint).toList();
        problems.forEach(problem -> findings.add(Finding.wrong(Check.MANIFEST, problem)));
        if (problems.isEmpty()) {
          String where = checkpoint.equals(path) ? "" : checkpoint.getFileName() + ": ";
          findings.add(
              Finding.ok(
                  Check.MANIFEST,
                  "%ssave %d, %,d files, each as it was written",
                  where,
                  manifest.save(),
                  manifest.files().size()));
        }
      } catch (JneoxException e) {
        findings.add(Finding.wrong(Check.MANIFEST, e.getMessage()));
      }
    }
    return findings;
  }

  /** The checks of one model. */
  private static final class Checks {
    private final Path path;
    private final Progress.Display display;
    private final List<Finding> findings = new ArrayList<>();

    Checks(Path path, Progress.Display display) {
      this.path = path;
      this.display = display;
    }

    List<Finding> run(List<Finding> manifests) {
      hashes();
      findings.addAll(manifests);
      try (Contents contents = Contents.open(path)) {
        contents.model().ifPresent(model -> model(model));
        values(contents);
      } catch (JneoxException e) {
        List<String> problems =
            Files.exists(path.resolve("config.json"))
                ? HfFolder.problems(path)
                : List.of(e.getMessage());
        problems.forEach(problem -> findings.add(Finding.wrong(Check.MODEL, problem)));
        valuesFileByFile();
      }
      return findings;
    }

    private void hashes() {
      Map<Path, KnownHashes.Known> known;
      try {
        known = KnownHashes.of(path);
      } catch (JneoxException e) {
        findings.add(Finding.wrong(Check.HASHES, e.getMessage()));
        return;
      }
      if (known.isEmpty()) {
        String message =
            "nothing says what they should be: no "
                + KnownHashes.MANIFEST
                + " and no record of a download";
        findings.add(Finding.unknown(Check.HASHES, message));
        return;
      }
      int good = 0;
      try (Progress progress =
          display.begin("hashing", known.keySet().stream().mapToLong(Checks::size).sum())) {
        for (Map.Entry<Path, KnownHashes.Known> entry : known.entrySet()) {
          Path file = entry.getKey();
          String expected = entry.getValue().hash();
          String found =
              Files.isRegularFile(file) ? entry.getValue().of(file, progress) : "no such file";
          if (found.equals(expected)) {
            good++;
          } else {
            String message =
                file
                    + ": expected "
                    + expected
                    + " by "
                    + entry.getValue().source()
                    + ", found "
                    + found;
            findings.add(Finding.wrong(Check.HASHES, message));
          }
        }
      }
      if (good == known.size()) {
        findings.add(
            Finding.ok(
                Check.HASHES,
                "%,d of %,d files have one, and it is right",
                good,
                FolderFiles.of(path).size()));
      }
    }

    private static long size(Path file) {
      try {
        return Files.isRegularFile(file) ? Files.size(file) : 0;
      } catch (IOException e) {
        return 0; // reading it will say why
      }
    }

    /** What opening a model has checked already, and that the tokenizer is one. */
    private void model(StoredModel model) {
      String message = "%,d tensors, each of the shape that the configuration says, and no other";
      findings.add(Finding.ok(Check.MODEL, message, CanonicalNames.of(model.spec()).size()));
      String json = model.tokenizerJson().orElse(null);
      if (json == null) {
        findings.add(Finding.unknown(Check.TOKENIZER, "the model has none"));
        return;
      }
      try (Tokenizer tokenizer = Tokenizer.parse(json, model.path())) {
        int rows = model.spec().vocabulary().rows();
        if (tokenizer.vocabSize() > rows) {
          findings.add(
              Finding.wrong(
                  Check.TOKENIZER,
                  tokenizer.vocabSize()
                      + " tokens for "
                      + rows
                      + " rows of the embedding: ids from "
                      + rows
                      + " on cannot be used"));
        } else {
          findings.add(
              Finding.ok(
                  Check.TOKENIZER,
                  "%,d tokens for %,d rows of the embedding",
                  tokenizer.vocabSize(),
                  rows));
        }
      } catch (JneoxException e) {
        findings.add(Finding.wrong(Check.TOKENIZER, e.getMessage()));
      }
    }

    /** A folder that is no whole model may have files of tensors all the same. */
    private void valuesFileByFile() {
      for (Path file : FolderFiles.of(path)) {
        if (Contents.isTensorFile(file)) {
          try (Contents contents = Contents.open(file)) {
            values(contents);
          } catch (JneoxException e) {
            findings.add(Finding.wrong(Check.VALUES, e.getMessage()));
          }
        }
      }
    }

    private void values(Contents contents) {
      long bytes = contents.entries().stream().mapToLong(Contents.Entry::bytes).sum();
      long values = 0;
      boolean good = true;
      try (Progress progress = display.begin("values", bytes)) {
        for (Contents.Entry entry : contents.entries()) {
          NonFinite found = nonFinite(contents, entry);
          if (found.first() >= 0) {
            findings.add(wrong(contents, entry, found));
            good = false;
          }
          values += entry.elements();
          progress.step(entry.bytes());
        }
      }
      if (good) {
        findings.add(
            Finding.ok(
                Check.VALUES,
                "%,d values in %,d tensors, all finite",
                values,
                contents.entries().size()));
      }
    }

    private static NonFinite nonFinite(Contents contents, Contents.Entry entry) {
      Dtype dtype = Dtype.of(entry.dtype()).orElse(null);
      if (dtype != null && !dtype.isWeight()) {
        return NonFinite.NONE; // integers, as in buffers, are finite
      }
      try {
        try (Arena arena = Arena.ofShared()) {
          return NonFinite.in(contents.read(entry.name(), arena), contents.dtype(entry));
        }
      } finally {
        contents.release();
      }
    }

    private Finding wrong(Contents contents, Contents.Entry entry, NonFinite found) {
      long[] first = new long[entry.shape().length];
      long rest = found.first();
      for (int axis = first.length - 1; axis >= 0; axis--) {
        first[axis] = rest % entry.shape()[axis];
        rest /= entry.shape()[axis];
      }
      String where = contents.path().equals(path) ? "" : contents.path() + ": ";
      String message =
          String.format(
              Locale.ROOT,
              "%stensor \"%s\": %,d NaN and %,d infinite of %,d values, the first at %s",
              where,
              entry.name(),
              found.nans(),
              found.infinities(),
              entry.elements(),
              Arrays.toString(first));
      return new Finding(
          Check.VALUES,
          Verdict.WRONG,
          message,
          Optional.of(new NonFiniteTensor(entry.name(), first, found.nans(), found.infinities())));
    }
  }
}
