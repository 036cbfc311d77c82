package dev.jneox.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The environment means what it means to Python's huggingface_hub. */
class HubSettingsTest {
  @TempDir private Path home;

  private HubSettings of(String... pairs) {
    Map<String, String> environment = new java.util.HashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      environment.put(pairs[i], pairs[i + 1]);
    }
    return HubSettings.of(environment, home);
  }

  @Test
  void withoutAnyTheHubIsHuggingFacesAndTheCacheIsTheUsers() {
    HubSettings settings = of();
    assertThat(settings.endpoint()).hasToString("https://huggingface.co");
    assertThat(settings.cache()).isEqualTo(home.resolve(".cache/huggingface/hub"));
    assertThat(settings.token()).isEmpty();
    assertThat(settings.offline()).isFalse();
  }

  @Test
  void theCacheIsTheMostParticularOne() {
    assertThat(of("XDG_CACHE_HOME", "/x").cache()).isEqualTo(Path.of("/x/huggingface/hub"));
    assertThat(of("XDG_CACHE_HOME", "/x", "HF_HOME", "/h").cache()).isEqualTo(Path.of("/h/hub"));
    assertThat(of("HF_HOME", "/h", "HUGGINGFACE_HUB_CACHE", "/old").cache())
        .isEqualTo(Path.of("/old"));
    assertThat(of("HF_HOME", "/h", "HUGGINGFACE_HUB_CACHE", "/old", "HF_HUB_CACHE", "~/c").cache())
        .isEqualTo(home.resolve("c"));
  }

  @Test
  void theTokenIsTheEnvironmentsElseThatOfTheLogin() throws IOException {
    Path file = Files.createDirectories(home.resolve(".cache/huggingface")).resolve("token");
    Files.writeString(file, "hf_file\n");
    assertThat(of().token()).contains("hf_file");
    assertThat(of("HF_TOKEN", " hf_env\n").token()).contains("hf_env");
    assertThat(of("HF_TOKEN", "", "HF_TOKEN_PATH", home.resolve("none").toString()).token())
        .isEmpty();
  }

  @Test
  void aTokenThatWouldBreakTheRequestIsRefusedWithoutBeingShown() {
    assertThatThrownBy(() -> of("HF_TOKEN", "hf_a\r\nX-Evil: 1"))
        .isInstanceOf(InputException.class)
        .message()
        .doesNotContain("hf_a");
    assertThat(of("HF_TOKEN", "hf_secret").toString()).doesNotContain("hf_secret");
  }

  @ParameterizedTest
  @ValueSource(strings = {"1", "on", "TRUE", "Yes"})
  void offlineIsAnyOfTheUsualWords(String word) {
    assertThat(of("HF_HUB_OFFLINE", word).offline()).isTrue();
    assertThat(of("TRANSFORMERS_OFFLINE", word).offline()).isTrue();
  }

  @Test
  void theEndpointMayHaveAPathAndSlashes() {
    assertThat(of("HF_ENDPOINT", "http://mirror.example:8080/hf//").endpoint())
        .hasToString("http://mirror.example:8080/hf");
    assertThat(of("HF_HUB_OFFLINE", "0").offline()).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "huggingface.co",
        "ftp://x",
        "https://",
        "https://user:pw@host",
        "https://x?y=1",
        "https://x#y",
        "not a url"
      })
  void anEndpointThatIsNoneIsRefused(String address) {
    assertThatThrownBy(() -> of("HF_ENDPOINT", address))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("the hub's endpoint: expected")
        .message()
        .doesNotContain("pw");
  }
}
