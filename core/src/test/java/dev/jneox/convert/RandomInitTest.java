package dev.jneox.convert;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.format.hf.HfFolder;
import dev.jneox.weights.Dtype;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class RandomInitTest {
  private static final Path FOLDER = Path.of("src/test/resources/parity/neox-parallel");

  @Test
  void aFolderOfHfOrItsConfigurationGivesTheShape() {
    RandomInit init = RandomInit.ofHf(FOLDER).orElseThrow();
    assertThat(init.spec()).isEqualTo(HfFolder.spec(FOLDER));
    assertThat(init.deviation()).isEqualTo(0.02);
    assertThat(RandomInit.ofHf(FOLDER.resolve("config.json")).orElseThrow().spec())
        .isEqualTo(init.spec());
    try (SyntheticModel model = init.model(Dtype.BF16, 1, null)) {
      assertThat(model.spec()).isEqualTo(init.spec());
      assertThat(model.tensors().getFirst().type()).isEqualTo("BF16");
    }
  }

  @Test
  void anythingElseIsNone() {
    assertThat(RandomInit.ofHf(Path.of("pythia/160M"))).isEmpty();
    assertThat(RandomInit.ofHf(Path.of("run.yml"))).isEmpty();
  }
}
