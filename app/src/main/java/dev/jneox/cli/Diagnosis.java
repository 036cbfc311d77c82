package dev.jneox.cli;

import com.sun.management.OperatingSystemMXBean;
import dev.jneox.kernel.Kernels;
import dev.jneox.torch.Libraries;
import dev.jneox.torch.Libtorch;
import dev.jneox.torch.Machine;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What a machine gives this program, and what could be changed so that it gives more. Bytes are
 * bytes, rates a second.
 *
 * @param overridden variables of launch.conf that the user has set to something else: name to the
 *     user's value
 * @param otherLoad the share of the CPU, 0 to 1, that was busy before anything was measured
 * @param hugePages Linux's setting for transparent huge pages: always, madvise or never; empty if
 *     unknown
 */
record Diagnosis(
    Java java,
    Cpu cpu,
    Memory memory,
    Disk disk,
    Libraries libraries,
    Machine rates,
    Map<String, String> overridden,
    double otherLoad,
    String hugePages) {

  record Java(String version, String vendor, String vm, String home) {}

  /**
   * @param instructions those that matter to matrix products, where the system tells
   * @param machineCores cores of the machine
   * @param usableCores cores that this process may use; fewer in a limited container
   * @param threads threads that compute
   * @param vectorBits width of the Vector API's vectors
   * @param machineCode whether inference multiplies in machine code, or in Java
   * @param kernels what inference computes with, see {@link Kernels#description}
   */
  record Cpu(
      String name,
      List<String> instructions,
      int machineCores,
      int usableCores,
      int threads,
      int vectorBits,
      boolean machineCode,
      String kernels) {}

  /**
   * @param machine bytes of the machine
   * @param usable bytes that this process may use; fewer in a limited container
   * @param available bytes that can be had now without swapping
   * @param heap bytes that the Java heap may grow to
   */
  record Memory(long machine, long usable, long available, long heap) {}

  /**
   * @param work the folder the user works in
   * @param workFree bytes free there
   * @param cache the folder of the unpacked native libraries
   * @param cacheFree bytes free there
   * @param cacheBytes bytes of the libraries
   * @param unused folders with libraries that this version does not load
   */
  record Disk(
      String work,
      long workFree,
      String cache,
      long cacheFree,
      long cacheBytes,
      List<Unused> unused) {}

  record Unused(String folder, long bytes) {}

  private static final double GB = 1e9;

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

  /** Looks at everything and measures; takes about six seconds. */
  static Diagnosis make(Relaunch launch) throws IOException, InterruptedException {
    OperatingSystemMXBean system =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    double load = otherLoad(system);
    Path work = Path.of("").toAbsolutePath();
    Libtorch.startVerified();
    Path cache = Libtorch.libraries().folder();
    // Where they were unpacked by JavaCPP itself.
    Path javaCpp = Path.of(System.getProperty("user.home"), ".javacpp", "cache");
    return new Diagnosis(
        new Java(
            System.getProperty("java.runtime.version"),
            System.getProperty("java.vendor"),
            System.getProperty("java.vm.name"),
            System.getProperty("java.home")),
        cpu(
            read("/proc/cpuinfo"),
            Runtime.getRuntime().availableProcessors(),
            dev.jneox.kernel.Cpu.threads(),
            Kernels.vectorBits(),
            Kernels.machineCode(),
            Kernels.description()),
        memory(
            read("/proc/meminfo"),
            system.getTotalMemorySize(),
            system.getFreeMemorySize(),
            Runtime.getRuntime().maxMemory()),
        new Disk(
            work.toString(),
            Files.getFileStore(work).getUsableSpace(),
            cache.toString(),
            Files.getFileStore(cache).getUsableSpace(),
            bytes(cache),
            unused(cache, javaCpp)),
        Libraries.loaded(),
        Machine.measure(),
        overridden(launch, System.getenv()),
        load,
        find("\\[(\\w+)]", read("/sys/kernel/mm/transparent_hugepage/enabled"), ""));
  }

  private static List<Unused> unused(Path cache, Path javaCpp) throws IOException {
    List<Unused> unused = new ArrayList<>();
    try (Stream<Path> beside = Files.list(cache.getParent())) {
      for (Path folder :
          (Iterable<Path>)
              Stream.concat(beside, Stream.of(javaCpp)).filter(Files::isDirectory)::iterator) {
        String platform = cache.getFileName().toString().replaceFirst("-pytorch-.*", "-pytorch-");
        boolean other =
            folder.equals(javaCpp)
                || folder.getFileName().toString().startsWith(platform) && !folder.equals(cache);
        if (other) {
          unused.add(new Unused(folder.toString(), bytes(folder)));
        }
      }
    }
    return unused;
  }

  private static long bytes(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(file -> Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS))
          .mapToLong(file -> file.toFile().length())
          .sum();
    }
  }

  /** The share of the CPU that other processes took for half a second. */
  private static double otherLoad(OperatingSystemMXBean system) throws InterruptedException {
    system.getCpuLoad();
    system.getProcessCpuLoad();
    Thread.sleep(500); // both loads are those since the call before
    return Math.max(0, system.getCpuLoad() - Math.max(0, system.getProcessCpuLoad()));
  }

  /**
   * @param cpuinfo the text of Linux's /proc/cpuinfo; empty elsewhere
   */
  static Cpu cpu(
      String cpuinfo,
      int usableCores,
      int threads,
      int vectorBits,
      boolean machineCode,
      String kernels) {
    List<String> flags =
        List.of(find("(?m)^(?:flags|Features)\\s*: (.*)$", cpuinfo, "").split(" "));
    int cores = (int) cpuinfo.lines().filter(line -> line.matches("processor\\s*:.*")).count();
    return new Cpu(
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

  static Map<String, String> overridden(Relaunch launch, Map<String, String> environment) {
    Map<String, String> overridden = new TreeMap<>();
    launch
        .environment()
        .forEach(
            (name, ours) -> {
              String value = environment.get(name);
              if (value != null && !value.equals(ours)) {
                overridden.put(name, value);
              }
            });
    return overridden;
  }

  private static String read(String file) {
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

  /**
   * One line for each thing that is not best: what it is, and what to change. Empty when there is
   * nothing to gain.
   */
  List<String> advice() {
    List<String> advice = new ArrayList<>();
    if (otherLoad > 0.2) {
      advice.add(
          text(
              "other programs keep %.0f %% of the CPU busy: the rates above are what is left; stop"
                  + " them and look again",
              100 * otherLoad));
    }
    overridden.forEach(
        (name, value) ->
            advice.add(
                text(
                    "%s=%s is set in your environment and replaces our setting: unset it",
                    name, value)));
    if (cpu.usableCores < cpu.machineCores) {
      advice.add(
          text(
              "%d of the machine's %d cores may be used: raise the container's CPU limit",
              cpu.usableCores, cpu.machineCores));
    }
    if (cpu.threads < cpu.usableCores) {
      advice.add(
          text(
              "OMP_NUM_THREADS=%d leaves some of the %d cores idle: unset it",
              cpu.threads, cpu.usableCores));
    }
    if (cpu.threads > cpu.usableCores) {
      advice.add(
          text(
              "OMP_NUM_THREADS=%d is more than the %d usable cores: unset it",
              cpu.threads, cpu.usableCores));
    }
    if (cpu.instructions.contains("AVX2") && !cpu.machineCode) {
      advice.add(
          "inference multiplies in Java, at a third of the rate of machine code: run on Linux where"
              + " a process may make memory executable");
    }
    if (cpu.instructions.contains("AVX-512") && cpu.vectorBits < 512) {
      advice.add(
          text(
              "the JVM computes with %d-bit vectors though the CPU has AVX-512: set"
                  + " JNEOX_JAVA_OPTS=-XX:UseAVX=3",
              cpu.vectorBits));
    }
    if (!Stream.of("HotSpot", "OpenJDK").anyMatch(java.vm::contains)) {
      advice.add(
          text(
              "%s may run Vector API code slowly: use a JDK with HotSpot, for example from"
                  + " https://adoptium.net",
              java.vm));
    }
    if (memory.usable < memory.machine) {
      advice.add(
          text(
              "%.1f of the machine's %.1f GB of memory may be used: raise the container's limit",
              memory.usable / GB, memory.machine / GB));
    }
    if (memory.available < 4 * GB) {
      advice.add(
          text(
              "%.1f GB of memory are available: the demo takes about 3, larger models more; close"
                  + " other programs",
              memory.available / GB));
    }
    if (disk.workFree < 5 * GB) {
      advice.add(
          text(
              "%.1f GB are free in %s: data sets and checkpoints need more; work on a larger disk",
              disk.workFree / GB, disk.work));
    }
    if (disk.cacheFree < GB) {
      advice.add(
          text(
              "%.1f GB are free in %s for the native libraries: set JNEOX_NATIVES to a folder on a"
                  + " larger disk",
              disk.cacheFree / GB, disk.cache));
    }
    disk.unused.forEach(
        old ->
            advice.add(
                text(
                    "%.1f GB in %s are libraries that this version does not load: delete it if no"
                        + " other program does",
                    old.bytes / GB, old.folder)));
    if (hugePages.equals("never")) {
      advice.add(
          "huge pages are off and large tensors pay for it: echo madvise | sudo tee"
              + " /sys/kernel/mm/transparent_hugepage/enabled");
    }
    if (!libraries.blas().startsWith("MKL") && System.getProperty("os.arch").equals("amd64")) {
      advice.add(
          text(
              "%s multiplies float matrices; MKL trains faster on x86: start with ./jneox",
              libraries.blas()));
    }
    if (rates.gemmBfloat16() < rates.gemmFloat()) {
      advice.add(
          "bfloat16 gains nothing on this CPU, where fp32 carries its numbers: train with --set"
              + " precision=fp32");
    }
    return advice;
  }

  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
