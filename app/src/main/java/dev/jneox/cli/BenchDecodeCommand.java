package dev.jneox.cli;

import dev.jneox.infer.DecodeLimit;
import dev.jneox.infer.DecodeRound;
import dev.jneox.infer.Engine;
import dev.jneox.infer.KvPrecision;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.PackedModel;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.kernel.Cpu;
import dev.jneox.kernel.MemoryRate;
import dev.jneox.kernel.ResidentMemory;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures how fast texts are written, and what share that is of what memory allows. */
@Command(
    name = "decode",
    sortOptions = false,
    description = {
      "Measure how fast a model reads prompts and writes tokens.",
      "It writes greedily from random ids, by the engine that generate uses. The result is the"
          + " median and the range over some rounds, after others that warm up. The limit is the"
          + " read bandwidth, measured in the same run, by the bytes of weights, keys and values"
          + " that a token needs."
    },
    footer = {
      "",
      "Examples: one text; eight at once, over keys and values in bfloat16:",
      "  jneox bench decode --model DIR --prompt 128 --new 128",
      "  jneox bench decode --model DIR --sessions 8 --kv bf16 --rounds 5 --json"
    })
public final class BenchDecodeCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Mixin private ModelOptions model;

  @Option(
      names = "--prompt",
      paramLabel = "N",
      defaultValue = "128",
      description = "Tokens of each prompt. Default: ${DEFAULT-VALUE}.")
  private int prompt;

  @Option(
      names = "--new",
      paramLabel = "N",
      defaultValue = "128",
      description = "Tokens to write. Default: ${DEFAULT-VALUE}.")
  private int fresh;

  @Option(
      names = "--sessions",
      paramLabel = "S",
      defaultValue = "1",
      description = "Texts written at once. Default: ${DEFAULT-VALUE}.")
  private int sessions;

  @Option(
      names = "--threads",
      paramLabel = "T",
      description = "Threads that compute. Default: all cores.")
  private Integer threads;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "5",
      description = "Rounds measured. Default: ${DEFAULT-VALUE}.")
  private int rounds;

  @Option(
      names = "--warmup",
      paramLabel = "N",
      defaultValue = "3",
      description = "Rounds before them, reported apart. Default: ${DEFAULT-VALUE}.")
  private int warmup;

  @Option(
      names = "--kv",
      paramLabel = "f32|bf16",
      description =
          "What keys and values are kept in. Default: f32 beside weights in f32, else bf16.")
  private KvPrecision kv;

  @Option(
      names = "--json",
      description = "Print one line of JSON: seconds, bytes, and rates a second.")
  private boolean json;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Override
  public void run() {
    Usage.require(spec, prompt >= 1, "--prompt", "1 or more", prompt);
    Usage.require(spec, fresh >= 2, "--new", "2 or more", fresh);
    Usage.require(spec, rounds >= 1, "--rounds", "1 or more", rounds);
    Usage.require(spec, sessions >= 1, "--sessions", "1 or more", sessions);
    Usage.require(spec, threads == null || threads >= 1, "--threads", "1 or more", threads);
    Usage.require(spec, warmup >= 0, "--warmup", "0 or more", warmup);
    int workers = threads == null ? Cpu.threads() : threads;
    long opening = System.nanoTime();
    try (LanguageModel loaded = model.open();
        Engine engine = loaded.engine(settings(loaded.packed(), workers))) {
      if (prompt + fresh > loaded.spec().maxPositions()) {
        throw new InputException(
            "--prompt and --new: expected "
                + loaded.spec().maxPositions()
                + " tokens together at most, the model's context, found "
                + (prompt + fresh));
      }
      double opened = (System.nanoTime() - opening) / 1e9;
      List<DecodeRound> warm = new ArrayList<>();
      List<DecodeRound> measured = new ArrayList<>();
      try (Progress progress = ProgressLine.of("measuring", "rounds", warmup + rounds)) {
        for (int r = 0; r < warmup + rounds; r++) {
          (r < warmup ? warm : measured).add(DecodeRound.run(engine, sessions, prompt, fresh, r));
          progress.step(1);
        }
      }
      Map<String, Object> report = new LinkedHashMap<>();
      report.put("model", model.path().toString());
      report.put("parameters", loaded.spec().parameterCount());
      report.put("prompt_tokens", prompt);
      report.put("new_tokens", fresh);
      report.put("sessions", sessions);
      report.put("threads", workers);
      report.put("kv", kv.name().toLowerCase(Locale.ROOT));
      report.put("open_seconds", opened);
      if (warmup > 0) {
        report.put("cold_first_token_seconds", warm.getFirst().firstToken());
        report.put("warmup", figures(warm));
      }
      report.putAll(figures(measured));
      report.put("resident_bytes", ResidentMemory.now().orElse(-1));
      report.put("peak_resident_bytes", ResidentMemory.peak().orElse(-1));
      limits(report, loaded, workers, median(measured, DecodeRound::decodeRate));
      print(report);
    }
  }

  private Engine.Settings settings(PackedModel packed, int workers) {
    Engine.Settings defaults = Engine.Settings.of(packed, sessions);
    kv = kv == null ? defaults.kv() : kv;
    return defaults.withQueue(sessions).withKv(kv).withThreads(workers);
  }

  private static Map<String, Object> figures(List<DecodeRound> rounds) {
    Map<String, Object> figures = new LinkedHashMap<>();
    figures.put("rounds", rounds.size());
    figures.put("first_token_seconds", spread(rounds, DecodeRound::firstToken));
    figures.put("prompt_tokens_per_second", spread(rounds, DecodeRound::promptRate));
    figures.put("decode_tokens_per_second", spread(rounds, DecodeRound::decodeRate));
    return figures;
  }

  private static Map<String, Double> spread(
      List<DecodeRound> rounds, ToDoubleFunction<DecodeRound> figure) {
    Map<String, Double> spread = new LinkedHashMap<>();
    spread.put("median", median(rounds, figure));
    spread.put("min", rounds.stream().mapToDouble(figure).min().getAsDouble());
    spread.put("max", rounds.stream().mapToDouble(figure).max().getAsDouble());
    return spread;
  }

  private static double median(List<DecodeRound> rounds, ToDoubleFunction<DecodeRound> figure) {
    double[] sorted = rounds.stream().mapToDouble(figure).sorted().toArray();
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }

  /**
   * What a step must read, how fast memory is, and which share of the rate that follows was
   * reached.
   */
  private void limits(Map<String, Object> report, LanguageModel loaded, int workers, double rate) {
    DecodeLimit limit = DecodeLimit.of(loaded.packed(), kv, sessions, prompt, fresh);
    double bandwidth = MemoryRate.measure(workers)[0];
    double fastest = limit.tokensPerSecond(bandwidth);
    report.put("weight_bytes_per_step", limit.weightBytes());
    report.put("kv_bytes_per_step", Math.round(limit.keyValueBytes()));
    report.put("read_bytes_per_second", Math.round(bandwidth));
    report.put("limit_tokens_per_second", fastest);
    report.put("share_of_limit", rate / fastest);
  }

  private void print(Map<String, Object> report) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.line(report));
    } else {
      report.forEach((name, value) -> line(out, "", name, value));
    }
    out.flush();
  }

  private static void line(PrintWriter out, String indent, String name, Object value) {
    if (value instanceof Map<?, ?> map && map.containsKey("median")) {
      out.printf(
          Locale.ROOT,
          "%s%-26s %.4g (%.4g to %.4g)%n",
          indent,
          name,
          (Double) map.get("median"),
          (Double) map.get("min"),
          (Double) map.get("max"));
    } else if (value instanceof Map<?, ?> map) {
      out.println(indent + name);
      map.forEach((key, inner) -> line(out, indent + "  ", key.toString(), inner));
    } else if (value instanceof Double number) {
      out.printf(Locale.ROOT, "%s%-26s %.4g%n", indent, name, number);
    } else {
      out.printf(Locale.ROOT, "%s%-26s %s%n", indent, name, value);
    }
  }
}
