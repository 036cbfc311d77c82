package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.JneoxException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/**
 * Whatever is in a file, it is a configuration or a one-line error. {@code TrainFuzzTest} changes
 * recipes.
 */
class ConfigMutationTest {
  @Property(tries = 300)
  void anyTextIsAConfigurationOrAOneLineError(@ForAll String text) {
    loads(text);
  }

  @Property(tries = 300)
  void anyOverrideIsAConfigurationOrAOneLineError(
      @ForAll String text, @ForAll @IntRange(min = 0, max = 400) int key) {
    List<String> names = new java.util.ArrayList<>();
    NeoxKeys.all().forEach(k -> names.add(k.name()));
    tryTo(() -> NeoxConfigTest.config(names.get(key % names.size()) + "=" + text));
  }

  private static void loads(String text) {
    tryTo(
        () -> NeoxConfig.of(Settings.of(Map.of(Path.of("x.yml"), text), List.of())).unsupported());
  }

  private static void tryTo(Runnable load) {
    try {
      load.run();
    } catch (JneoxException e) {
      assertThat(e.getMessage()).doesNotContain("\n").isNotBlank();
    }
  }
}
