package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.JneoxException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** Whatever is in a file, it is a configuration or a one-line error. */
class ConfigMutationTest {
  private static final String RECIPE =
      NeoxConfigTest.SMALL
          + """
          gradient_accumulation_steps: 2
          train_batch_size: 16
          attention_config: [[["flash", "global"], 2]]
          fp16: {enabled: true, "loss_scale": 0, 'initial_scale_power': 12,}
          "data-path": data/text # a comment
          split: "969, 30, 1"
          extra_save_iters: &x [0, 1, 2]
          save: |
            there
          rotary_pct: .25
          warmup: 1e-2
          """;
  private static final String[] PIECES = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ": ",
    "#",
    " #",
    "'",
    "\"",
    "\n",
    "\n  ",
    "\t",
    "- ",
    "? ",
    "&x ",
    "*x",
    "!!int ",
    "!x ",
    "| ",
    "> ",
    "%",
    "@",
    "`",
    "~",
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "-1e-400",
    ".nan",
    "0x",
    "0b1",
    "_",
    "0b_",
    "08",
    "1:30",
    "99999999999",
    "9223372036854775808",
    "<<: ",
    "---\n",
    "...",
    "\u0000",
    "\u0085",
    "é",
    "\uD83D",
    "\r",
    "\\",
    "=",
    "num_layers: ",
    "optimizer: ",
    "2001-01-01"
  };

  @Property(tries = 1500)
  void aMutatedFileIsAConfigurationOrAOneLineError(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 6) int mutations) {
    Random random = new Random(seed);
    String text = RECIPE;
    for (int i = 0; i < mutations; i++) {
      text = mutate(text, random);
    }
    loads(text);
  }

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

  private static String mutate(String text, Random random) {
    int from = random.nextInt(text.length() + 1);
    int to = Math.min(text.length(), from + random.nextInt(12));
    String piece = PIECES[random.nextInt(PIECES.length)];
    return switch (random.nextInt(4)) {
      case 0 -> text.substring(0, from) + text.substring(to);
      case 1 -> text.substring(0, from) + piece + text.substring(from);
      case 2 -> text.substring(0, from) + piece + text.substring(to);
      default -> text.substring(0, from) + text.substring(from, to) + text.substring(from);
    };
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
