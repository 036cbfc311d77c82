package dev.jneox;

import static com.tngtech.archunit.base.DescribedPredicate.or;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Holds the table of rooms: which may use which. Arrows only point down; {@code io} is the floor
 * under all.
 */
class HouseTest {
  private static final Set<String> FORMATS =
      Set.of(
          "format.safetensors",
          "format.torch",
          "format.hf",
          "format.gguf",
          "format.neox",
          "format.packed");

  private static final Set<String> CORE =
      with(
          FORMATS,
          "kernel",
          "template",
          "tokenizer",
          "model",
          "weights",
          "format",
          "convert",
          "hub",
          "inspect",
          "infer",
          "grammar");

  /** A room, and those it may use beside itself and {@code io}; "" is dev.jneox, the façade. */
  private static final Map<String, Set<String>> ROOMS =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("io", Set.of()),
              Map.entry("kernel", Set.of()),
              Map.entry("model", Set.of()),
              Map.entry("hub", Set.of()),
              Map.entry("template", Set.of()),
              Map.entry("tokenizer", Set.of("kernel")),
              Map.entry("weights", Set.of("kernel", "model", "template")),
              Map.entry("format.safetensors", Set.of("weights")),
              Map.entry("format.torch", Set.of("weights")),
              Map.entry(
                  "format.hf",
                  Set.of(
                      "model",
                      "weights",
                      "tokenizer",
                      "template",
                      "format.safetensors",
                      "format.torch")),
              Map.entry(
                  "format.gguf", Set.of("model", "weights", "tokenizer", "template", "format.hf")),
              Map.entry(
                  "format.neox",
                  Set.of("model", "weights", "tokenizer", "template", "format.hf", "format.torch")),
              Map.entry(
                  "format.packed",
                  Set.of(
                      "model", "weights", "kernel", "template", "format.hf", "format.safetensors")),
              Map.entry("format", with(FORMATS, "weights", "model")),
              Map.entry(
                  "convert", with(FORMATS, "format", "weights", "model", "kernel", "template")),
              Map.entry("inspect", with(FORMATS, "format", "weights", "model", "tokenizer", "hub")),
              Map.entry(
                  "infer",
                  Set.of(
                      "kernel", "model", "tokenizer", "template", "weights", "format", "convert")),
              Map.entry("grammar", Set.of("tokenizer", "infer")),
              Map.entry("", CORE),
              Map.entry("data", Set.of("tokenizer")),
              Map.entry("torch", Set.of("kernel", "model", "weights", "format")),
              Map.entry("dist", Set.of("model", "torch")),
              Map.entry(
                  "train",
                  with(
                      FORMATS,
                      "dist",
                      "format",
                      "weights",
                      "template",
                      "model",
                      "kernel",
                      "tokenizer",
                      "data",
                      "torch",
                      "dist")),
              Map.entry(
                  "serve", Set.of("infer", "tokenizer", "template", "grammar", "model", "kernel")),
              Map.entry(
                  "eval",
                  Set.of("infer", "tokenizer", "template", "model", "weights", "hub", "data")),
              Map.entry("cli", with(CORE, "data")),
              Map.entry("cli.eval", with(CORE, "data", "eval", "cli")),
              Map.entry("cli.serve", with(CORE, "serve", "cli")),
              Map.entry("cli.train", with(CORE, "data", "torch", "dist", "train", "eval", "cli"))));

  /** The one room that may see libtorch. */
  private static final Set<String> SEES_LIBTORCH = Set.of("torch");

  private static final JavaClasses HOUSE =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("dev.jneox");

  @Test
  void everyRoomIsInTheTable() {
    Set<String> rooms = HOUSE.stream().map(HouseTest::room).collect(Collectors.toSet());
    assertThat(rooms).isEqualTo(ROOMS.keySet());
  }

  @Test
  void arrowsOnlyPointDown() {
    ROOMS.forEach(
        (room, below) -> {
          String[] allowed =
              Stream.concat(Stream.of(room, "io"), below.stream())
                  .map(HouseTest::packages)
                  .toArray(String[]::new);
          classes()
              .that()
              .resideInAPackage(packages(room))
              .should()
              .onlyDependOnClassesThat(
                  or(resideOutsideOfPackage("dev.jneox.."), resideInAnyPackage(allowed)))
              .as(packages(room) + " uses only " + below + " and io")
              .check(HOUSE);
        });
  }

  @Test
  void onlyOneRoomSeesLibtorch() {
    ROOMS.keySet().stream()
        .filter(room -> !SEES_LIBTORCH.contains(room))
        .forEach(
            room ->
                classes()
                    .that()
                    .resideInAPackage(packages(room))
                    .should()
                    .onlyDependOnClassesThat(resideOutsideOfPackages("org.bytedeco..", "ai.djl.."))
                    .check(HOUSE));
  }

  /** The module corpus has its own test: it is on no class path but its own. */
  @Test
  void noRoomSeesSpark() {
    classes()
        .that()
        .resideInAPackage("dev.jneox..")
        .should()
        .onlyDependOnClassesThat(
            resideOutsideOfPackages("org.apache.spark..", "scala..", "org.apache.hadoop.."))
        .check(HOUSE);
  }

  /** Without its module a class that uses the Vector API cannot be loaded. */
  @Test
  void onlyKernelsAndTrainingUseTheVectorApi() {
    classes()
        .that()
        .resideOutsideOfPackages("dev.jneox.kernel", "dev.jneox.torch", "dev.jneox.train")
        .should()
        .onlyDependOnClassesThat(resideOutsideOfPackage("jdk.incubator.vector.."))
        .check(HOUSE);
  }

  @Test
  void thereAreNoCycles() {
    slices().matching("dev.jneox.(**)").should().beFreeOfCycles().check(HOUSE);
  }

  private static String room(JavaClass type) {
    String name = type.getPackageName();
    return name.equals("dev.jneox") ? "" : name.substring("dev.jneox.".length());
  }

  private static String packages(String room) {
    return room.isEmpty() ? "dev.jneox" : "dev.jneox." + room;
  }

  private static Set<String> with(Set<String> rooms, String... more) {
    return Stream.concat(rooms.stream(), Stream.of(more)).collect(Collectors.toUnmodifiableSet());
  }
}
