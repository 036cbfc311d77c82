package dev.jneox.cli;

import dev.jneox.io.ByteSize;
import dev.jneox.io.StorageException;
import dev.jneox.kernel.Host;
import dev.jneox.kernel.MemoryRate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * What a machine gives this program, and what could be changed so that it gives more. Bytes are
 * bytes, rates a second.
 *
 * @param libtorch empty where the class path has none
 * @param overridden variables of launch.conf that the user has set to something else: name to the
 *     user's value
 * @param otherLoad the share of the CPU, 0 to 1, that was busy before anything was measured
 */
record Diagnosis(
    Host host,
    Work work,
    Optional<LibtorchFacts> libtorch,
    Read read,
    Map<String, String> overridden,
    double otherLoad) {

  /**
   * The folder the user works in.
   *
   * @param free bytes free there
   */
  record Work(String folder, long free) {}

  /** Bytes/s read from memory. */
  record Read(double oneThread, double allThreads) {}

  private static final double GB = 1e9;

  /** Looks at everything and measures; takes about six seconds. */
  static Diagnosis make(Relaunch launch) throws InterruptedException {
    double load = Host.otherLoad();
    Host host = Host.read();
    Optional<LibtorchFacts> libtorch = Commands.ask(CommandModule::libtorch);
    return new Diagnosis(
        host,
        currentFolder(),
        libtorch,
        libtorch.map(facts -> read(facts.rates())).orElseGet(() -> read(host.cpu().threads())),
        overridden(launch, System.getenv()),
        load);
  }

  private static Work currentFolder() {
    Path folder = Path.of("").toAbsolutePath();
    try {
      return new Work(folder.toString(), Files.getFileStore(folder).getUsableSpace());
    } catch (IOException e) {
      throw StorageException.of(folder, "cannot be read", e);
    }
  }

  private static Read read(LibtorchFacts.Rates rates) {
    return new Read(rates.readOneThread(), rates.readAllThreads());
  }

  private static Read read(int threads) {
    double[] rates = MemoryRate.measure(1, threads);
    return new Read(rates[0], rates[1]);
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

  /**
   * One line for each thing that is not best: what it is, and what to change. Empty when there is
   * nothing to gain.
   */
  List<String> advice() {
    Host.Processor cpu = host.cpu();
    Host.Memory memory = host.memory();
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
    if (cpu.usableCores() < cpu.machineCores()) {
      advice.add(
          text(
              "%d of the machine's %d cores may be used: raise the container's CPU limit",
              cpu.usableCores(), cpu.machineCores()));
    }
    if (cpu.threads() < cpu.usableCores()) {
      advice.add(
          text(
              "OMP_NUM_THREADS=%d leaves some of the %d cores idle: unset it",
              cpu.threads(), cpu.usableCores()));
    }
    if (cpu.threads() > cpu.usableCores()) {
      advice.add(
          text(
              "OMP_NUM_THREADS=%d is more than the %d usable cores: unset it",
              cpu.threads(), cpu.usableCores()));
    }
    if (cpu.instructions().contains("AVX2") && !cpu.machineCode()) {
      advice.add(
          "inference multiplies in Java, at a third of the rate of machine code: run on Linux where"
              + " a process may make memory executable");
    }
    if (cpu.instructions().contains("AVX-512") && cpu.vectorBits() < 512) {
      advice.add(
          text(
              "the JVM computes with %d-bit vectors though the CPU has AVX-512: set"
                  + " JNEOX_JAVA_OPTS=-XX:UseAVX=3",
              cpu.vectorBits()));
    }
    if (!Stream.of("HotSpot", "OpenJDK").anyMatch(host.java().vm()::contains)) {
      advice.add(
          text(
              "%s may run Vector API code slowly: use a JDK with HotSpot, for example from"
                  + " https://adoptium.net",
              host.java().vm()));
    }
    if (memory.usable() < memory.machine()) {
      advice.add(
          text(
              "%.1f of the machine's %.1f GB of memory may be used: raise the container's limit",
              memory.usable() / GB, memory.machine() / GB));
    }
    if (memory.available() < 4 * GB) {
      advice.add(
          text(
              "%.1f GB of memory are available: the demo takes about 3, larger models more; close"
                  + " other programs",
              memory.available() / GB));
    }
    if (work.free < 5 * GB) {
      advice.add(
          text(
              "%.1f GB are free in %s: data sets and checkpoints need more; work on a larger disk",
              work.free / GB, work.folder));
    }
    libtorch.ifPresent(facts -> advise(facts.cache(), advice));
    if (host.hugePages().equals("never")) {
      advice.add(
          "huge pages are off and large tensors pay for it: echo madvise | sudo tee"
              + " /sys/kernel/mm/transparent_hugepage/enabled");
    }
    libtorch.ifPresent(facts -> advise(facts, advice));
    return advice;
  }

  private static void advise(LibtorchFacts.Cache cache, List<String> advice) {
    if (cache.free() < GB) {
      advice.add(
          text(
              "%.1f GB are free in %s for the native libraries: set JNEOX_NATIVES to a folder on a"
                  + " larger disk",
              cache.free() / GB, cache.folder()));
    }
    cache
        .unused()
        .forEach(
            old ->
                advice.add(
                    text(
                        "%s in %s are libraries that this version does not load: delete it if"
                            + " no other program does",
                        ByteSize.text(old.bytes()), old.folder())));
  }

  private static void advise(LibtorchFacts facts, List<String> advice) {
    String blas = facts.libraries().blas();
    if (!blas.startsWith("MKL") && System.getProperty("os.arch").equals("amd64")) {
      advice.add(
          text(
              "%s multiplies float matrices; MKL trains faster on x86: start with %s",
              blas, Launcher.command()));
    }
    if (facts.rates().gemmBfloat16() < facts.rates().gemmFloat()) {
      advice.add(
          "bfloat16 gains nothing on this CPU, where fp32 carries its numbers: train with --set"
              + " precision=fp32");
    }
  }

  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
