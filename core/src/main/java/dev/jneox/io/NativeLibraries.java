package dev.jneox.io;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.JarURLConnection;
import java.net.MalformedURLException;
import java.net.URI;
import java.net.URL;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;

/**
 * Unpacks the native libraries of jars once, into a folder that only this user can write, and loads
 * them from there.
 *
 * <p>The folder is a child of {@link #home()}. Each file is written under a temporary name and
 * moved into place, under a {@link TargetLock}. A manifest, written last, lists every file with its
 * CRC-32 and with its size, times and inode. A start compares the latter. Where they differ, it
 * compares the content with the jar and unpacks a damaged file again.
 *
 * @param folder an absolute path; its owner is this user, its mode 0700
 * @param files names in the folder, in the order in which the libraries are loaded
 */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public record NativeLibraries(Path folder, List<String> files) {
  /**
   * The environment variable that names the folder of all unpacked libraries. Messages suggest it
   * too.
   */
  private static final String VARIABLE = "JNEOX_NATIVES";

  private static final String MOVE = "set " + VARIABLE + " to a folder on another file system";
  private static final String MANIFEST = "manifest";
  private static final String END = "end"; // last line of a manifest
  private static final String PARTIAL = ".partial";

  /** Bytes that take more than a second to unpack, and are therefore announced. */
  private static final long NOTABLE = 100_000_000;

  private static final boolean POSIX =
      Path.of("").getFileSystem().supportedFileAttributeViews().contains("unix");
  private static final int OTHERS_WRITE = 0022;
  private static final int OTHERS = 0077;

  /**
   * Describes a library in a jar.
   *
   * @param file the name it is unpacked under
   * @param bytes its size, unpacked
   * @param crc CRC-32 of its content, from the jar
   * @param content the URL of the entry in the jar
   */
  public record Source(String file, long bytes, long crc, URL content) {
    /** Looks up an entry of a jar. A fragment of the URL is ignored. */
    public static Source of(String file, URL content) {
      try {
        JarURLConnection connection = connection(content);
        try (JarFile _ = connection.getJarFile()) {
          JarEntry entry = connection.getJarEntry();
          return new Source(file, entry.getSize(), entry.getCrc(), content);
        }
      } catch (IOException e) {
        throw StorageException.ofStream(content.toString(), "cannot be read", e);
      }
    }

    private InputStream open() throws IOException {
      return connection(content).getInputStream();
    }

    private static JarURLConnection connection(URL content) throws IOException {
      try {
        JarURLConnection connection =
            (JarURLConnection)
                URI.create(content.toString().split("#")[0]).toURL().openConnection();
        connection.setUseCaches(false); // the jar is closed with the stream
        return connection;
      } catch (MalformedURLException e) {
        throw new IllegalArgumentException(e);
      }
    }
  }

  /**
   * Holds one line of the manifest.
   *
   * @param file name in the folder
   * @param crc CRC-32 of the content
   * @param stamp size, times and inode after the file was unpacked
   */
  private record Entry(String file, long crc, String stamp) {
    static Entry parse(String line) {
      String[] words = line.split(" ", 3);
      if (words.length != 3) {
        throw new NumberFormatException(line);
      }
      return new Entry(words[1], Long.parseLong(words[0], 16), words[2]);
    }

    String line() {
      return "%08x %s %s\n".formatted(crc, file, stamp);
    }
  }

  /**
   * Returns the folder of all unpacked libraries, which need not exist. It is {@code
   * JNEOX_NATIVES}, else {@code jneox/natives} in the user's folder for caches: {@code
   * XDG_CACHE_HOME} or {@code ~/.cache}, on macOS {@code ~/Library/Caches}, on Windows {@code
   * LOCALAPPDATA}.
   */
  public static Path home() {
    return home(System.getenv(), System.getProperty("os.name"), System.getProperty("user.home"));
  }

  static Path home(Map<String, String> environment, String system, String userHome) {
    String chosen = environment.getOrDefault(VARIABLE, "");
    if (!chosen.isBlank()) {
      return Path.of(chosen).toAbsolutePath().normalize();
    }
    Path home = absolute(environment, "HOME").orElse(Path.of(userHome).toAbsolutePath());
    Path caches =
        system.startsWith("Mac")
            ? home.resolve("Library/Caches")
            : system.startsWith("Windows")
                ? absolute(environment, "LOCALAPPDATA").orElse(home.resolve("AppData/Local"))
                : absolute(environment, "XDG_CACHE_HOME").orElse(home.resolve(".cache"));
    return caches.resolve("jneox").resolve("natives");
  }

  /**
   * Reads an environment variable as a path. The XDG specification requires relative paths to be
   * ignored.
   */
  private static Optional<Path> absolute(Map<String, String> environment, String name) {
    return Optional.ofNullable(environment.get(name))
        .filter(value -> !value.isBlank())
        .map(Path::of)
        .filter(Path::isAbsolute);
  }

  /**
   * Ensures that libraries are unpacked and undamaged.
   *
   * @param name of the folder in {@link #home()}; each version and choice of libraries has its own
   * @param sources the libraries in the order of loading; called only when a file is missing or has
   *     changed
   * @throws StorageException when the folder cannot be written, or its disk has too little room
   * @throws InputException when other users can write the folder
   */
  public static NativeLibraries unpacked(String name, Supplier<List<Source>> sources) {
    return unpacked(home(), name, sources, userId(), false);
  }

  /**
   * Does the same as {@link #unpacked(String, Supplier)}, and compares the content of every file
   * with the jars.
   */
  public static NativeLibraries verified(String name, Supplier<List<Source>> sources) {
    return unpacked(home(), name, sources, userId(), true);
  }

  static NativeLibraries unpacked(
      Path home, String name, Supplier<List<Source>> sources, long user, boolean verify) {
    Path folder;
    try {
      folder = privateFolder(home, user).resolve(name);
      if (Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
        check(folder, user, OTHERS);
      }
    } catch (IOException e) {
      throw cannotUnpack(home, sources.get(), e);
    }
    Optional<NativeLibraries> known = verify ? Optional.empty() : known(folder);
    if (known.isPresent()) {
      return known.get();
    }
    if (!Files.isWritable(folder.getParent())) {
      // A copy, as in a container image, has other times and inodes. Then every start compares the
      // content.
      List<Source> all = sources.get();
      List<Source> absent = absent(folder, all);
      if (!absent.isEmpty()) {
        throw cannotUnpack(
            folder, absent, new AccessDeniedException(folder.toString(), null, "not writable"));
      }
      return new NativeLibraries(folder, all.stream().map(Source::file).toList());
    }
    try (TargetLock _ =
        TargetLock.await(
            folder,
            owner -> say("waiting for " + owner + " to unpack native libraries into " + folder))) {
      // The previous owner of the lock may have unpacked them.
      return (verify ? known : known(folder)).orElseGet(() -> restore(folder, sources.get(), user));
    }
  }

  /** Reads the libraries from the manifest; empty unless every file is unchanged. */
  private static Optional<NativeLibraries> known(Path folder) {
    try {
      List<String> lines = Files.readAllLines(folder.resolve(MANIFEST));
      if (lines.size() < 2
          || !lines
              .getLast()
              .equals(end(String.join("\n", lines.subList(0, lines.size() - 1)) + "\n"))) {
        return Optional.empty();
      }
      List<String> files = new ArrayList<>();
      for (String line : lines.subList(0, lines.size() - 1)) {
        Entry entry = Entry.parse(line);
        if (!entry.stamp.equals(stamp(folder.resolve(entry.file)))) {
          return Optional.empty();
        }
        files.add(entry.file);
      }
      return Optional.of(new NativeLibraries(folder, files));
    } catch (IOException | NumberFormatException | InvalidPathException e) {
      return Optional.empty(); // no manifest, or a damaged one: compare the content
    }
  }

  /** Returns the last line of a manifest, with the CRC-32 of the lines above it. */
  private static String end(String lines) {
    CRC32 crc = new CRC32();
    crc.update(lines.getBytes(StandardCharsets.UTF_8));
    return "%s %08x".formatted(END, crc.getValue());
  }

  /** Unpacks what is missing or differs from the jars, and writes the manifest. */
  private static NativeLibraries restore(Path folder, List<Source> sources, long user) {
    List<Source> absent = List.of();
    try {
      create(folder);
      check(folder, user, OTHERS);
      deletePartials(folder);
      boolean incomplete =
          sources.stream()
              .anyMatch(
                  source ->
                      Files.notExists(folder.resolve(source.file), LinkOption.NOFOLLOW_LINKS));
      absent = absent(folder, sources);
      long needed = bytes(absent);
      long free = Files.getFileStore(folder).getUsableSpace();
      if (needed > free) {
        throw new StorageException(
            folder,
            "native libraries need %s, %s are free".formatted(megabytes(needed), megabytes(free)),
            "make room, or " + MOVE,
            null);
      }
      if (incomplete && needed > NOTABLE) {
        say("unpacking native libraries into %s (%s, once)".formatted(folder, megabytes(needed)));
      }
      for (Source source : absent) {
        unpack(folder, source);
      }
      StringBuilder manifest = new StringBuilder();
      for (Source source : sources) {
        manifest.append(
            new Entry(source.file, source.crc, stamp(folder.resolve(source.file))).line());
      }
      write(folder.resolve(MANIFEST), manifest.append(end(manifest.toString())).toString());
      return new NativeLibraries(folder, sources.stream().map(Source::file).toList());
    } catch (IOException e) {
      throw cannotUnpack(folder, absent, e);
    }
  }

  /**
   * Lists the libraries that are missing or differ from the jars, and reports those that differ.
   */
  private static List<Source> absent(Path folder, List<Source> sources) {
    return sources.stream().filter(source -> !isSound(folder, source)).toList();
  }

  private static boolean isSound(Path folder, Source source) {
    Path file = folder.resolve(source.file);
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    try {
      long bytes = Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) ? Files.size(file) : -1;
      long crc = bytes == source.bytes ? crc(file) : -1;
      if (crc == source.crc) {
        return true;
      }
      say(
          crc >= 0
              ? "%s: damaged: expected CRC-32 %08x, found %08x: to be unpacked again"
                  .formatted(file, source.crc, crc)
              : "%s: damaged: expected %d bytes, found %s: to be unpacked again"
                  .formatted(file, source.bytes, bytes < 0 ? "no file" : bytes));
    } catch (IOException e) {
      say(file + ": cannot be read: " + AtomicFile.reason(e) + ": to be unpacked again");
    }
    return false;
  }

  private static void unpack(Path folder, Source source) throws IOException {
    Path partial = Files.createTempFile(folder, source.file + ".", PARTIAL);
    try {
      CRC32 crc = new CRC32();
      try (InputStream in = new CheckedInputStream(source.open(), crc);
          OutputStream out = Files.newOutputStream(partial)) {
        in.transferTo(out);
      }
      if (crc.getValue() != source.crc) {
        throw new InputException(
            "%s: damaged: expected CRC-32 %08x, found %08x: fetch the jar again"
                .formatted(source.content, source.crc, crc.getValue()));
      }
      Files.move(
          partial,
          folder.resolve(source.file),
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(partial);
    }
  }

  /** Deletes the temporary files of a process that was killed while it unpacked. */
  private static void deletePartials(Path folder) throws IOException {
    try (DirectoryStream<Path> partials = Files.newDirectoryStream(folder, "*" + PARTIAL)) {
      for (Path partial : partials) {
        Files.deleteIfExists(partial);
      }
    }
  }

  private static void write(Path file, String text) throws IOException {
    Path partial = Files.createTempFile(file.getParent(), MANIFEST + ".", PARTIAL);
    Files.writeString(partial, text);
    Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Computes the CRC-32 of a file, at the speed of memory where it is cached: 760 MB in 0.14 s. */
  private static long crc(Path file) throws IOException {
    CRC32 crc = new CRC32();
    try (FileChannel channel = FileChannel.open(file)) {
      long size = channel.size();
      for (long at = 0; at < size; at += Integer.MAX_VALUE) {
        crc.update(
            channel.map(FileChannel.MapMode.READ_ONLY, at, Math.min(Integer.MAX_VALUE, size - at)));
      }
    }
    return crc.getValue();
  }

  /**
   * Returns the attributes that change with every write to a file; times are in nanoseconds where
   * the file system has them.
   */
  private static String stamp(Path file) throws IOException {
    Map<String, Object> all =
        Files.readAttributes(
            file,
            POSIX ? "unix:size,lastModifiedTime,ctime,ino,mode" : "size,lastModifiedTime",
            LinkOption.NOFOLLOW_LINKS);
    return POSIX
        ? "%s %s %s %s %o"
            .formatted(
                all.get("size"),
                all.get("lastModifiedTime"),
                all.get("ctime"),
                all.get("ino"),
                (int) Objects.requireNonNull(all.get("mode")))
        : "%s %s".formatted(all.get("size"), all.get("lastModifiedTime"));
  }

  /**
   * Resolves the home to a real path and creates it if necessary. Symbolic links on the way to it
   * are the user's choice.
   */
  private static Path privateFolder(Path home, long user) throws IOException {
    if (!Files.isDirectory(home)) {
      if (home.getParent() != null) {
        Files.createDirectories(home.getParent());
      }
      create(home);
    }
    Path real = home.toRealPath();
    check(real, user, OTHERS_WRITE);
    return real;
  }

  private static void create(Path folder) throws IOException {
    FileAttribute<?>[] mode =
        POSIX
            ? new FileAttribute<?>[] {
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"))
            }
            : new FileAttribute<?>[0];
    try {
      Files.createDirectory(folder, mode);
    } catch (FileAlreadyExistsException e) {
      if (!Files.isDirectory(folder)) {
        throw new FileSystemException(folder.toString(), null, "expected a folder, found a file");
      }
    }
  }

  /** Rejects a folder in which another user could have put a library. */
  private static void check(Path folder, long user, int forbidden) throws IOException {
    if (!POSIX) {
      return;
    }
    Map<String, Object> found =
        Files.readAttributes(folder, "unix:isDirectory,uid,owner,mode", LinkOption.NOFOLLOW_LINKS);
    int mode = (int) Objects.requireNonNull(found.get("mode")) & 07777;
    if (!Boolean.TRUE.equals(found.get("isDirectory"))) {
      throw new InputException(
          folder
              + ": expected the folder of native libraries, found a link or a file: delete it, or"
              + " set "
              + VARIABLE);
    }
    if (((Number) Objects.requireNonNull(found.get("uid"))).longValue() != user) {
      throw new InputException(
          "%s: native libraries are loaded only from a folder of yours, and this one is owned by %s: delete it, or set %s to another"
              .formatted(folder, found.get("owner"), VARIABLE));
    }
    if ((mode & forbidden) != 0) {
      throw new InputException(
          "%s: native libraries are loaded only from a folder that others cannot write, and the mode of this one is %04o: "
                  .formatted(folder, mode)
              + "if you trust its content, chmod 700 it, or else delete it, or set "
              + VARIABLE
              + " to another");
    }
  }

  private static long userId() {
    return POSIX ? new com.sun.security.auth.module.UnixSystem().getUid() : 0;
  }

  /**
   * Loads the libraries for the class loader of this class. Skips a library that cannot be loaded,
   * unless it is the last one, which depends on those before it. A library for another CPU or a
   * missing tool is therefore harmless.
   *
   * @throws StorageException when the last library cannot be loaded, with the reason of the first
   *     failure
   */
  public void load() {
    List<String> reasons = new ArrayList<>();
    UnsatisfiedLinkError last = null;
    for (String file : files) {
      try {
        System.load(folder.resolve(file).toString());
        last = null;
      } catch (UnsatisfiedLinkError e) {
        last = e;
        reasons.add(String.valueOf(e.getMessage()));
      }
    }
    if (last != null) {
      // The message is "PATH: PATH: reason", and ours names the folder already.
      String reason =
          reasons.getFirst().replace(folder + "/", "").replaceFirst("^(.+?): \\1: ", "$1: ");
      String remedy =
          reason.contains("failed to map segment") || reason.contains("not permitted")
              ? "is it mounted noexec? "
              : "";
      throw new StorageException(
          folder,
          "native libraries cannot be loaded from here",
          reason + ": " + remedy + MOVE,
          last);
    }
  }

  private static StorageException cannotUnpack(Path folder, List<Source> absent, IOException e) {
    String reason =
        e instanceof FileSystemException f && f.getReason() != null
            ? f.getReason()
            : AtomicFile.reason(e);
    return new StorageException(
        folder,
        "native libraries (%s) cannot be unpacked".formatted(megabytes(bytes(absent))),
        reason + ": " + MOVE,
        e);
  }

  private static long bytes(List<Source> sources) {
    return sources.stream().mapToLong(Source::bytes).sum();
  }

  private static String megabytes(long bytes) {
    return (bytes + 999_999) / 1_000_000 + " MB";
  }

  private static void say(String line) {
    System.err.println("jneox: " + line);
  }
}
