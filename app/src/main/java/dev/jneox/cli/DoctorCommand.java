package dev.jneox.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
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
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
    out.flush();
  }

  static String json(Diagnosis diagnosis) throws IOException {
    ObjectMapper mapper =
        new ObjectMapper()
            .setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(SerializationFeature.INDENT_OUTPUT);
    ObjectNode tree = mapper.valueToTree(diagnosis);
    tree.putPOJO("advice", diagnosis.advice());
    return mapper.writeValueAsString(tree) + "\n";
  }

  static String text(Diagnosis d) {
    StringBuilder out = new StringBuilder();
    line(out, "Java", "%s, %s, %s", d.java().version(), d.java().vendor(), d.java().home());
    line(out, "CPU", "%s, %s", d.cpu().name(), cores(d.cpu()));
    line(
        out,
        "vectors",
        "%d bits in the JVM, %s in libtorch; %s",
        d.cpu().vectorBits(),
        d.libraries().cpuCapability(),
        d.cpu().instructions().isEmpty()
            ? "instruction sets unknown"
            : String.join(", ", d.cpu().instructions()));
    line(out, "inference", "kernels: %s", d.cpu().kernels());
    line(
        out,
        "memory",
        "%.1f GB, %.1f GB available, Java heap up to %.1f GB",
        d.memory().usable() / GB,
        d.memory().available() / GB,
        d.memory().heap() / GB);
    line(out, "disk", "%.1f GB free in %s (here)", d.disk().workFree() / GB, d.disk().work());
    line(
        out,
        "",
        "%.1f GB free in %s (native libraries, %.1f GB, verified)",
        d.disk().cacheFree() / GB,
        d.disk().cache(),
        d.disk().cacheBytes() / GB);
    line(
        out,
        "libtorch",
        "%s with oneDNN %s, OpenMP %s, %d threads",
        d.libraries().libtorch(),
        d.libraries().oneDnn(),
        d.libraries().openMp(),
        d.cpu().threads());
    line(out, "BLAS", "%s, %s", d.libraries().blas(), d.libraries().blasPath());
    line(
        out,
        "GEMM",
        "float32 %.0f GFLOP/s, bfloat16 %.0f GFLOP/s (matrix products of libtorch)",
        d.rates().gemmFloat() / 1e9,
        d.rates().gemmBfloat16() / 1e9);
    line(
        out,
        "memory read",
        "%.1f GB/s on one thread, %.1f GB/s on %d",
        d.rates().readOneThread() / GB,
        d.rates().readAllThreads() / GB,
        d.rates().threads());
    List<String> advice = d.advice();
    out.append(advice.isEmpty() ? "\nNothing to change.\n" : "\nWhat to change:\n");
    advice.forEach(line -> out.append("  - ").append(line).append('\n'));
    return out.toString();
  }

  private static String cores(Diagnosis.Cpu cpu) {
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
