package dev.jneox.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.nio.file.Path;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Names that users and servers give, before they become paths and addresses. */
class HubNameTest {
  @Test
  void aNameIsAnOwnerAModelAndARevision() {
    HubName name = HubName.parse("EleutherAI/gpt-neox-20b");
    assertThat(name)
        .isEqualTo(new HubName("EleutherAI", "gpt-neox-20b", "main"))
        .hasToString("EleutherAI/gpt-neox-20b");
    assertThat(name.folder()).isEqualTo("models--EleutherAI--gpt-neox-20b");
    assertThat(HubName.parse("a/b@refs/pr/1").revision()).isEqualTo("refs/pr/1");
    assertThat(HubName.parse("a/b@step3000"))
        .hasToString("a/b@step3000")
        .isEqualTo(HubName.parse("a/b").at("step3000"));
    assertThat(HubName.parse("a/b@" + "a".repeat(40)).isCommit()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gpt2",
        "",
        "/",
        "a/",
        "/b",
        "a/b/c",
        "../x",
        "x/..",
        "./x",
        "a/.b",
        "a/b.",
        "-a/b",
        "a/b-",
        "a/b c",
        "a/b--c",
        "a..b/c",
        "a/b@",
        "a/b@..",
        "a/b@x/../y",
        "a/b@/x",
        "a/b@x/",
        "a/b@x y",
        "a/b@x?y",
        "a\\b/c",
        "a/b\n",
        "C:/x",
        "a/b@-x",
        "ä/b",
        "https://huggingface.co/a/b"
      })
  void whatIsNoNameIsRefused(String text) {
    assertThatThrownBy(() -> HubName.parse(text))
        .isInstanceOf(InputException.class)
        .message()
        .doesNotContain("\n");
    assertThat(HubName.tryParse(text)).isEmpty();
  }

  @Provide
  Arbitrary<String> paths() {
    return Arbitraries.strings()
        .withChars('a', '.', '/', '\\', '\0', ' ', '\u202e', ':', '~')
        .ofMaxLength(12);
  }

  @Property(tries = 5000)
  void aSafeNameStaysWithinItsFolder(@ForAll("paths") String name) {
    if (SafePath.is(name)) {
      Path folder = Path.of("/cache/snapshot");
      Path file = folder.resolve(name);
      assertThat(file.normalize()).isEqualTo(file).startsWithRaw(folder).isNotEqualTo(folder);
      assertThat(name).doesNotContain("\\", "\0", "\u202e");
    }
  }

  @Property(tries = 2000)
  void aNameThatIsTakenStaysWithinTheCache(@ForAll("paths") String text) {
    HubName.tryParse(text)
        .ifPresent(
            name ->
                assertThat(Path.of("/cache").resolve(name.folder()).normalize().getParent())
                    .isEqualTo(Path.of("/cache")));
  }

  @Test
  void unicodeNamesAndLongOnesUpToTheDisksBoundAreSafe() {
    assertThat(SafePath.is("日本語/モデル.txt")).isTrue();
    assertThat(SafePath.is("a".repeat(255))).isTrue();
    assertThat(SafePath.is("a".repeat(256))).isFalse();
    assertThat(SafePath.is("ä".repeat(128))).isFalse();
    assertThat(SafePath.is("a/".repeat(500) + "a")).isFalse();
  }
}
