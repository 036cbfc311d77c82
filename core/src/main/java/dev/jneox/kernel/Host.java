package dev.jneox.kernel;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Describes the machine and the JVM that this process runs on, as far as they decide about speed.
 *
 * @param hugePages Linux's setting for transparent huge pages: always, madvise or never; empty if
 *     unknown
 */
public record Host(Java java, Processor cpu, Memory memory, String hugePages) {

  /** The JVM. */
  public record Java(String version, String vendor, String vm, String home) {}

  /**
   * The CPU.
   *
   * @param instructions those that matter to matrix products, where the system tells
   * @param machineCores cores of the machine
   * @param usableCores cores that this process may use; fewer in a limited container
   * @param threads threads that compute ({@link Cpu#threads})
   * @param vectorBits width of the Vector API's vectors
   * @param machineCode whether inference multiplies in machine code, or in Java
   * @param kernels what inference computes with, see {@link Kernels#description}
   */
  public record Processor(
      String name,
      List<String> instructions,
      int machineCores,
      int usableCores,
      int threads,
      int vectorBits,
      boolean machineCode,
      String kernels) {}

  /**
   * Memory, in bytes.
   *
   * @param machine of the machine
   * @param usable that this process may use; fewer in a limited container
   * @param available that can be had now without swapping
   * @param heap that the Java heap may grow to
   */
  public record Memory(long machine, long usable, long available, long heap) {}

  /** Names of instruction sets in /proc/cpuinfo, and how they are called. */
  private static final Map<String, String> INSTRUCTIONS = new LinkedHashMap<>();

  static {
    INSTRUCTIONS.put("avx2", "AVX2");
    INSTRUCTIONS.put("avx512f", "AVX-512");
    INSTRUCTIONS.put("avx512_bf16", "AVX-512 BF16");
    INSTRUCTIONS.put("avx512_fp16", "AVX-512 FP16");
    INSTRUCTIONS.put("avx512_vnni", "AVX-512 VNNI");
    INSTRUCTIONS.put("avx_vnni", "AVX VNNI");
    INSTRUCTIONS.put("amx_bf16", "AMX BF16");
    INSTRUCTIONS.put("amx_fp16", "AMX FP16");
    INSTRUCTIONS.put("amx_int8", "AMX INT8");
    INSTRUCTIONS.put("asimd", "NEON");
    INSTRUCTIONS.put("sve", "SVE");
    INSTRUCTIONS.put("bf16", "BF16");
    INSTRUCTIONS.put("i8mm", "I8MM");
  }

  /** Reads what the JVM and, under Linux, the kernel say. */
  public static Host read() {
    OperatingSystemMXBean system = system();
    return new Host(
        new Java(
            System.getProperty("java.runtime.version"),
            System.getProperty("java.vendor"),
            System.getProperty("java.vm.name"),
            System.getProperty("java.home")),
        cpu(
            text("/proc/cpuinfo"),
            Runtime.getRuntime().availableProcessors(),
            Cpu.threads(),
            Kernels.vectorBits(),
            Kernels.machineCode(),
            Kernels.description()),
        memory(
            text("/proc/meminfo"),
            system.getTotalMemorySize(),
            system.getFreeMemorySize(),
            Runtime.getRuntime().maxMemory()),
        find("\\[(\\w+)]", text("/sys/kernel/mm/transparent_hugepage/enabled"), ""));
  }

  /**
   * Measures for half a second which share of the CPU other processes take, 0 to 1.
   *
   * @throws InterruptedException when the thread is interrupted meanwhile
   */
  public static double otherLoad() throws InterruptedException {
    OperatingSystemMXBean system = system();
    system.getCpuLoad();
    system.getProcessCpuLoad();
    Thread.sleep(500); // both loads are those since the call before
    return Math.max(0, system.getCpuLoad() - Math.max(0, system.getProcessCpuLoad()));
  }

  private static OperatingSystemMXBean system() {
    return (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
  }

  /**
   * @param cpuinfo the text of Linux's /proc/cpuinfo; empty elsewhere
   */
  static Processor cpu(
      String cpuinfo,
      int usableCores,
      int threads,
      int vectorBits,
      boolean machineCode,
      String kernels) {
    List<String> flags =
        List.of(find("(?m)^(?:flags|Features)\\s*: (.*)$", cpuinfo, "").split(" "));
    int cores = (int) cpuinfo.lines().filter(line -> line.matches("processor\\s*:.*")).count();
    return new Processor(
        find("(?m)^(?:model name|Hardware)\\s*: (.*)$", cpuinfo, System.getProperty("os.arch")),
        INSTRUCTIONS.entrySet().stream()
            .filter(entry -> flags.contains(entry.getKey()))
            .map(Map.Entry::getValue)
            .toList(),
        Math.max(cores, usableCores),
        usableCores,
        threads,
        vectorBits,
        machineCode,
        kernels);
  }

  /**
   * @param meminfo the text of Linux's /proc/meminfo; empty elsewhere
   * @param usable the total that the JVM sees, which heeds a container's limit
   * @param free what the JVM calls free: without the file cache, which could be had too
   */
  static Memory memory(String meminfo, long usable, long free, long heap) {
    long machine = kilobytes(meminfo, "MemTotal", usable);
    boolean limited = usable < machine;
    return new Memory(
        machine, usable, limited ? free : kilobytes(meminfo, "MemAvailable", free), heap);
  }

  private static long kilobytes(String meminfo, String name, long otherwise) {
    String value = find("(?m)^" + name + ":\\s*(\\d+) kB", meminfo, "");
    return value.isEmpty() ? otherwise : Long.parseLong(value) * 1024;
  }

  private static String text(String file) {
    try {
      return Files.readString(Path.of(file));
    } catch (IOException e) {
      return ""; // not Linux, or hidden: the reader does without
    }
  }

  private static String find(String pattern, String text, String otherwise) {
    Matcher matcher = Pattern.compile(pattern).matcher(text);
    return matcher.find() ? matcher.group(1).strip() : otherwise;
  }
}
