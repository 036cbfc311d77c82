package dev.jneox.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class NeoxShapesTest {
  @Test
  void everyShippedRecipeHasTheParametersOfThePublishedModel() {
    Map<String, Long> parameters = new LinkedHashMap<>();
    NeoxShapes.NAMES.forEach(
        name ->
            parameters.put(name, NeoxShapes.of(name, Optional.empty()).spec().parameterCount()));
    assertThat(parameters)
        .containsEntry("20B", 20_554_567_680L)
        .containsEntry("pythia/70M", 70_426_624L)
        .containsEntry("pythia/160M", 162_322_944L)
        .containsEntry("pythia/410M", 405_334_016L)
        .containsEntry("pythia/1-4B", 1_414_647_808L)
        .containsEntry("pythia/6-9B", 6_857_302_016L)
        .containsEntry("pythia/12B", 11_846_072_320L)
        .hasSize(11);
    assertThat(NeoxShapes.NAMES)
        .allSatisfy(name -> assertThat(Path.of("..", "configs", name + ".yml")).exists());
    assertThat(NeoxShapes.of("PYTHIA/70m", Optional.empty()).deviation())
        .isEqualTo(Math.sqrt(2 / (5.0 * 512)));
  }
}
