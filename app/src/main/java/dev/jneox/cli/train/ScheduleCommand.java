package dev.jneox.cli.train;

import dev.jneox.cli.Json;
import dev.jneox.cli.Usage;
import dev.jneox.io.InputException;
import dev.jneox.train.LearningRate;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** Prints the learning rate at chosen iterations. */
@Command(
    name = "schedule",
    description = "Print the learning rate at chosen iterations, as GPT-NeoX computes it.",
    footer = {
      "",
      "Example: the schedule of GPT-NeoX-20B, which warms up over a hundredth of its iterations:",
      "  jneox schedule --version v1.0 --lr 0.97e-4 --min-lr 0.97e-5 \\",
      "      --warmup-iters 1500 --decay-iters 150000 --at 0,1,1500,75000,150000"
    })
public final class ScheduleCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Option(
      names = "--version",
      paramLabel = "v1.0|v2",
      defaultValue = "v2",
      converter = VersionConverter.class,
      description =
          "Whose formulas: v1.0 trained 20B and Pythia; v2 is every later one. Default:"
              + " ${DEFAULT-VALUE}.")
  private LearningRate.Version version;

  @Option(
      names = "--lr",
      required = true,
      paramLabel = "RATE",
      description = "The peak, reached at the end of the warm-up.")
  private double lr;

  @Option(
      names = "--min-lr",
      paramLabel = "RATE",
      defaultValue = "0",
      description = "The floor. Default: ${DEFAULT-VALUE}.")
  private double minLr;

  @Option(
      names = "--warmup-iters",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Iterations of the linear warm-up; GPT-NeoX has warmup x lr_decay_iters, not rounded."
              + " Default: 0.")
  private double warmupIters;

  @Option(
      names = "--decay-iters",
      required = true,
      paramLabel = "N",
      description = "The iteration at which the decay ends.")
  private long decayIters;

  @Option(
      names = "--style",
      paramLabel = "STYLE",
      defaultValue = "cosine",
      description = "constant, linear, cosine or exponential. Default: ${DEFAULT-VALUE}.")
  private LearningRate.Style style;

  @Option(
      names = "--at",
      required = true,
      split = ",",
      paramLabel = "N",
      description = "Iterations to print, counted from 0.")
  private List<Long> at;

  @Option(names = "--json", description = "Print {\"lr_at\":{\"0\":..}} instead of a table.")
  private boolean json;

  @Override
  public void run() {
    if (at.stream().anyMatch(n -> n < 0)) {
      throw new ParameterException(
          spec.commandLine(), "--at: expected iterations >= 0, found " + at);
    }
    LearningRate schedule =
        Usage.of(spec, () -> new LearningRate(version, style, lr, minLr, warmupIters, decayIters));
    Map<String, Double> rates = new LinkedHashMap<>();
    at.forEach(iteration -> rates.put(String.valueOf(iteration), schedule.at(iteration)));
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.line(Map.of("lr_at", rates)));
    } else {
      out.printf("%12s  %-24s %s%n", "iteration", "learning rate", "of the peak");
      rates.forEach(
          (iteration, rate) ->
              out.printf(
                  "%12s  %-24s %9.2f%%%n", iteration, rate, lr == 0 ? 100 : 100 * rate / lr));
    }
    out.flush();
  }

  static final class VersionConverter implements ITypeConverter<LearningRate.Version> {
    @Override
    public LearningRate.Version convert(String text) {
      try {
        return LearningRate.Version.of(text);
      } catch (InputException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
