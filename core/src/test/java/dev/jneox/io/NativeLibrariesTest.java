package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Unpacks the small files of a jar made for the purpose. */
class NativeLibrariesTest {
  @TempDir private Path dir;
  private Path home;
  private Path jar;
  private long user;
  private final AtomicInteger asked = new AtomicInteger();

  @BeforeEach
  void prepare() throws IOException {
    dir = dir.toRealPath();
    home = dir.resolve("cache/jneox/natives");
    jar = dir.resolve("natives.jar");
    user = ((Number) Files.getAttribute(dir, "unix:uid")).longValue();
    makeJar(NativeLibrariesTest::content);
  }

  private void makeJar(Function<String, byte[]> content) throws IOException {
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream entries = new JarOutputStream(out)) {
      for (String name : List.of("liba.so.1", "libb.so")) {
        entries.putNextEntry(new JarEntry("native/" + name));
        entries.write(content.apply(name));
      }
    }
  }

  @Test
  void theFolderIsPrivateAndHoldsTheFilesOfTheJarUnderTheirNewNames() throws IOException {
    NativeLibraries libraries = unpack();
    assertThat(libraries.folder()).isEqualTo(home.resolve("some-1"));
    assertThat(libraries.files()).containsExactly("liba.so.1", "libblas.so", "libb.so");
    assertThat(libraries.folder().resolve("libblas.so")).hasBinaryContent(content("liba.so.1"));
    assertThat(libraries.folder().resolve("libb.so")).hasBinaryContent(content("libb.so"));
    assertThat(mode(home)).isEqualTo("rwx------");
    assertThat(mode(libraries.folder())).isEqualTo("rwx------");
    assertThat(names(libraries.folder()))
        .containsExactlyInAnyOrder("liba.so.1", "libblas.so", "libb.so", "manifest");
    assertThat(names(home)).containsExactly("some-1");
  }

  @Test
  void aSecondStartOpensNoJar() {
    NativeLibraries first = unpack();
    assertThat(unpack()).isEqualTo(first);
    assertThat(asked).hasValue(1);
  }

  @Test
  void aDamagedFileIsUnpackedAgainAndTheOthersAreNot() throws IOException {
    Path folder = unpack().folder();
    Object kept = Files.getAttribute(folder.resolve("liba.so.1"), "unix:ino");
    byte[] bytes = content("libb.so");
    FileTime time = Files.getLastModifiedTime(folder.resolve("libb.so"));
    bytes[bytes.length / 2] ^= 4;
    Files.write(folder.resolve("libb.so"), bytes);
    Files.setLastModifiedTime(folder.resolve("libb.so"), time);
    assertThat(said(this::unpack).lines())
        .singleElement()
        .asString()
        .contains("libb.so: damaged: expected CRC-32 ")
        .endsWith("to be unpacked again");
    assertThat(folder.resolve("libb.so")).hasBinaryContent(content("libb.so"));
    assertThat(Files.getAttribute(folder.resolve("liba.so.1"), "unix:ino")).isEqualTo(kept);
    assertThat(said(this::unpack)).isEmpty();
  }

  @Test
  void aCutOrMissingOrReplacedFileIsUnpackedAgain() throws IOException {
    Path folder = unpack().folder();
    Files.write(folder.resolve("libb.so"), new byte[3]);
    Files.delete(folder.resolve("liba.so.1"));
    Files.delete(folder.resolve("libblas.so"));
    Files.createSymbolicLink(folder.resolve("libblas.so"), Path.of("libb.so"));
    assertThat(said(this::unpack)).contains("libb.so: damaged: expected 100000 bytes, found 3");
    assertThat(folder.resolve("libb.so")).hasBinaryContent(content("libb.so"));
    assertThat(folder.resolve("liba.so.1")).hasBinaryContent(content("liba.so.1"));
    assertThat(folder.resolve("libblas.so")).isRegularFile().hasBinaryContent(content("liba.so.1"));
    assertThat(Files.isSymbolicLink(folder.resolve("libblas.so"))).isFalse();
  }

  /** A copied home has other inodes and times. */
  @Test
  void filesThatAreOnlyNewerAreComparedWithTheJarAndKept() throws IOException {
    Path file = unpack().folder().resolve("libb.so");
    Object inode = Files.getAttribute(file, "unix:ino");
    Files.setLastModifiedTime(file, FileTime.fromMillis(0));
    assertThat(said(this::unpack)).isEmpty();
    assertThat(asked).hasValue(2);
    assertThat(Files.getAttribute(file, "unix:ino")).isEqualTo(inode);
    unpack();
    assertThat(asked).hasValue(2);
  }

  @Test
  void aBrokenManifestIsWrittenAnew() throws IOException {
    Path manifest = unpack().folder().resolve("manifest");
    String whole = Files.readString(manifest);
    for (String text :
        List.of(
            "",
            "x\n",
            whole.substring(0, whole.indexOf('\n') + 1),
            "end",
            "zz liba.so.1 1 2 3\nend",
            "ff nothere 1 2 3\nend",
            "\0")) {
      Files.writeString(manifest, text);
      unpack();
      assertThat(manifest).content().hasLineCount(4);
    }
  }

  /** Damage of the disk changes neither size nor times: here the jar differs instead. */
  @Test
  void verifyingFindsWhatTheFileSystemDoesNotShow() throws IOException {
    Path folder = unpack().folder();
    makeJar(
        name -> {
          byte[] bytes = content(name);
          bytes[0] ^= (byte) (name.equals("libb.so") ? 1 : 0);
          return bytes;
        });
    assertThat(said(this::unpack)).isEmpty();
    assertThat(
            said(() -> NativeLibraries.unpacked(home, "some-1", this::sources, user, true)).lines())
        .singleElement()
        .asString()
        .contains("libb.so: damaged: expected CRC-32 ");
    assertThat(Files.readAllBytes(folder.resolve("libb.so"))).isNotEqualTo(content("libb.so"));
  }

  @Test
  void whatAKilledProcessLeftIsRemoved() throws IOException {
    Path folder = unpack().folder();
    Files.delete(folder.resolve("manifest"));
    Files.createFile(folder.resolve("libb.so.123.partial"));
    unpack();
    assertThat(names(folder)).noneMatch(name -> name.endsWith(".partial"));
  }

  @Test
  void manyAtOnceUnpackOnce() throws Exception {
    List<Future<NativeLibraries>> all = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(8)) {
      for (int i = 0; i < 8; i++) {
        all.add(pool.submit(this::unpack));
      }
    }
    for (Future<NativeLibraries> each : all) {
      assertThat(each.get().files()).hasSize(3);
    }
    assertThat(asked).hasValue(1);
  }

  @Test
  void aWaitingProcessSaysForWhich() throws Exception {
    Files.createDirectories(
        home, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    String said;
    try (ExecutorService pool = Executors.newFixedThreadPool(1)) {
      TargetLock lock = pool.submit(() -> TargetLock.take(home.resolve("some-1"))).get();
      pool.submit(
          () -> {
            Thread.sleep(300);
            lock.close();
            return null;
          });
      said = said(this::unpack);
    }
    assertThat(said)
        .startsWith(
            "jneox: waiting for this process to unpack native libraries into "
                + home.resolve("some-1")
                + "\n");
  }

  @Test
  void aFolderThatOthersCanWriteIsRefused() throws IOException {
    Path folder = unpack().folder();
    for (String mode : List.of("rwxrwxrwx", "rwxrwx---", "rwx---rwx")) {
      Files.setPosixFilePermissions(home, PosixFilePermissions.fromString(mode));
      assertThatThrownBy(this::unpack)
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(home + ": ")
          .hasMessageContaining("chmod 700");
    }
    Files.setPosixFilePermissions(home, PosixFilePermissions.fromString("rwxr-xr-x"));
    unpack();
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
    assertThatThrownBy(this::unpack)
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(folder + ": ")
        .hasMessageContaining("is 0755");
  }

  @Test
  void aFolderOfAnotherUserIsRefused() {
    unpack();
    assertThatThrownBy(
            () -> NativeLibraries.unpacked(home, "some-1", this::sources, user + 1, false))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(home + ": ")
        .hasMessageContaining("owned by")
        .hasMessageContaining("JNEOX_NATIVES");
  }

  @Test
  void aLinkInPlaceOfTheFolderIsRefused() throws IOException {
    Path folder = unpack().folder();
    Path elsewhere = Files.move(folder, dir.resolve("elsewhere"));
    Files.createSymbolicLink(folder, elsewhere);
    assertThatThrownBy(this::unpack)
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(folder + ": ")
        .hasMessageContaining("link");
  }

  @Test
  void aHomeThatCannotBeMadeIsSaidInOneLineWithTheNeed() throws IOException {
    Files.createFile(dir.resolve("cache"));
    assertThatThrownBy(this::unpack)
        .isInstanceOf(StorageException.class)
        .hasMessageStartingWith(home + ": native libraries (1 MB) cannot be unpacked: ")
        .hasMessageContaining("set JNEOX_NATIVES to");
    Path file = dir.resolve("cache");
    assertThatThrownBy(() -> NativeLibraries.unpacked(file, "some-1", this::sources, user, false))
        .hasMessage(
            file
                + ": native libraries (1 MB) cannot be unpacked: expected a folder, found a file:"
                + " set JNEOX_NATIVES to a folder on another file system");
  }

  @Test
  void aHomeThatIsTooSmallIsSaidBeforeAnythingIsWritten() throws IOException {
    Supplier<List<NativeLibraries.Source>> vast =
        () ->
            sources().stream()
                .map(
                    source ->
                        new NativeLibraries.Source(
                            source.file(), 1L << 60, source.crc(), source.content()))
                .toList();
    assertThatThrownBy(() -> NativeLibraries.unpacked(home, "some-1", vast, user, false))
        .isInstanceOf(StorageException.class)
        .hasMessageStartingWith(
            home.resolve("some-1") + ": native libraries need 3458764513821 MB, ")
        .hasMessageContaining(" MB are free: make room, or set JNEOX_NATIVES to");
    assertThat(names(home.resolve("some-1"))).isEmpty();
  }

  @Test
  void aDamagedJarLeavesNothing() {
    Supplier<List<NativeLibraries.Source>> wrong =
        () ->
            sources().stream()
                .map(
                    source ->
                        new NativeLibraries.Source(
                            source.file(), source.bytes(), source.crc() ^ 1, source.content()))
                .toList();
    assertThatThrownBy(() -> NativeLibraries.unpacked(home, "some-1", wrong, user, false))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("natives.jar")
        .hasMessageContaining("damaged: expected CRC-32");
    assertThat(home.resolve("some-1")).isEmptyDirectory();
  }

  @Test
  void whatIsNoLibraryIsSaidInOneLine() {
    NativeLibraries libraries = unpack();
    assertThatThrownBy(libraries::load)
        .isInstanceOf(StorageException.class)
        .hasMessageStartingWith(
            libraries.folder() + ": native libraries cannot be loaded from here: liba.so.1: ");
  }

  @Test
  void theHomeIsTheUsersChoiceOrInHisFolderForCaches() {
    assertThat(
            NativeLibraries.home(
                Map.of("JNEOX_NATIVES", "/n", "XDG_CACHE_HOME", "/x"), "Linux", "/u"))
        .isEqualTo(Path.of("/n"));
    assertThat(NativeLibraries.home(Map.of("XDG_CACHE_HOME", "/x", "HOME", "/h"), "Linux", "/u"))
        .isEqualTo(Path.of("/x/jneox/natives"));
    assertThat(NativeLibraries.home(Map.of("XDG_CACHE_HOME", "x", "HOME", "/h"), "Linux", "/u"))
        .isEqualTo(Path.of("/h/.cache/jneox/natives"));
    assertThat(NativeLibraries.home(Map.of("JNEOX_NATIVES", ""), "Linux", "/u"))
        .isEqualTo(Path.of("/u/.cache/jneox/natives"));
    assertThat(NativeLibraries.home(Map.of("HOME", "/h"), "Mac OS X", "/u"))
        .isEqualTo(Path.of("/h/Library/Caches/jneox/natives"));
  }

  private NativeLibraries unpack() {
    return NativeLibraries.unpacked(home, "some-1", this::sources, user, false);
  }

  private List<NativeLibraries.Source> sources() {
    asked.incrementAndGet();
    return Stream.of("liba.so.1", "liba.so.1#libblas.so", "libb.so")
        .map(name -> NativeLibraries.Source.of(name.substring(name.indexOf('#') + 1), url(name)))
        .toList();
  }

  private URL url(String name) {
    try {
      return URI.create("jar:" + jar.toUri() + "!/native/" + name).toURL();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static byte[] content(String name) {
    return (name + "\n")
        .repeat(100_000 / (name.length() + 1) + 1)
        .substring(0, 100_000)
        .getBytes(StandardCharsets.UTF_8);
  }

  private static String mode(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> all = Files.list(folder)) {
      return all.map(path -> path.getFileName().toString()).toList();
    }
  }

  private static String said(Runnable action) {
    PrintStream before = System.err;
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
    try {
      action.run();
    } finally {
      System.setErr(before);
    }
    return err.toString(StandardCharsets.UTF_8);
  }
}
