package dev.jneox.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Gives all readers of a module broken inputs. A subclass lists the readers by name; {@code mvn
 * -Pfuzz verify} runs them for long.
 *
 * <ul>
 *   <li>{@code -Dfuzz.minutes=20}: CPU minutes over all modules
 *   <li>{@code -Dfuzz.seed=1}: another seed, other inputs
 *   <li>{@code -Dfuzz.reader=NAME}: this reader alone
 *   <li>{@code -Dfuzz.input=NUMBER}: this input alone
 * </ul>
 */
public abstract class FuzzTest {
  /** Failures of the past: a folder for each reader, in it a folder for each input. */
  private static final Path PAST = Path.of("src/test/resources/fuzz");

  private static final Path FOUND = Path.of("target/fuzz");

  /** The readers of this module. */
  protected abstract List<Reader> readers();

  /** The part of the minutes that this module gets. */
  protected abstract double share();

  private static void run(Consumer<Fuzzer> work) {
    try (Fuzzer fuzzer = new Fuzzer()) {
      fuzzer.watched(() -> work.accept(fuzzer));
      fuzzer.save(FOUND);
      assertThat(fuzzer.faults().values()).as(fuzzer.report()).isEmpty();
    }
  }

  @Test
  @Tag("slow")
  void failuresOfThePastAreMended() throws IOException {
    Map<String, Reader> byName = new HashMap<>();
    readers().forEach(reader -> byName.put(reader.name(), reader));
    if (!Files.isDirectory(PAST)) {
      return;
    }
    try (Stream<Path> folders = Files.list(PAST)) {
      List<Path> found = folders.sorted().toList();
      assertThat(byName.keySet())
          .containsAll(found.stream().map(path -> path.getFileName().toString()).toList());
      run(
          fuzzer -> {
            for (Path folder : found) {
              Reader reader = byName.get(folder.getFileName().toString());
              fuzzer.seeds(reader);
              cases(folder).forEach(input -> fuzzer.past(reader, Input.of(input)));
            }
          });
    }
  }

  private static List<Path> cases(Path folder) {
    try (Stream<Path> cases = Files.list(folder)) {
      return cases.sorted().toList();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  /** Some seconds: the same inputs each time. */
  @Test
  @Tag("slow")
  void seedsAreReadAndChangedOnesAreReadOrRefused() {
    run(
        fuzzer -> {
          for (Reader reader : readers()) {
            fuzzer.seeds(reader);
            int inputs = Integer.getInteger("fuzz.burst", 60);
            for (int n = 0; n < inputs; n++) {
              fuzzer.input(reader, Fuzzer.input(0, reader, n));
            }
            assertThat(fuzzer.count(reader).inputs).isGreaterThan(inputs);
          }
        });
  }

  @Test
  @Tag("fuzz")
  void manyInputs() {
    long seed = Long.getLong("fuzz.seed", System.nanoTime());
    double minutes = Double.parseDouble(System.getProperty("fuzz.minutes", "20")) * share();
    String only = System.getProperty("fuzz.reader", "");
    Long input = Long.getLong("fuzz.input");
    List<Reader> readers =
        readers().stream().filter(r -> only.isEmpty() || r.name().equals(only)).toList();
    run(
        fuzzer -> {
          readers.forEach(fuzzer::seeds);
          if (input != null) {
            readers.forEach(reader -> fuzzer.input(reader, input));
          } else {
            run(fuzzer, readers, seed, minutes);
          }
          System.out.println("-Dfuzz.seed=" + seed + "\n" + fuzzer.report());
        });
  }

  /** Readers in turn, for half a second each. */
  private static void run(Fuzzer fuzzer, List<Reader> readers, long seed, double minutes) {
    long most = (long) (minutes * 60e9);
    long[] next = new long[readers.size()];
    while (!readers.isEmpty() && spent() < most) {
      for (int i = 0; i < next.length && spent() < most; i++) {
        long end = spent() + 500_000_000;
        do {
          fuzzer.input(readers.get(i), Fuzzer.input(seed, readers.get(i), next[i]++));
        } while (spent() < end);
      }
    }
  }

  /** The CPU time of this thread, which does nothing else. */
  private static long spent() {
    return java.lang.management.ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }
}
