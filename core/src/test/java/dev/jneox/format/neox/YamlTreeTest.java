package dev.jneox.format.neox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Texts that take a common parser minutes, gigabytes or its stack. */
@Timeout(60)
class YamlTreeTest {
  private static @Nullable Object read(String text) {
    return new YamlTree("x.yml", text).root();
  }

  private static void fails(String text, String message) {
    assertThatThrownBy(() -> read(text)).isInstanceOf(InputException.class).hasMessage(message);
  }

  @Test
  void aliasesAreReadAndUnfoldToABoundedNumberOfValues() {
    assertThat(read("a: &a [1, 2]\nb: *a"))
        .isEqualTo(Map.of("a", List.of(1L, 2L), "b", List.of(1L, 2L)));
    StringBuilder bomb = new StringBuilder("l0: &l0 [" + "{},".repeat(20_000) + "]\n");
    for (int i = 1; i < 10; i++) {
      bomb.append("l%d: &l%d [%s]\n".formatted(i, i, ("*l" + (i - 1) + ",").repeat(16)));
    }
    assertThatThrownBy(() -> read(bomb.toString()))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("x.yml: line 1: expected at most 1048576 values, found more");
  }

  @Test
  void aliasesNestToABoundedDepth() {
    StringBuilder chain = new StringBuilder("l0: &l0 []\n");
    for (int i = 1; i < 20_000; i++) {
      chain.append("l%d: &l%d [*l%d]\n".formatted(i, i, i - 1));
    }
    assertThatThrownBy(() -> read(chain.toString()))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected at most 50 levels, found more by aliases");
    assertThatThrownBy(() -> read("[".repeat(100_000))).isInstanceOf(InputException.class);
  }

  @Test
  void longKeysOfRepeatedMappingsAreBoundedToo() {
    String text =
        "a: &a {"
            + "k".repeat(120)
            + ": 1}\nb: &b ["
            + "*a,".repeat(50_000)
            + "]\n"
            + ("k".repeat(900) + ": &c {" + "k".repeat(900) + ": *b}\n")
            + "d: ["
            + "*c,".repeat(100)
            + "]\n";
    assertThatThrownBy(() -> read(text)).isInstanceOf(InputException.class);
  }

  @Tag("slow")
  @ParameterizedTest
  @ValueSource(strings = {"1", "1_", "1:", ".1", "1e", "0b1", "-", "1.1:"})
  void aLongScalarIsText(String part) {
    String text = part.repeat(400_000 / part.length());
    assertThat(read("\"a\": '" + text + "'")).isEqualTo(Map.of("a", text));
    assertThat(read("- " + text + "x")).isEqualTo(List.of(text + "x"));
  }

  @Test
  void tagsOtherThanThoseOfTheValuesAreRefused() {
    fails(
        "a: 1\nx: !!binary \"a*\"",
        "x.yml: line 2: the type tag tag:yaml.org,2002:binary is not supported");
    fails("x: !!set {a}", "x.yml: line 1: the type tag tag:yaml.org,2002:set is not supported");
    fails(
        "x: !!python/object/apply:os.system [a]",
        "x.yml: line 1: not YAML: Global tag is not allowed:"
            + " tag:yaml.org,2002:python/object/apply:os.system");
    assertThat(read("[!!int 3, !!str \"3\", 2001-01-01, <<, =, ~, yes]"))
        .asString()
        .isEqualTo("[3, 3, 2001-01-01, <<, =, null, true]");
  }
}
