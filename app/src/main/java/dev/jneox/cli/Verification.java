package dev.jneox.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.jneox.format.Manifest;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.neox.RunFolder;
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

/** Everything about a model that can be checked without running it: what {@code verify} prints. */
final class Verification {
  /**
   * One result.
   *
   * @param check hashes, manifest (of a checkpoint), model (tensors against the configuration),
   *     tokenizer or values
   * @param ok null where there was nothing to check by
   * @param tensor the tensor that is wrong, or null
   * @param first place of its first value that is no number, one index an axis
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Finding(
      String check,
      Boolean ok,
      String message,
      String tensor,
      long[] first,
      Long nans,
      Long infinities) {
    static Finding ok(String check, String message, Object... values) {
      return new Finding(
          check, true, String.format(Locale.ROOT, message, values), null, null, null, null);
    }

    static Finding wrong(String check, String message) {
      return new Finding(check, false, message, null, null, null, null);
    }

    static Finding unknown(String check, String message) {
      return new Finding(check, null, message, null, null, null, null);
    }
  }

  private final Path path;
  private final List<Finding> findings = new ArrayList<>();

  private Verification(Path path) {
    this.path = path;
  }

  /** Checks a model or a bare file of tensors; what cannot be opened at all is a finding too. */
  static List<Finding> of(Path path) {
    if (!Files.exists(path)) {
      throw new InputException(path + ": there is no such model folder or file");
    }
    List<Finding> manifests = manifests(path);
    try {
      return of(ModelFiles.resolve(path), manifests);
    } catch (JneoxException e) { // a run that does not say which checkpoint is the newest
      manifests.add(Finding.wrong("model", e.getMessage()));
      return manifests;
    }
  }

  private static List<Finding> of(Path path, List<Finding> manifests) {
    Verification verification = new Verification(path);
    verification.hashes();
    verification.findings.addAll(manifests);
    try (Contents contents = Contents.open(path)) {
      contents.model().ifPresent(model -> verification.model(model));
      verification.values(contents);
    } catch (JneoxException e) {
      List<String> problems =
          Files.exists(path.resolve("config.json"))
              ? HfFolder.problems(path)
              : List.of(e.getMessage());
      problems.forEach(problem -> verification.findings.add(Finding.wrong("model", problem)));
      verification.valuesFileByFile();
    }
    return verification.findings;
  }

  private void hashes() {
    Map<Path, KnownHashes.Known> known;
    try {
      known = KnownHashes.of(path);
    } catch (JneoxException e) {
      findings.add(Finding.wrong("hashes", e.getMessage()));
      return;
    }
    if (known.isEmpty()) {
      String message =
          "nothing says what they should be: no "
              + KnownHashes.MANIFEST
              + " and no record of a download";
      findings.add(Finding.unknown("hashes", message));
      return;
    }
    int good = 0;
    try (Progress progress =
        ProgressLine.bytes(
            "hashing", known.keySet().stream().mapToLong(Verification::size).sum())) {
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
          findings.add(Finding.wrong("hashes", message));
        }
      }
    }
    if (good == known.size()) {
      findings.add(
          Finding.ok(
              "hashes",
              "%,d of %,d files have one, and it is right",
              good,
              Contents.files(path).size()));
    }
  }

  /** Of a checkpoint, or of every checkpoint of a run. */
  private static List<Finding> manifests(Path path) {
    List<Finding> findings = new ArrayList<>();
    List<Path> checkpoints = RunFolder.is(path) ? RunFolder.of(path).checkpoints() : List.of(path);
    for (Path checkpoint : checkpoints.stream().filter(Manifest::exists).toList()) {
      try {
        Manifest manifest = Manifest.read(checkpoint);
        List<String> problems = manifest.problems(checkpoint).toList();
        problems.forEach(problem -> findings.add(Finding.wrong("manifest", problem)));
        if (problems.isEmpty()) {
          String where = checkpoint.equals(path) ? "" : checkpoint.getFileName() + ": ";
          findings.add(
              Finding.ok(
                  "manifest",
                  "%ssave %d, %,d files, each as it was written",
                  where,
                  manifest.save(),
                  manifest.files().size()));
        }
      } catch (JneoxException e) {
        findings.add(Finding.wrong("manifest", e.getMessage()));
      }
    }
    return findings;
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
    findings.add(Finding.ok("model", message, CanonicalNames.of(model.spec()).size()));
    String json = model.tokenizerJson().orElse(null);
    if (json == null) {
      findings.add(Finding.unknown("tokenizer", "the model has none"));
      return;
    }
    try (Tokenizer tokenizer = Tokenizer.parse(json, model.path())) {
      int rows = model.spec().vocabulary().rows();
      if (tokenizer.vocabSize() > rows) {
        findings.add(
            Finding.wrong(
                "tokenizer",
                tokenizer.vocabSize() + " tokens for " + rows + " rows of the embedding"));
      } else {
        findings.add(
            Finding.ok(
                "tokenizer",
                "%,d tokens for %,d rows of the embedding",
                tokenizer.vocabSize(),
                rows));
      }
    } catch (JneoxException e) {
      findings.add(Finding.wrong("tokenizer", e.getMessage()));
    }
  }

  /** A folder that is no whole model may have files of tensors all the same. */
  private void valuesFileByFile() {
    for (Path file : Contents.files(path)) {
      if (Contents.isTensorFile(file)) {
        try (Contents contents = Contents.open(file)) {
          values(contents);
        } catch (JneoxException e) {
          findings.add(Finding.wrong("values", e.getMessage()));
        }
      }
    }
  }

  private void values(Contents contents) {
    long bytes = contents.entries().stream().mapToLong(Contents.Entry::bytes).sum();
    long values = 0;
    boolean good = true;
    try (Progress progress = ProgressLine.bytes("values", bytes)) {
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
              "values",
              "%,d values in %,d tensors, all finite",
              values,
              contents.entries().size()));
    }
  }

  private static NonFinite nonFinite(Contents contents, Contents.Entry entry) {
    Dtype dtype = Dtype.of(entry.dtype());
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
        "values", false, message, entry.name(), first, found.nans(), found.infinities());
  }
}
