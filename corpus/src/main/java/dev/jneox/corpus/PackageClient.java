package dev.jneox.corpus;

import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.stream.Stream;

/**
 * Downloads packages by the ordinary client of each registry, as the user has it set up: {@code
 * apt-get download}, Maven's dependency plugin, {@code npm pack}.
 */
final class PackageClient {
  /** Runs a command. */
  @FunctionalInterface
  interface Runner {
    /**
     * Runs it in a folder.
     *
     * @return exit code and output, both streams
     * @throws IOException when there is no such program
     */
    Finished run(List<String> command, Path folder) throws IOException, InterruptedException;
  }

  /** What a command left: its exit code and its output. */
  record Finished(int code, String output) {}

  private final Runner runner;

  PackageClient(Runner runner) {
    this.runner = runner;
  }

  /** Returns the client that starts processes. */
  static PackageClient ofProcesses() {
    return new PackageClient(PackageClient::process);
  }

  private static Finished process(List<String> command, Path folder)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true);
    builder.environment().put("LC_ALL", "C"); // messages are looked at
    Process process = builder.start();
    process.getOutputStream().close();
    FutureTask<String> output =
        new FutureTask<>(
            () -> new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    Thread.ofVirtual().start(output);
    try {
      int code = process.waitFor();
      return new Finished(code, output.get());
    } catch (ExecutionException e) {
      throw new IOException(e.getCause());
    } finally {
      process.destroy();
    }
  }

  /**
   * Downloads a package into a folder and returns its version. The file appears there whole, under
   * {@link PackageName#file}.
   *
   * @param version the one to download; empty for the one that the registry has now
   */
  String download(PackageName name, String version, Path folder) {
    Path temporary;
    try {
      Files.createDirectories(folder);
      temporary = Files.createTempDirectory(folder, "download-");
    } catch (IOException e) {
      throw StorageException.of(folder, "cannot be written", e);
    }
    try {
      Finished finished = runner.run(command(name, version, temporary), temporary);
      if (finished.code() != 0) {
        throw failed(name, version, finished);
      }
      Path file = only(name, temporary);
      String found = version.isEmpty() ? version(name, file) : version;
      Files.move(file, folder.resolve(name.file(found)), StandardCopyOption.REPLACE_EXISTING);
      return found;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InputException(name + ": interrupted");
    } catch (IOException e) {
      throw Files.isDirectory(temporary) && !isMissing(name, e)
          ? StorageException.of(folder, "cannot be written", e)
          : missing(name, e);
    } finally {
      delete(temporary);
    }
  }

  /** Returns whether the program itself was not found: the message of a failed start names it. */
  private static boolean isMissing(PackageName name, IOException e) {
    return String.valueOf(e.getMessage()).contains("\"" + name.registry().client() + "\"");
  }

  private static InputException missing(PackageName name, IOException e) {
    String client = name.registry().client();
    return new InputException(
        name
            + ": "
            + client
            + " is not on the PATH: "
            + switch (name.registry()) {
              case DEBIAN ->
                  "packages of Debian need Debian or a system made from it (a container of"
                      + " debian:bookworm will do)";
              case MAVEN -> "install Maven 3.8 or newer";
              case NPM -> "install Node.js with npm";
            },
        e);
  }

  private static List<String> command(PackageName name, String version, Path folder) {
    return switch (name.registry()) {
      case DEBIAN ->
          List.of(
              "apt-get",
              "-q",
              "download",
              version.isEmpty() ? name.name() : name.name() + "=" + version);
      case MAVEN ->
          List.of(
              "mvn",
              "-B",
              "-q",
              "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
              "-Dartifact=" + name.name() + ":" + name.version() + ":jar:sources",
              "-DoutputDirectory=" + folder);
      case NPM ->
          List.of(
              "npm", "pack", "--ignore-scripts", "--silent", name.name() + "@" + name.version());
    };
  }

  private static Path only(PackageName name, Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> found = files.toList();
      if (found.size() == 1) {
        return found.getFirst();
      }
      throw new InputException(
          name
              + ": expected one file from "
              + name.registry().client()
              + ", found "
              + found.size());
    }
  }

  /** Returns the version: of a package of Debian it is in the file's name, {@code n_V_arch.deb}. */
  private static String version(PackageName name, Path file) {
    if (name.registry() != PackageName.Registry.DEBIAN) {
      return name.version();
    }
    String[] parts = String.valueOf(file.getFileName()).split("_");
    if (parts.length != 3) {
      throw new InputException(
          name
              + ": expected a file NAME_VERSION_ARCH.deb from apt-get, found "
              + file.getFileName());
    }
    return parts[1].replace("%3a", ":");
  }

  private static InputException failed(PackageName name, String version, Finished finished) {
    String output = finished.output();
    String reason =
        output
            .lines()
            .map(String::strip)
            .filter(
                line ->
                    line.startsWith("E: ") || line.startsWith("[ERROR]") || line.contains("npm"))
            .findFirst()
            .or(() -> output.lines().filter(line -> !line.isBlank()).findFirst())
            .orElse("no message");
    boolean gone = !version.isEmpty() && name.registry() == PackageName.Registry.DEBIAN;
    return new InputException(
        name
            + (version.isEmpty() || !name.version().isEmpty() ? "" : " " + version)
            + ": "
            + name.registry().client()
            + " ended with code "
            + finished.code()
            + ": "
            + (reason.length() > 200 ? reason.substring(0, 200) + "..." : reason)
            + (gone
                ? " (mirrors keep one version only: take theirs with --update-lock, or run apt-get"
                    + " update first)"
                : ""));
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      // a temporary folder that stays harms nothing
    }
  }

  /** Returns the package's file in a folder, where it is there. */
  static Optional<Path> cached(PackageName name, String version, Path folder) {
    Path file = folder.resolve(name.file(version));
    return Files.isRegularFile(file) ? Optional.of(file) : Optional.empty();
  }
}
