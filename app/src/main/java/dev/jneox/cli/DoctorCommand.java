package dev.jneox.cli;

import dev.jneox.io.CancelledException;
import dev.jneox.kernel.Host;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Tells what this machine gives JNeoX, measured, and what to change. */
@Command(
    name = "doctor",
    description = "Show what this machine gives JNeoX, measured, and what to change to get more.",
    footer = {"", "Example:", "  jneox doctor --json > machine.json"})
public final class DoctorCommand implements Runnable {
  private static final double GB = 1e9;

  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Option(names = "--json", description = "Print JSON: bytes, and rates a second, in full.")
  private boolean json;

  @Override
  public void run() {
    spec.commandLine().getErr().println("measuring, about 6 seconds ...");
    PrintWriter out = spec.commandLine().getOut();
    try {
      Diagnosis diagnosis = Diagnosis.make(Relaunch.read());
      out.print(json ? json(diagnosis) : text(diagnosis));
    } catch (InterruptedException e) {
      throw new CancelledException("interrupted while measuring", e);
    }
    out.flush();
  }

  /** All of it, under the names that the command's JSON has had from the beginning. */
  static String json(Diagnosis d) {
    Map<String, Object> disk = new LinkedHashMap<>();
    disk.put("work", d.work().folder());
    disk.put("work_free", d.work().free());
    Map<String, Object> rates = new LinkedHashMap<>();
    rates.put("threads", d.host().cpu().threads());
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("java", d.host().java());
    report.put("cpu", d.host().cpu());
    report.put("memory", d.host().memory());
    report.put("disk", disk);
    d.libtorch()
        .ifPresent(
            facts -> {
              disk.put("cache", facts.cache().folder());
              disk.put("cache_free", facts.cache().free());
              disk.put("cache_bytes", facts.cache().bytes());
              disk.put("unused", facts.cache().unused());
              report.put("libraries", facts.libraries());
              rates.put("gemm_float", facts.rates().gemmFloat());
              rates.put("gemm_bfloat16", facts.rates().gemmBfloat16());
            });
    rates.put("read_one_thread", d.read().oneThread());
    rates.put("read_all_threads", d.read().allThreads());
    report.put("rates", rates);
    report.put("overridden", d.overridden());
    report.put("other_load", d.otherLoad());
    report.put("huge_pages", d.host().hugePages());
    report.put("advice", d.advice());
    return Json.indented(report) + "\n";
  }

  static String text(Diagnosis d) {
    Host.Java java = d.host().java();
    Host.Processor cpu = d.host().cpu();
    Host.Memory memory = d.host().memory();
    StringBuilder out = new StringBuilder();
    line(out, "Java", "%s, %s, %s", java.version(), java.vendor(), java.home());
    line(out, "CPU", "%s, %s", cpu.name(), cores(cpu));
    line(
        out,
        "vectors",
        "%d bits in the JVM%s; %s",
        cpu.vectorBits(),
        d.libtorch()
            .map(facts -> ", " + facts.libraries().cpuCapability() + " in libtorch")
            .orElse(""),
        cpu.instructions().isEmpty()
            ? "instruction sets unknown"
            : String.join(", ", cpu.instructions()));
    line(out, "inference", "kernels: %s", cpu.kernels());
    line(
        out,
        "memory",
        "%.1f GB, %.1f GB available, Java heap up to %.1f GB",
        memory.usable() / GB,
        memory.available() / GB,
        memory.heap() / GB);
    line(out, "disk", "%.1f GB free in %s (here)", d.work().free() / GB, d.work().folder());
    d.libtorch()
        .ifPresentOrElse(
            facts -> libtorch(out, facts, cpu.threads()),
            () ->
                line(
                    out,
                    "libtorch",
                    "not on the class path, so nothing can be trained (a download has it in its"
                        + " training archive)"));
    line(
        out,
        "memory read",
        "%.1f GB/s on one thread, %.1f GB/s on %d",
        d.read().oneThread() / GB,
        d.read().allThreads() / GB,
        cpu.threads());
    List<String> advice = d.advice();
    out.append(advice.isEmpty() ? "\nNothing to change.\n" : "\nWhat to change:\n");
    advice.forEach(line -> out.append("  - ").append(line).append('\n'));
    return out.toString();
  }

  private static void libtorch(StringBuilder out, LibtorchFacts facts, int threads) {
    LibtorchFacts.Libraries libraries = facts.libraries();
    line(
        out,
        "",
        "%.1f GB free in %s (native libraries, %.1f GB, verified)",
        facts.cache().free() / GB,
        facts.cache().folder(),
        facts.cache().bytes() / GB);
    line(
        out,
        "libtorch",
        "%s with oneDNN %s, OpenMP %s, %d threads",
        libraries.libtorch(),
        libraries.oneDnn(),
        libraries.openMp(),
        threads);
    line(out, "BLAS", "%s, %s", libraries.blas(), libraries.blasPath());
    line(
        out,
        "GEMM",
        "float32 %.0f GFLOP/s, bfloat16 %.0f GFLOP/s (matrix products of libtorch)",
        facts.rates().gemmFloat() / 1e9,
        facts.rates().gemmBfloat16() / 1e9);
  }

  private static String cores(Host.Processor cpu) {
    String cores = cpu.machineCores() + (cpu.machineCores() == 1 ? " core" : " cores");
    return cpu.usableCores() == cpu.machineCores()
        ? cores
        : cpu.usableCores() + " of " + cores + " usable";
  }

  private static void line(StringBuilder out, String name, String format, Object... values) {
    out.append(String.format("%-12s ", name))
        .append(String.format(Locale.ROOT, format, values))
        .append('\n');
  }
}
