import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.FormatterException;
import com.google.googlejavaformat.java.RemoveUnusedImports;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * Formats every Java source below the given folders, or with {@code check} names those that are not
 * formatted and exits with 1.
 */
class Format {
  public static void main(String[] args) throws IOException {
    boolean check = args[0].equals("check");
    AtomicInteger wrong = new AtomicInteger();
    for (String folder : List.of(args).subList(1, args.length)) {
      try (Stream<Path> walk = Files.walk(Path.of(folder))) {
        walk
            .filter(
                file -> file.toString().endsWith(".java") && !file.toString().contains("/target/"))
            .toList()
            .parallelStream()
            .filter(file -> !format(file, check))
            .forEach(
                file -> {
                  wrong.incrementAndGet();
                  System.err.println(file + ": is not formatted");
                });
      }
    }
    if (wrong.get() > 0) {
      System.err.println(wrong + " files are not formatted: run mvn -N -Ptidy verify");
      System.exit(1);
    }
  }

  /** Returns false when a file is not formatted and only checked. */
  private static boolean format(Path file, boolean check) {
    try {
      String before = Files.readString(file);
      String after =
          formatted(formatted(before)); // once is not enough where a long comment is wrapped
      if (!check && !after.equals(before)) {
        Files.writeString(file, after);
      }
      return !check || after.equals(before);
    } catch (IOException | FormatterException e) {
      throw new IllegalStateException(file + ": " + e.getMessage(), e);
    }
  }

  private static String formatted(String source) throws FormatterException {
    return RemoveUnusedImports.removeUnusedImports(
        new Formatter().formatSourceAndFixImports(source));
  }
}
