package dev.jneox.cli;

import dev.jneox.inspect.Verification;
import dev.jneox.inspect.Verification.Check;
import dev.jneox.inspect.Verification.Finding;
import dev.jneox.inspect.Verification.Verdict;
import dev.jneox.io.FreedMemory;
import dev.jneox.io.VisibleText;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox verify}: whether a model is what it should be. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Check a model without running it.",
      "Hashes of its files, shapes against its configuration, tokenizer against vocabulary, every"
          + " value a finite number.",
      "Prints a line for each finding; the exit code is 1 when anything is wrong."
    },
    footer = {
      "",
      "Hashes are compared with SHA256SUMS in the folder (sha256sum * > SHA256SUMS writes it, as"
          + " publish does) and with what a download from the hub has left.",
      "A checkpoint of a training is compared with its manifest.crc32c too; of the folder of a run,"
          + " every checkpoint is.",
      "",
      "Examples:",
      "  jneox verify DIR",
      "  jneox verify model.safetensors --json",
      "  jneox verify run/global_step1000"
    })
final class VerifyCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "MODEL",
      description =
          "A model folder or file, a run of train, a bare file of tensors, or ORG/NAME on the hub.")
  private String model;

  @Option(
      names = "--json",
      description = "Print JSON: path, ok, and findings with check, ok and message.")
  private boolean json;

  @Override
  public Integer call() {
    Path path = ModelOptions.find(model, spec.commandLine().getErr());
    FreedMemory.returnToSystem();
    List<Finding> findings = Verification.of(path, ProgressLine::bytes).findings();
    boolean ok = findings.stream().noneMatch(finding -> finding.verdict() == Verdict.WRONG);
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      Map<String, Object> report = new LinkedHashMap<>();
      report.put("path", path.toString());
      report.put("ok", ok);
      report.put("findings", findings.stream().map(VerifyCommand::json).toList());
      out.println(Json.line(report));
    } else {
      for (Finding finding : findings) {
        String mark =
            switch (finding.verdict()) {
              case OK -> "ok";
              case WRONG -> "WRONG";
              case UNKNOWN -> "-";
            };
        out.printf(
            "%-5s  %-9s  %s%n", mark, name(finding.check()), VisibleText.line(finding.message()));
      }
      out.println(
          VisibleText.line(path.toString()) + (ok ? ": nothing wrong" : ": something is wrong"));
    }
    out.flush();
    return ok ? 0 : 1;
  }

  /** The name of a check, as all of this command's output has it. */
  static String name(Check check) {
    return check.name().toLowerCase(Locale.ROOT);
  }

  private static Map<String, Object> json(Finding finding) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("check", name(finding.check()));
    switch (finding.verdict()) {
      case OK -> json.put("ok", true);
      case WRONG -> json.put("ok", false);
      case UNKNOWN -> {} // has no key
    }
    json.put("message", finding.message());
    finding
        .tensor()
        .ifPresent(
            tensor -> {
              json.put("tensor", tensor.name());
              json.put("first", tensor.first());
              json.put("nans", tensor.nans());
              json.put("infinities", tensor.infinities());
            });
    return json;
  }
}
