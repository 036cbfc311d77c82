package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.convert.SyntheticModel;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.Dtype;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Runs every command but those that train, on a class path without libtorch, MKL, OpenBLAS and DJL,
 * and on one without the modules train and torch too, and looks at what the process has opened.
 */
@EnabledOnOs(OS.LINUX)
@Tag("slow")
class WithoutLibtorchTest {
  /** The only libraries that may be mapped: the JDK's and the C library's. */
  private static final String C_LIBRARY =
      "ld-linux.*|ld-musl.*|lib(c|m|dl|pthread|rt|gcc_s|stdc\\+\\+|resolv|z|nss_\\w+)(-[\\d.]+)?\\.so.*";

  @TempDir static Path dir;

  /** A model of 300 ids with a tokenizer. */
  @BeforeAll
  static void writeModel() {
    Path tokenizer = dir.resolve("tokenizer.json");
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("static int max(int a, int b) { return a > b ? a : b; }").iterator());
    trainer.train(merges -> {}).write(tokenizer);
    ModelSpec spec = ModelSpec.neox(320, 64, 2, 4, 64);
    new HfFolderWriter(dir.resolve("model"), spec, Dtype.BF16)
        .tokenizer(tokenizer)
        .write(new SyntheticModel(dir, spec, 0.02, 0.02, Dtype.BF16, 1, null));
  }

  private static final String LIBRARIES = ".*(bytedeco|javacpp|pytorch|openblas|mkl|djl).*";

  /** Folders of classes in a build, jars elsewhere. */
  private static final String MODULES =
      ".*[/\\\\](train|torch)([/\\\\]target[/\\\\].*|-[^/\\\\]*[.]jar)";

  private static String classPathWithout(String... patterns) {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(entry -> Arrays.stream(patterns).noneMatch(entry::matches))
        .collect(Collectors.joining(File.pathSeparator));
  }

  private record Result(int exit, String text) {}

  private static Result start(String classPath, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            classPath,
            MappedLibraries.class.getName()));
    command.addAll(List.of(arguments));
    Path out = Files.createTempFile(dir, "out", "");
    Process process =
        new ProcessBuilder(command)
            .directory(dir.toFile())
            .redirectErrorStream(true)
            .redirectOutput(out.toFile())
            .start();
    process.getOutputStream().close();
    return new Result(process.waitFor(), Files.readString(out));
  }

  private static String run(String classPath, String... arguments)
      throws IOException, InterruptedException {
    Result result = start(classPath, arguments);
    String text = result.text;
    assertThat(result.exit).as("%s: %s", String.join(" ", arguments), text).isZero();
    Path jdk = Path.of(System.getProperty("java.home")).toRealPath();
    List<String> foreign =
        text.lines()
            .filter(line -> line.startsWith(MappedLibraries.MARK))
            .map(line -> Path.of(line.substring(MappedLibraries.MARK.length())))
            .filter(library -> !library.startsWith(jdk))
            .map(library -> library.getFileName().toString())
            .filter(name -> !name.matches(C_LIBRARY))
            .toList();
    assertThat(foreign).as(String.join(" ", arguments)).isEmpty();
    assertThat(text).contains(MappedLibraries.MARK);
    return text;
  }

  /** What the command itself says, on standard error. */
  private static List<String> errors(Result result) {
    return result.text.lines().filter(line -> line.startsWith("jneox: ")).toList();
  }

  @Test
  void theClassPathHasNoneOfThem() {
    assertThat(System.getProperty("java.class.path")).contains("pytorch", "mkl");
    assertThat(classPathWithout(LIBRARIES))
        .doesNotContain("pytorch", "mkl", "openblas", "javacpp", "djl");
    String core = classPathWithout(LIBRARIES, MODULES);
    assertThat(core.split(File.pathSeparator))
        .hasSize(classPathWithout(LIBRARIES).split(File.pathSeparator).length - 2);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "generate --model model --prompt int --max-tokens 4",
        "score --model model --text int_max",
        "complete --model model --max-tokens 4",
        "chat --model model --max-tokens 4",
        "inspect model --checksums",
        "verify model",
        "convert --from model --to hf --format hf --dtype f32",
        "convert --from model --to neox --format neox --tp 2",
        "convert --from model --to model.gguf --format gguf --dtype q8_0",
        "quantize --from model --to q4 --dtype q4",
        "synth --config model/config.json --format hf --dtype bf16 --out synth",
        "tokenizer encode --tokenizer tokenizer.json",
        "tokenizer decode --tokenizer tokenizer.json",
        "bench decode --model model --prompt 4 --new 4 --rounds 1 --warmup 0",
        "download --help",
        "doctor",
      })
  void commandsRun(String line) throws IOException, InterruptedException {
    run(classPathWithout(LIBRARIES, MODULES), line.split(" "));
  }

  @Test
  void theHelpListsWhatIsThere() throws IOException, InterruptedException {
    String all = "(?m)^  (generate|convert|prepare|doctor|publish)  ";
    String core = run(classPathWithout(LIBRARIES, MODULES), "--help");
    assertThat(Pattern.compile(all).matcher(core).results()).hasSize(5);
    assertThat(core).doesNotContainPattern("(?m)^  (train|demo|schedule)  ");
    String train = run(classPathWithout(LIBRARIES), "--help");
    assertThat(train).containsPattern("(?m)^  schedule  ");
    assertThat(train).doesNotContainPattern("(?m)^  (train|demo)  ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"train", "demo", "schedule"})
  void aCommandThatLacksAJarSaysWhich(String command) throws IOException, InterruptedException {
    Result result = start(classPathWithout(LIBRARIES, MODULES), command, "--json");
    assertThat(result.exit).isEqualTo(1);
    assertThat(errors(result))
        .containsExactly(
            "jneox: "
                + command
                + ": needs the jar of JNeoX's module train (a download has it in its training"
                + " archive), and the class path has no"
                + " dev.jneox.train.NeoxConfig");
  }

  @Test
  void theHelpOfACommandThatLacksAJarSaysWhich() throws IOException, InterruptedException {
    String core = classPathWithout(LIBRARIES, MODULES);
    Result help = start(core, "help", "train");
    assertThat(help.exit).isEqualTo(1);
    assertThat(errors(help)).isEqualTo(errors(start(core, "train"))).hasSize(1);
    assertThat(errors(start(core, "help", "trian")))
        .singleElement()
        .asString()
        .contains("Unknown", "trian");
  }

  @Test
  void withoutLibtorchTrainingSaysSoAndTheScheduleIsStillPrinted()
      throws IOException, InterruptedException {
    Result result = start(classPathWithout(LIBRARIES), "train", "run.yml");
    assertThat(result.exit).isEqualTo(1);
    assertThat(errors(result))
        .singleElement()
        .asString()
        .startsWith("jneox: train: needs the jars of org.bytedeco:pytorch");
    run(classPathWithout(LIBRARIES), "schedule", "--lr", "1", "--decay-iters", "9", "--at", "0");
    run(
        classPathWithout(LIBRARIES),
        "synth --config pythia/14M --format gguf --out 14M.gguf --dtype q4_0".split(" "));
  }

  @Test
  void aShapeThatOnlyTrainCanReadIsOneLine() throws IOException, InterruptedException {
    Result result =
        start(
            classPathWithout(LIBRARIES, MODULES),
            "synth --config pythia/14M --format hf --out 14M".split(" "));
    assertThat(result.exit).isEqualTo(1);
    assertThat(errors(result))
        .singleElement()
        .asString()
        .contains("the jar of JNeoX's module train");
  }

  @Test
  void dataIsPreparedAndLookedAt() throws IOException, InterruptedException {
    String core = classPathWithout(LIBRARIES, MODULES);
    Path text = dir.resolve("text.jsonl");
    Files.writeString(text, "{\"text\": \"int max(int a)\"}\n".repeat(50));
    run(core, "tokenizer", "train", "--vocab-size", "290", "--out", "trained.json", "text.jsonl");
    run(core, "prepare", "--tokenizer", "trained.json", "--out", "data", "text.jsonl");
    run(core, "data", "inspect", "data");
    run(core, "eval", "--model", "model", "--data", "data", "--limit", "3");
    run(core, "data", "index", "--part", "data:1:20", "--seq-length", "16", "--out", "order");
  }
}
