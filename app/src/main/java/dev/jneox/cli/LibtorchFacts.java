package dev.jneox.cli;

import java.util.List;

/**
 * Tells {@code doctor} what libtorch is and does on this machine.
 *
 * @param rates measured
 */
public record LibtorchFacts(Libraries libraries, Cache cache, Rates rates) {
  /**
   * The native code.
   *
   * @param cpuCapability the widest instructions that libtorch found, for example AVX512
   * @param blasPath the file that the BLAS was loaded from; empty if unknown
   */
  public record Libraries(
      String libtorch,
      String oneDnn,
      String openMp,
      String cpuCapability,
      String blas,
      String blasPath) {}

  /**
   * The folder of the unpacked native libraries.
   *
   * @param free bytes free there
   * @param bytes of the libraries
   * @param unused folders with libraries that this version does not load
   */
  public record Cache(String folder, long free, long bytes, List<Unused> unused) {}

  /** A folder that could be deleted. */
  public record Unused(String folder, long bytes) {}

  /**
   * Rates a second: floating-point operations of matrix products on all threads, and bytes read
   * from memory.
   */
  public record Rates(
      double gemmFloat, double gemmBfloat16, double readOneThread, double readAllThreads) {}
}
