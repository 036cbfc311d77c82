package dev.jneox.corpus;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Holds the arrows of this module, as HouseTest of app holds those of the others. */
class CorpusHouseTest {
  private static final JavaClasses CORPUS =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("dev.jneox.corpus");

  private static void onlyUses(String room, String... rooms) {
    String[] packages =
        Stream.concat(Stream.of(room, "io"), Arrays.stream(rooms))
            .map(name -> name.isEmpty() ? "dev.jneox" : "dev.jneox." + name)
            .toArray(String[]::new);
    classes()
        .that()
        .resideInAPackage("dev.jneox." + room)
        .should()
        .onlyDependOnClassesThat(
            DescribedPredicate.or(
                JavaClass.Predicates.resideOutsideOfPackage("dev.jneox.."),
                JavaClass.Predicates.resideInAnyPackage(packages)))
        .check(CORPUS);
  }

  @Test
  void arrowsOnlyPointDown() {
    onlyUses("corpus", "", "data", "tokenizer", "format.neox");
    onlyUses("corpus.cli", "corpus", "cli");
    slices().matching("dev.jneox.(**)").should().beFreeOfCycles().check(CORPUS);
  }

  /**
   * What trains and serves is not on this class path. The manifest of app's own jar names it, but
   * not where corpus/target/lib holds that jar.
   */
  @Test
  void theOtherModulesAreNotHere() {
    assertThat(System.getProperty("java.class.path").split(File.pathSeparator))
        .anyMatch(entry -> entry.matches(".*[/\\\\](app|jneox)[/\\\\-].*"))
        .noneMatch(
            entry -> entry.matches(".*[/\\\\](train|serve|torch|pytorch)[/\\\\-][^/\\\\]*.*"));
  }

  /** The launcher's flags are those of the tests. */
  @Test
  void theFlagsOfLaunchConfAreThoseOfThePom() throws IOException {
    String pom = Files.readString(Path.of("../pom.xml"));
    String flags = pom.substring(pom.indexOf("<spark.flags>") + 13, pom.indexOf("</spark.flags>"));
    List<String> lines = Files.readAllLines(Path.of("src/main/launch/launch.conf"));
    assertThat(lines).contains(flags);
  }
}
