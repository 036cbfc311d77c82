package dev.jneox.torch;

import dev.jneox.io.InputException;
import dev.jneox.io.NativeLibraries;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URL;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_gloo;

/**
 * Lists the libraries that libtorch's classes need of the jars on the class path, in the order of
 * loading.
 *
 * <p>The classes say so in annotations, which {@link Loader#load(Class)} reads in this order: the
 * classes it builds on, the libraries to load before, its own library. Libraries of the system
 * (CUDA) are left out: those in the jars do not need them.
 */
final class BundledLibraries {
  /** Switches JavaCPP's own loading, and what its classes say of MKL. */
  static final String LOADING = "org.bytedeco.javacpp.loadlibraries";

  private final Properties platform = Loader.loadProperties();
  private final Set<Class<?>> classes = new HashSet<>();
  private final Set<String> files = new HashSet<>();
  private final List<NativeLibraries.Source> sources = new ArrayList<>();

  private BundledLibraries() {}

  /** Takes half a second, for hundreds of names in each jar. */
  static List<NativeLibraries.Source> list() {
    String before = System.setProperty(LOADING, "true");
    try {
      BundledLibraries libraries = new BundledLibraries();
      libraries.add(torch.class);
      if (hasGloo()) {
        libraries.add(torch_gloo.class);
      }
      return libraries.sources;
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException(e);
    } finally {
      if (before == null) {
        System.clearProperty(LOADING);
      } else {
        System.setProperty(LOADING, before);
      }
    }
  }

  /** Returns whether the jars have Gloo, through which processes exchange numbers. */
  static boolean hasGloo() {
    return Loader.getPlatform().startsWith("linux");
  }

  /** Names the list: another platform, version or choice of BLAS makes another. */
  static String name() {
    StringBuilder all = new StringBuilder(System.getProperty("org.bytedeco.openblas.load", ""));
    all.append(hasGloo() ? " gloo" : "");
    String libtorch = "";
    try {
      for (String artifact : List.of("openblas", "mkl", "pytorch")) {
        libtorch = Loader.getVersion("org.bytedeco", artifact, torch.class);
        all.append(' ').append(libtorch);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return "%s-pytorch-%s-%08x"
        .formatted(Loader.getPlatform(), libtorch, all.toString().hashCode());
  }

  private void add(Class<?> type) throws ClassNotFoundException {
    Class<?> top = Loader.getEnclosingClass(type);
    if (!classes.add(top)) {
      return;
    }
    ClassProperties properties = Loader.loadProperties(top, platform, true);
    List<String> basis = properties.get("global");
    if (basis.isEmpty() && properties.getInheritedClasses() != null) {
      basis =
          properties.getInheritedClasses().stream()
              .map(inherited -> ((Class<?>) inherited).getName())
              .toList();
    }
    for (String each : basis) {
      add(Class.forName(each, false, top.getClassLoader()));
    }
    List<String> names = new ArrayList<>(properties.get("platform.preload"));
    names.addAll(properties.get("platform.link"));
    String own = properties.getProperty("platform.library");
    names.add(own);
    for (String name : names) {
      URL[] found = Loader.findLibrary(top, properties, name, false);
      if (found.length == 0 && name.equals(own)) {
        throw new InputException(
            "the class path has no native library "
                + own
                + " of "
                + top.getName()
                + ": expected it in a jar of its artifact for "
                + Loader.getPlatform()
                + ", which is missing or damaged; build or unpack JNeoX again");
      }
      if (found.length > 0 && found[0].getProtocol().equals("jar")) {
        String renamed = found[0].getRef();
        String file =
            renamed == null
                ? found[0].getPath().substring(found[0].getPath().lastIndexOf('/') + 1)
                : renamed;
        if (files.add(file)) {
          sources.add(NativeLibraries.Source.of(file, found[0]));
        }
      }
    }
  }
}
