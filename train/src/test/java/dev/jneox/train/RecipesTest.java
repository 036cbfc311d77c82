package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.train.PrecisionSection.Format;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The files of {@code configs/}. */
class RecipesTest {
  private static final Path CONFIGS = Path.of("..", "configs");
  private static final int TOKENS_20B = 50277;

  private static final Map<String, Long> PARAMETERS =
      Map.ofEntries(
          Map.entry("20B", 20_554_567_680L),
          Map.entry("pythia/14M", 14_067_712L),
          Map.entry("pythia/31M", 30_494_720L),
          Map.entry("pythia/70M", 70_426_624L),
          Map.entry("pythia/160M", 162_322_944L),
          Map.entry("pythia/410M", 405_334_016L),
          Map.entry("pythia/1B", 1_011_781_632L),
          Map.entry("pythia/1-4B", 1_414_647_808L),
          Map.entry("pythia/2-8B", 2_775_208_960L),
          Map.entry("pythia/6-9B", 6_857_302_016L),
          Map.entry("pythia/12B", 11_846_072_320L),
          Map.entry("gpt3/125M", 125_262_336L),
          Map.entry("jneox/1M", 1_248_640L),
          Map.entry("jneox/5M", 4_925_568L),
          Map.entry("jneox/15M", 15_107_200L),
          Map.entry("demo", 8_933_376L),
          Map.entry("starter", 3_352_704L));

  /** Ids of the tokenizer that a recipe is for. */
  private static int tokens(String name) {
    return switch (name) {
      case "demo" -> 8192;
      case "starter" -> 4096;
      case "jneox/1M", "jneox/5M", "jneox/15M" -> 16_384;
      default -> TOKENS_20B;
    };
  }

  private static NeoxConfig load(String name, String... overrides) {
    return NeoxConfig.load(List.of(CONFIGS.resolve(name)), List.of(overrides));
  }

  @Test
  void everyRecipeIsChecked() throws IOException {
    try (var files = Files.walk(CONFIGS)) {
      assertThat(
              files
                  .filter(Files::isRegularFile)
                  .map(
                      f -> CONFIGS.relativize(f).toString().replace('\\', '/').replace(".yml", "")))
          .containsExactlyInAnyOrderElementsOf(PARAMETERS.keySet());
    }
  }

  @TestFactory
  List<DynamicTest> hasThePublishedNumberOfParameters() {
    return PARAMETERS.entrySet().stream()
        .map(
            e ->
                DynamicTest.dynamicTest(
                    e.getKey(),
                    () -> {
                      NeoxConfig c = load(e.getKey());
                      assertThat(c.model().shape(tokens(e.getKey()), 0).parameterCount())
                          .isEqualTo(e.getValue());
                      assertThat(Files.readString(CONFIGS.resolve(e.getKey() + ".yml")))
                          .contains("%,d parameters".formatted(e.getValue()));
                    }))
        .toList();
  }

  @TestFactory
  List<DynamicTest> asksForNothingThatIsNotDone() {
    return PARAMETERS.keySet().stream()
        .map(
            name ->
                DynamicTest.dynamicTest(
                    name,
                    () -> {
                      NeoxConfig c = load(name);
                      assertThat(c.unsupported()).isEmpty();
                      assertThat(c.layout(c.model().shape(tokens(name), 0)).stages())
                          .isEqualTo(c.parallel().pipeline());
                      assertThat(load(name).optimizer().minLr())
                          .isCloseTo(load(name).optimizer().lr() / 10, within(1e-12));
                    }))
        .toList();
  }

  @TestFactory
  List<DynamicTest> pythiaTrainsOnTheSameBatches() {
    return PARAMETERS.keySet().stream()
        .filter(name -> name.startsWith("pythia"))
        .map(
            name ->
                DynamicTest.dynamicTest(
                    name,
                    () -> {
                      NeoxConfig c = load(name);
                      assertThat(
                              c.batch().total()
                                  * (long) c.model().seqLength()
                                  * c.run().iters().getAsInt())
                          .isEqualTo(299_892_736_000L);
                      assertThat(c.precision().format())
                          .isEqualTo(name.equals("pythia/1B") ? Format.BF16 : Format.FP16);
                      LearningRate schedule =
                          c.optimizer().learningRate(c.run().iters().getAsInt());
                      assertThat(schedule.version()).isEqualTo(LearningRate.Version.V1_0);
                      assertThat(schedule.at(1430)).isEqualTo(c.optimizer().lr());
                      assertThat(schedule.at(143_000)).isEqualTo(c.optimizer().minLr());
                      assertThat(
                              java.util.stream.IntStream.rangeClosed(0, 143_000)
                                  .filter(c.checkpoint()::savesAt)
                                  .count())
                          .isEqualTo(154);
                    }))
        .toList();
  }

  @Test
  void the20bRecipeOn96ProcessesIsThePublishedRun() {
    NeoxConfig c = load("20B", "global_num_gpus=96");
    assertThat(c.parallel()).isEqualTo(new ParallelSection(4, 2, 12));
    assertThat(c.batch()).isEqualTo(new BatchSection(1536, 4, 32));
    assertThat(c.model().paddedVocab(TOKENS_20B)).isEqualTo(50432);
    assertThat(c.precision().lossScaler().start().scale()).isEqualTo(4096);
    assertThat(c.optimizer().learningRate(150_000).at(750)).isEqualTo(0.97e-4 / 2);
  }

  @Test
  void gpt3SeesEverythingAndABandInTurn() {
    NeoxConfig c = load("gpt3/125M");
    assertThat(c.model().shape(TOKENS_20B, 0).blocks())
        .extracting(block -> block.attention().window())
        .containsExactly(0, 256, 0, 256, 0, 256, 0, 256, 0, 256, 0, 256);
    long tokens = c.batch().total() * (long) c.model().seqLength() * c.run().iters().getAsInt();
    assertThat(tokens).isBetween(299_999_000_000L, 300_001_000_000L);
    LearningRate schedule = c.optimizer().learningRate(c.run().iters().getAsInt());
    assertThat(schedule.at(715)).isCloseTo(6e-4, within(1e-6));
    assertThat(schedule.at(495_911)).isEqualTo(6e-5);
  }

  @Test
  void theDemoTrainsInBf16OnOneProcess() {
    NeoxConfig c = load("demo");
    assertThat(c.unsupported()).isEmpty();
    assertThat(c.precision().format()).isEqualTo(Format.BF16);
    assertThat(c.batch()).isEqualTo(new BatchSection(16, 16, 1));
    assertThat(c.model().paddedVocab(8192)).isEqualTo(8192);
  }
}
