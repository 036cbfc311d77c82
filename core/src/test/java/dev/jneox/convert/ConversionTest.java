package dev.jneox.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.convert.Conversion.Format;
import dev.jneox.format.ModelFiles;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.template.ChatTemplates;
import dev.jneox.tokenizer.TokenizerReaders;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@NullUnmarked // a test fails by itself where a value is absent
class ConversionTest {
  private static final ModelSpec SPEC = ModelSpec.neox(96, 64, 2, 4, 16);

  @TempDir Path dir;

  /** Random weights; reading {@code broken} fails, as on a disk that gives up. */
  private static StoredModel model(long seed, ParamId broken) {
    return model(seed, broken, name -> {});
  }

  private static StoredModel model(long seed, ParamId broken, Consumer<ParamId> asked) {
    StoredModel model =
        new SyntheticModel(Path.of("shape"), SPEC, 0.02, 0.01, Dtype.F32, seed, null);
    record Watched(StoredTensor made, ParamId broken, Consumer<ParamId> asked)
        implements StoredTensor {
      @Override
      public TensorExpression expression() {
        return made.expression();
      }

      @Override
      public String type() {
        return made.type();
      }

      @Override
      public Optional<MappedTensor> inPlace() {
        return made.inPlace();
      }

      @Override
      public MappedTensor read(Arena arena) {
        asked.accept(expression().first());
        if (expression().first().equals(broken)) {
          throw new IllegalStateException("the disk gave up");
        }
        return made.read(arena);
      }
    }
    List<StoredTensor> tensors =
        model.tensors().stream()
            .map(tensor -> (StoredTensor) new Watched(tensor, broken, asked))
            .toList();
    return new StoredModel() {
      @Override
      public Path path() {
        return model.path();
      }

      @Override
      public ModelSpec spec() {
        return SPEC;
      }

      @Override
      public List<StoredTensor> tensors() {
        return tensors;
      }

      @Override
      public Optional<String> tokenizerJson() {
        return Optional.empty();
      }

      @Override
      public void close() {}
    };
  }

  /** A small model that came with a tokenizer and chat templates. */
  private static StoredModel chatModel(ChatTemplates templates) {
    StoredModel made =
        new SyntheticModel(
            Path.of("shape"),
            ModelSpec.neox(320, 64, 2, 4, 16),
            0.02,
            0.01,
            Dtype.F32,
            1,
            TokenizerReaders.trained());
    return new StoredModel() {
      @Override
      public Path path() {
        return made.path();
      }

      @Override
      public ModelSpec spec() {
        return made.spec();
      }

      @Override
      public List<StoredTensor> tensors() {
        return made.tensors();
      }

      @Override
      public Optional<String> tokenizerJson() {
        return made.tokenizerJson();
      }

      @Override
      public Optional<ChatTemplates> chatTemplates() {
        return Optional.of(templates);
      }

      @Override
      public void close() {}
    };
  }

  @Test
  void chatTemplatesStayFromFormatToFormat() {
    ChatTemplates templates =
        new ChatTemplates(
            Map.of("default", "{{ bos_token }}é\n", "tool_use", "t"),
            Map.of("bos_token", "a", "eos_token", "<|im_end|>"),
            "shape");
    Path folder = dir.resolve("hf");
    Path file = dir.resolve("m.gguf");
    Path back = dir.resolve("back");
    Path packed = dir.resolve("packed");
    convert(chatModel(templates), folder, Format.HF, WeightType.F32, templates);
    convert(ModelFiles.open(folder), file, Format.GGUF, WeightType.F32, templates);
    convert(ModelFiles.open(file), back, Format.HF, WeightType.F32, templates);
    convert(ModelFiles.open(back), packed, Format.HF, WeightType.Q8_0, templates);
    convert(
        ModelFiles.open(packed), dir.resolve("n.gguf"), Format.GGUF, WeightType.Q8_0, templates);
    Path neox = dir.resolve("neox");
    convert(ModelFiles.open(folder), neox, Format.NEOX, WeightType.F32, templates);
    convert(ModelFiles.open(neox), dir.resolve("again"), Format.HF, WeightType.F32, templates);
  }

  @Test
  void howTokensAreDrawnStaysWithACheckpointOfNeox() throws IOException {
    Path folder = dir.resolve("hf");
    Path neox = dir.resolve("neox");
    to("hf", Format.HF, model(1, null)).write(bytes -> {});
    Files.writeString(
        folder.resolve("generation_config.json"),
        "{\"eos_token_id\": [3, 5], \"do_sample\": true, \"temperature\": 0.6, \"top_k\": 7}");
    for (Path to : List.of(neox, dir.resolve("back"))) {
      try (StoredModel from = ModelFiles.open(to.equals(neox) ? folder : neox)) {
        to(to.getFileName().toString(), to.equals(neox) ? Format.NEOX : Format.HF, from)
            .write(bytes -> {});
      }
      try (StoredModel made = ModelFiles.open(to)) {
        assertThat(made.sampling().temperature()).hasValue(0.6);
        assertThat(made.sampling().topK()).hasValue(7);
        assertThat(made.spec().vocabulary().ends()).containsExactly(3, 5);
      }
    }
  }

  private static void convert(
      StoredModel from, Path to, Format format, WeightType type, ChatTemplates expected) {
    try (from) {
      new Conversion(from, to, format, type, 1, Conversion.SHARD_BYTES).write(bytes -> {});
    }
    try (StoredModel made = ModelFiles.open(to)) {
      ChatTemplates found = made.chatTemplates().orElseThrow();
      assertThat(found.sources()).isEqualTo(expected.sources());
      assertThat(found.specialTokens()).isEqualTo(expected.specialTokens());
      assertThat(found.origin()).isEqualTo(to.toString());
    }
  }

  @Test
  void aFolderWithTheFilesOfChatTemplatesMayBeReplaced() throws IOException {
    Path folder = dir.resolve("model");
    to("model", Format.HF, model(1, null)).write(bytes -> {});
    Files.writeString(folder.resolve("chat_template.jinja"), "old");
    Files.writeString(
        Files.createDirectories(folder.resolve("additional_chat_templates")).resolve("x.jinja"),
        "old");
    to("model", Format.HF, model(2, null)).check(true);
    to("model", Format.HF, model(2, null)).write(bytes -> {});
    try (StoredModel made = ModelFiles.open(folder)) {
      assertThat(made.chatTemplates()).isEmpty();
    }
  }

  private Conversion to(String name, Format format, StoredModel model) {
    return new Conversion(
        model,
        dir.resolve(format == Format.GGUF ? name + ".gguf" : name),
        format,
        WeightType.F32,
        1,
        100_000);
  }

  private List<String> files() throws IOException {
    try (Stream<Path> walk = Files.walk(dir)) {
      return walk.filter(Files::isRegularFile)
          .map(file -> dir.relativize(file).toString())
          .sorted()
          .toList();
    }
  }

  @ParameterizedTest
  @EnumSource
  void aWriterThatFailsInTheMiddleLeavesNothing(Format format) throws IOException {
    assertThatThrownBy(
            () -> to("model", format, model(1, ParamId.weight(1, Part.DOWN))).write(bytes -> {}))
        .hasMessage("the disk gave up");
    assertThat(files()).isEmpty();
  }

  @ParameterizedTest
  @EnumSource
  void aWriterThatFailsInTheMiddleLeavesTheOldModel(Format format) throws IOException {
    to("model", format, model(1, null)).write(bytes -> {});
    List<String> before = files();
    assertThatThrownBy(
            () -> to("model", format, model(2, ParamId.bias(Part.FINAL_NORM))).write(bytes -> {}))
        .hasMessage("the disk gave up");
    assertThat(files()).isEqualTo(before);
    try (StoredModel expected = model(1, null);
        StoredModel found = ModelFiles.open(to("model", format, expected).target())) {
      RandomWeights.assertSame(found, expected);
    }
  }

  @ParameterizedTest
  @EnumSource
  void theNameComesAfterTheLastTensor(Format format) {
    Path target = to("model", format, null).target();
    List<Boolean> there = new ArrayList<>();
    to("model", format, model(1, null, name -> there.add(Files.exists(target)))).write(bytes -> {});
    assertThat(there)
        .hasSizeGreaterThanOrEqualTo(CanonicalNames.of(SPEC).size())
        .containsOnly(false);
    assertThat(target).exists();
  }

  @ParameterizedTest
  @EnumSource
  void progressAddsUpToTheBytesThatWereAnnounced(Format format) {
    Conversion conversion = to("model", format, model(1, null));
    LongAdder written = new LongAdder();
    conversion.write(written::add);
    assertThat(written.sum())
        .isEqualTo(conversion.bytes())
        .isGreaterThanOrEqualTo(4 * SPEC.parameterCount());
  }

  @Test
  void theTypeOfAModelIsThatOfMostOfIt() {
    try (StoredModel model = model(1, null)) {
      assertThat(WeightType.of(model)).contains(WeightType.F32);
    }
  }

  @Test
  void aQuantisedCheckpointIsRefused() {
    assertThatThrownBy(
            () -> new Conversion(null, dir.resolve("x"), Format.NEOX, WeightType.Q8_0, 1, 1))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("found q8_0, which gguf and hf have");
  }
}
