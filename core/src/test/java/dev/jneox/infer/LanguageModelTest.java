package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.convert.Quantisation;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.infer.Generator.Listener;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.kernel.DenseWeight;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LanguageModelTest {
  private static final ModelSpec SPEC = ModelSpec.neox(40, 32, 2, 4, 32);
  private static final int[] IDS = {3, 1, 4, 1, 5, 9, 2, 6, 5, 35};

  @TempDir Path dir;

  private float[] write(Dtype dtype) {
    RandomWeights weights = new RandomWeights(SPEC, 8);
    try (PackedModel packed = PackedModel.of(weights, Precision.STORED)) {
      new HfFolderWriter(dir, SPEC, dtype).write(weights);
      try (Engine engine = new Engine(packed, Scorer.settings(packed))) {
        return new Scorer(engine).logProbabilities(IDS);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "F32, STORED, F32, 0", "BF16, STORED, BF16, 0.1", "F16, STORED, F32, 0.01",
        "F64, STORED, F32, 0",
    "F32, BF16, BF16, 0.1", "F16, BF16, BF16, 0.1", "BF16, F32, F32, 0.1", "F16, F32, F32, 0.01",
  })
  void everyStoredTypeIsReadInThePrecisionAskedFor(
      Dtype stored, Precision precision, DenseWeight.Type expected, float tolerance) {
    float[] exact = write(stored);
    try (LanguageModel model = LanguageModel.open(dir, precision)) {
      for (PackedModel.Layer layer : model.packed().layers) {
        for (PackedLinear linear : layer.linears()) {
          assertThat(((DenseWeight) linear.weight()).type()).isEqualTo(expected);
        }
      }
      assertThat(model.scorer().logProbabilities(IDS)).containsExactly(exact, within(tolerance));
      GenerationRequest request = GenerationRequest.builder(IDS).maxTokens(5).build();
      assertThat(model.generator().generate(request, Listener.NONE).generation().ids())
          .hasSizeBetween(1, 5);
    }
  }

  @Test
  void aFolderWithoutATokenizerSaysSoWhenOneIsNeeded() {
    write(Dtype.F32);
    try (LanguageModel model = LanguageModel.open(dir, Precision.STORED)) {
      assertThat(model.hasTokenizer()).isFalse();
      assertThatThrownBy(model::tokenizer)
          .isInstanceOf(InputException.class)
          .hasMessageContaining(dir + ": expected a tokenizer.json");
    }
  }

  @Test
  void aBrokenTokenizerIsNamed() throws IOException {
    write(Dtype.F32);
    Files.writeString(dir.resolve("tokenizer.json"), "{\"model\":");
    assertThatThrownBy(() -> LanguageModel.open(dir, Precision.STORED))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("tokenizer.json");
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aFileThatIsChangedWhileItIsInUseIsNamed(boolean cut) throws IOException {
    write(Dtype.F32);
    Path weights = dir.resolve("model.safetensors");
    try (LanguageModel model = LanguageModel.open(dir, Precision.STORED)) {
      GenerationRequest request = GenerationRequest.builder(IDS).maxTokens(5).build();
      model.generator().generate(request, Listener.NONE);
      if (cut) {
        try (RandomAccessFile file = new RandomAccessFile(weights.toFile(), "rw")) {
          file.setLength(100);
        }
      } else {
        Files.setLastModifiedTime(weights, FileTime.fromMillis(1_000_000));
      }
      assertThatThrownBy(() -> model.generator().generate(request, Listener.NONE))
          .isInstanceOf(StorageException.class)
          .hasMessageStartingWith(weights + ": was changed while it was in use");
      assertThatThrownBy(() -> model.stored().tensors().getFirst().inPlace())
          .isInstanceOf(StorageException.class);
    }
  }

  @Test
  void aQuantisedFolderKnowsHowManyIdsAreUsedAndRefusesATokenizerOfMore() throws IOException {
    write(Dtype.F32);
    Path quantised = dir.resolve("quantised");
    try (StoredModel source = ModelFiles.open(dir)) {
      Quantisation.to(GgmlType.Q4_0, source).write(quantised, bytes -> {});
    }
    Path config = quantised.resolve("config.json");
    assertThat(Files.readString(config)).contains("\"used_vocab_size\": 40");
    Files.writeString(
        config,
        Files.readString(config).replace("\"used_vocab_size\": 40", "\"used_vocab_size\": 33"));
    try (LanguageModel model = LanguageModel.open(quantised, Precision.STORED)) {
      assertThat(model.spec().vocabulary().used()).isEqualTo(33);
    }
    BpeTrainer trainer = new BpeTrainer(BpeTrainer.SMALLEST_VOCABULARY);
    trainer.count(List.of("a text").iterator());
    trainer.train(merges -> {}).write(quantised.resolve("tokenizer.json"));
    try (LanguageModel model = LanguageModel.open(quantised, Precision.STORED)) {
      GenerationRequest known = GenerationRequest.builder(1, 39).maxTokens(2).build();
      assertThat(model.generator().generate(known, Generator.Listener.NONE).generation().ids())
          .as("tokens without a row lock nobody out")
          .hasSize(2);
      GenerationRequest request =
          GenerationRequest.builder(model.tokenizer().encode("a text")).maxTokens(2).build();
      assertThatThrownBy(() -> model.generator().generate(request, Generator.Listener.NONE))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("expected an id from 0 to 39, found ");
    }
    Files.writeString(
        config,
        Files.readString(config).replace("\"used_vocab_size\": 33", "\"used_vocab_size\": 41"));
    assertThatThrownBy(() -> LanguageModel.open(quantised, Precision.STORED))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(
            "config.json", "quantization_config.used_vocab_size", "from 1 to 40", "41");
  }
}
