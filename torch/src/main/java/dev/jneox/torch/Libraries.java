package dev.jneox.torch;

import dev.jneox.io.NativeLibraries;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.global.torch;

/**
 * The native code under a tensor, as loaded into this process.
 *
 * @param libtorch its version
 * @param oneDnn the version of oneDNN inside libtorch, which multiplies bfloat16 matrices
 * @param openMp the version of OpenMP that libtorch runs its threads with
 * @param cpuCapability the widest instructions libtorch found on this CPU, for example AVX512
 * @param blas the library that multiplies float matrices, with its version
 * @param blasPath the file it was loaded from; empty if unknown
 */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public record Libraries(
    String libtorch,
    String oneDnn,
    String openMp,
    String cpuCapability,
    String blas,
    String blasPath) {
  private static final int VERSION_BYTES = 256;

  /** Starts libtorch, if nobody did, and asks the libraries. */
  public static Libraries loaded() {
    String mkl = path("mkl_rt");
    String openBlas = path("openblas");
    return new Libraries(
        find("TORCH_VERSION=([^,\\s]+)", torch.show_config().getString()),
        find("v(\\S+)", torch.get_mkldnn_version().getString()),
        find(
            "OpenMP (?:\\d+ \\(a\\.k\\.a\\. OpenMP )?([\\d.]+)",
            torch.get_openmp_version().getString()),
        torch.get_cpu_capability().getString(),
        mkl.isEmpty()
            ? openBlas.isEmpty() ? "unknown" : "OpenBLAS " + openBlasVersion(openBlas)
            : "MKL " + mklVersion(mkl),
        mkl.isEmpty() ? openBlas : mkl);
  }

  /**
   * The file of a loaded library, whose name may carry a version, as {@code libmkl_rt.so.2} does;
   * empty if there is none.
   */
  private static String path(String name) {
    NativeLibraries libraries = Libtorch.libraries();
    String prefix = System.mapLibraryName(name).replaceFirst("\\.[a-z]+$", ".");
    return libraries.files().stream()
        .filter(file -> file.startsWith(prefix))
        .map(file -> libraries.folder().resolve(file).toString())
        .findFirst()
        .orElse("");
  }

  /** {@code void mkl_get_version_string(char *buffer, int length)} of Intel MKL. */
  private static String mklVersion(String path) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocate(VERSION_BYTES);
      Linker.nativeLinker()
          .downcallHandle(
              SymbolLookup.libraryLookup(Path.of(path), arena)
                  .findOrThrow("mkl_get_version_string"),
              FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.JAVA_INT))
          .invokeExact(text, VERSION_BYTES - 1);
      return find("Version (\\d[\\w.]*)", text.getString(0));
    } catch (Throwable t) {
      return "of unknown version";
    }
  }

  /** {@code char *openblas_get_config(void)} of OpenBLAS: name, version, options. */
  private static String openBlasVersion(String path) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text =
          (MemorySegment)
              Linker.nativeLinker()
                  .downcallHandle(
                      SymbolLookup.libraryLookup(Path.of(path), arena)
                          .findOrThrow("openblas_get_config"),
                      FunctionDescriptor.of(ValueLayout.ADDRESS))
                  .invokeExact();
      return find("OpenBLAS (\\S+)", text.reinterpret(VERSION_BYTES).getString(0));
    } catch (Throwable t) {
      return "of unknown version";
    }
  }

  private static String find(String pattern, String text) {
    Matcher matcher = Pattern.compile(pattern).matcher(text);
    return matcher.find() ? matcher.group(1) : "unknown";
  }
}
