package dev.jneox.inspect;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.jneox.inspect.Inspection.Checksums;
import dev.jneox.inspect.Inspection.StoredFile;
import dev.jneox.inspect.RunInspection.Checkpoint;
import dev.jneox.inspect.Verification.Check;
import dev.jneox.inspect.Verification.Finding;
import dev.jneox.inspect.Verification.Verdict;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Inspects and verifies a GPT-NeoX of random weights: 3 layers x 64, vocabulary 512. */
class InspectionTest {
  private static final Path FIXTURE = Path.of("src/test/resources/parity/neox-parallel");
  private static final long PARAMETERS = 2 * 512 * 64 + 3 * (12 * 64 * 64 + 13 * 64) + 2 * 64;

  @TempDir private Path dir;
  private Path model;
  private Path weights;

  @BeforeEach
  void copy() throws IOException {
    model = copy(dir.resolve("model"));
    weights = model.resolve("model.safetensors");
  }

  private static Path copy(Path folder) throws IOException {
    Files.createDirectories(folder);
    for (String name : List.of("config.json", "model.safetensors")) {
      Files.copy(FIXTURE.resolve(name), folder.resolve(name));
    }
    return folder;
  }

  @Test
  void aModelIsDescribedFromItsHeaders() {
    try (Contents contents = Contents.open(model)) {
      Inspection inspection = Inspection.of(contents);
      assertThat(inspection.format()).isEqualTo("HF folder, gpt_neox");
      assertThat(inspection.spec().orElseThrow().width()).isEqualTo(64);
      assertThat(inspection.parameters()).isEqualTo(PARAMETERS);
      assertThat(inspection.parts())
          .containsEntry("embedding", 512L * 64)
          .containsEntry("head", 512L * 64);
      assertThat(inspection.parts().values().stream().mapToLong(n -> n).sum())
          .isEqualTo(PARAMETERS);
      assertThat(inspection.tokenizer()).isEmpty();
      assertThat(inspection.files())
          .extracting(StoredFile::name, StoredFile::sha256)
          .containsExactly(
              tuple("config.json", Optional.empty()), tuple("model.safetensors", Optional.empty()));
      assertThat(inspection.tensors()).hasSize(40);
    }
  }

  @Test
  void checksumsAreOfWhatIsAskedForAndTheirProgressIsShown() {
    List<String> shown = new ArrayList<>();
    Progress.Display display =
        (task, bytes) -> {
          shown.add(task + " " + bytes);
          return Progress.silent();
        };
    try (Contents contents = Contents.open(model)) {
      Inspection files = Inspection.of(contents, Checksums.FILES, display);
      assertThat(files.files().getLast().sha256()).contains(Sha256.of(weights, Progress.silent()));
      assertThat(files.tensors()).allSatisfy(tensor -> assertThat(tensor.sha256()).isEmpty());
      Inspection all = Inspection.of(contents, Checksums.FILES_AND_TENSORS, display);
      assertThat(all.tensors()).allSatisfy(tensor -> assertThat(tensor.sha256()).isPresent());
    }
    assertThat(shown).containsExactly("hashing " + 4 * PARAMETERS, "hashing " + 2 * 4 * PARAMETERS);
  }

  @Test
  void aSoundModelHasNothingWrongAndADamagedOneIsNamed() throws IOException {
    Verification sound = Verification.of(model);
    assertThat(sound.path()).isEqualTo(model);
    assertThat(sound.firstWrong()).isEmpty();
    assertThat(sound.findings())
        .extracting(Finding::check, Finding::verdict)
        .containsExactly(
            tuple(Check.HASHES, Verdict.UNKNOWN),
            tuple(Check.MODEL, Verdict.OK),
            tuple(Check.TOKENIZER, Verdict.UNKNOWN),
            tuple(Check.VALUES, Verdict.OK));
    byte[] bytes = Files.readAllBytes(weights);
    for (int i = 1; i <= 4; i++) {
      bytes[bytes.length - i] = (byte) 0xFF; // a NaN
    }
    Files.write(weights, bytes);
    Finding wrong = Verification.of(model).firstWrong().orElseThrow();
    assertThat(wrong.check()).isEqualTo(Check.VALUES);
    assertThat(wrong.tensor().orElseThrow().nans()).isEqualTo(1);
    assertThat(wrong.message()).contains(wrong.tensor().orElseThrow().name());
    Path none = dir.resolve("none");
    assertThatThrownBy(() -> Verification.of(none))
        .isInstanceOf(InputException.class)
        .hasMessage(none + ": there is no such model folder or file");
  }

  @Test
  void aRunListsItsCheckpointsWithTheirLosses() throws IOException {
    Path run = dir.resolve("run");
    copy(run.resolve("global_step10"));
    copy(run.resolve("global_step9"));
    Files.writeString(run.resolve("latest"), "global_step10\n");
    Files.writeString(run.resolve("metrics.csv"), "step,loss,valid_loss\n9,7.25,6.5\n10,7.125,\n");
    RunInspection inspection = RunInspection.of(run);
    assertThat(inspection.latest()).contains("global_step10");
    assertThat(inspection.problem()).isEmpty();
    assertThat(inspection.checkpoints()).extracting(Checkpoint::step).containsExactly(9L, 10L);
    assertThat(inspection.checkpoints().getLast().loss()).isEqualTo(OptionalDouble.of(7.125));
    assertThat(inspection.checkpoints().getLast().validationLoss())
        .isEqualTo(OptionalDouble.of(6.5));
    Files.delete(run.resolve("latest"));
    assertThat(RunInspection.of(run).problem().orElseThrow())
        .contains("latest: expected a file that names a checkpoint");
  }
}
