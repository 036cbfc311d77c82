package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.NativeLibraries;
import java.io.IOException;
import java.util.List;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("slow")
class BundledLibrariesTest {
  @Test
  void theListEndsWithWhatNeedsAllOthers() {
    List<String> files =
        BundledLibraries.list().stream().map(NativeLibraries.Source::file).toList();
    assertThat(files)
        .doesNotHaveDuplicates()
        .first()
        .isEqualTo(System.mapLibraryName("jnijavacpp"));
    assertThat(files)
        .contains(System.mapLibraryName("torch_cpu"), System.mapLibraryName("c10"))
        .endsWith(
            BundledLibraries.hasGloo()
                ? new String[] {
                  System.mapLibraryName("jnitorch"), System.mapLibraryName("jnitorch_gloo")
                }
                : new String[] {System.mapLibraryName("jnitorch")});
  }

  @Test
  void theNameSaysPlatformAndVersion() {
    assertThat(BundledLibraries.name())
        .startsWith(Loader.getPlatform() + "-pytorch-2.")
        .matches("[A-Za-z0-9_.-]+-[0-9a-f]{8}");
  }

  /** What it loads, it also searches and unpacks where others may write. */
  @Test
  void javaCppItselfLoadsNothing() throws IOException {
    Libtorch.start();
    assertThat(Loader.getLoadedLibraries()).isEmpty();
    assertThat(Libtorch.libraries().folder().getParent())
        .isEqualTo(NativeLibraries.home().toRealPath());
    assertThat(Libtorch.libraries().files())
        .isEqualTo(BundledLibraries.list().stream().map(NativeLibraries.Source::file).toList());
    assertThat(Loader.isLoadLibraries()).isFalse();
  }
}
