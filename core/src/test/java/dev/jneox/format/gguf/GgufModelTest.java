package dev.jneox.format.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.FamilyFolder;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.HfFolderTest;
import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.Rounded;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;

class GgufModelTest {
  @TempDir Path dir;

  private Path export(ModelWeights weights, GgmlType type) {
    Path file = dir.resolve("model.gguf");
    GgufExport export =
        new GgufExport(
            file, weights.spec(), type, null, Map.of("general.name", GgufValue.text("a test")));
    long[] told = {0};
    export.write(weights, bytes -> told[0] += bytes);
    assertThat(told[0]).isEqualTo(export.bytes());
    return file;
  }

  private Path export(ModelSpec spec, GgmlType type) {
    return export(new RandomWeights(spec, 3), type);
  }

  private static final Norm NORM = new Norm.Layer(1e-5);
  private static final Residual SERIAL = new Residual.Serial(NORM, NORM);
  private static final Residual PARALLEL = new Residual.Parallel(NORM, NORM);
  private static final Residual ONE_NORM = new Residual.ParallelOneNorm(NORM);
  private static final Position HALVES = new Position.Rotary(8, 10000, false);
  private static final Position PAIRS = new Position.Rotary(8, 500, true);
  private static final Position LEARNED = new Position.None();

  private static ModelSpec spec(
      Position position, Residual residual, boolean qkvBias, boolean headBias, boolean tied) {
    return ModelSpec.of(
        Vocabulary.of(96, 5),
        64,
        new Embedding(position instanceof Position.None),
        2,
        new BlockSpec(
            residual,
            Attention.of(4, 16, position).withBiases(qkvBias, true),
            new FeedForward.Plain(128, Activation.GELU_TANH, true)),
        new Head(tied, headBias),
        32);
  }

  @ParameterizedTest
  @CsvSource({
    "neox-parallel, F32",
    "neox-20b-like, F32",
    "neox-serial-tied, F32",
    "neox-parallel, F16",
    "neox-20b-like, BF16"
  })
  void neoxComesBackAsItWasRounded(String name, GgmlType type) {
    Path file = dir.resolve("model.gguf");
    try (Arena arena = Arena.ofShared();
        HfFolder source = HfFolder.open(HfFolderTest.parity(name))) {
      new GgufExport(file, source.spec(), type, null, Map.of()).write(source, bytes -> {});
      try (StoredModel model = ModelFiles.open(file)) {
        ModelSpec spec = source.spec();
        assertThat(model.spec().parameterCount()).isGreaterThanOrEqualTo(spec.parameterCount());
        assertThat(model.spec().first()).isEqualTo(spec.first());
        assertThat(model.spec().finalNorm()).isEqualTo(spec.finalNorm());
        if (!spec.head().tied()) {
          assertThat(model.spec()).isEqualTo(spec);
        }
        for (Param param : spec.parameters()) {
          ParamId id = param.id();
          Dtype stored = param.isMatrix() ? type.dtype().orElseThrow() : Dtype.F32;
          assertThat(model.holder(id).inPlace()).as(id.toString()).isPresent();
          MappedTensor values = model.read(id, arena);
          assertThat(values.data().isMapped()).as(id.toString()).isTrue();
          assertThat(values.dtype()).as(id.toString()).isEqualTo(stored);
          assertThat(values.floats())
              .as(id.toString())
              .isEqualTo(Rounded.to(stored, source.floats(id)));
        }
        for (TensorExpression tensor : CanonicalNames.of(spec)) {
          float[] expected = source.read(tensor, arena).floats();
          assertThat(model.read(tensor, arena).floats())
              .as(tensor.name())
              .isEqualTo(
                  Rounded.to(tensor.isMatrix() ? type.dtype().orElseThrow() : Dtype.F32, expected));
        }
      }
    }
  }

  /**
   * What llama.cpp's own converter does: the rows of query, key and value, head by head, go to
   * three blocks of rows.
   */
  @Test
  void queriesKeysAndValuesLieAsLlamaCppWantsThem() {
    RandomWeights weights = new RandomWeights(spec(HALVES, PARALLEL, true, false, false), 3);
    float[][] rows = new float[3][64];
    for (int i = 0; i < 3 * 64; i++) {
      rows[i / 16 % 3][i / 48 * 16 + i % 16] = i;
    }
    weights.put(ParamId.bias(1, Part.QUERY), rows[0]);
    weights.put(ParamId.bias(1, Part.KEY), rows[1]);
    weights.put(ParamId.bias(1, Part.VALUE), rows[2]);
    try (GgufFile file = GgufFile.open(export(weights, GgmlType.F32))) {
      float[] found = new MappedTensor(Dtype.F32, file.data("blk.1.attn_qkv.bias")).floats();
      // Heads are 16 wide: query of head 1, row 2; key of head 0, row 0; value of head 3, row 15.
      assertThat(found[16 + 2]).isEqualTo(48 + 2);
      assertThat(found[64]).isEqualTo(16);
      assertThat(found[191]).isEqualTo(191);
    }
  }

  /** All that llama.cpp has graphs for. */
  static final List<ModelSpec> KINDS =
      List.of(
          spec(HALVES, PARALLEL, true, false, false),
          spec(HALVES, SERIAL, false, false, true),
          spec(LEARNED, SERIAL, true, false, true),
          spec(LEARNED, SERIAL, true, false, false),
          spec(PAIRS, ONE_NORM, false, true, false),
          spec(HALVES, ONE_NORM, true, true, false),
          spec(PAIRS, ONE_NORM, false, true, true),
          spec(PAIRS, ONE_NORM, false, false, true));

  /** What is in the file is what the model had, biases that it had not are zeros. */
  @ParameterizedTest
  @FieldSource("KINDS")
  void everyArchitectureHasTheSameValuesInItsFile(ModelSpec spec) {
    RandomWeights weights = new RandomWeights(spec, 3);
    try (StoredModel model = ModelFiles.open(export(weights, GgmlType.F32))) {
      assertThat(model.spec().vocabulary()).isEqualTo(spec.vocabulary());
      Map<ParamId, Param> had = new LinkedHashMap<>();
      spec.parameters().forEach(param -> had.put(param.id(), param));
      for (Param param : model.spec().parameters()) {
        ParamId id = param.id();
        float[] found = model.floats(id);
        boolean tied = spec.head().tied() && id.equals(ParamId.weight(Part.HEAD));
        if (tied || had.containsKey(id)) {
          float[] expected = weights.floats(tied ? ParamId.weight(Part.EMBEDDING) : id);
          boolean turned =
              (id.part() == Part.QUERY || id.part() == Part.KEY)
                  && spec.first().attention().position() instanceof Position.Rotary rotary
                  && rotary.interleaved();
          assertThat(found)
              .as(id.toString())
              .isEqualTo(turned ? halved(expected, param.columns()) : expected);
        } else {
          assertThat(found).as(id.toString()).containsOnly(0);
        }
        had.remove(id);
      }
      assertThat(had).isEmpty();
    }
  }

  /** Rows of heads of 16 whose first 8 are four pairs, as halves of four. */
  private static float[] halved(float[] rows, int columns) {
    float[] halved = rows.clone();
    for (int head = 0; head < rows.length / columns / 16; head++) {
      for (int pair = 0; pair < 4; pair++) {
        for (int which = 0; which < 2; which++) {
          System.arraycopy(
              rows,
              (head * 16 + 2 * pair + which) * columns,
              halved,
              (head * 16 + which * 4 + pair) * columns,
              columns);
        }
      }
    }
    return halved;
  }

  /**
   * Files of architecture gptj, which we do not write, have a matrix each for queries, keys and
   * values.
   */
  @Test
  void queriesKeysAndValuesInThreeMatricesAreJoined() {
    ModelSpec spec = spec(PAIRS, ONE_NORM, false, true, false);
    Map<String, GgufValue> metadata = new LinkedHashMap<>(GgufArchitecture.GPTJ.metadata(spec));
    metadata.put("general.architecture", GgufValue.text("gptj"));
    metadata.put("tokenizer.ggml.eos_token_id", GgufValue.u32(5));
    Path file = dir.resolve("gptj.gguf");
    RandomWeights weights = new RandomWeights(spec, 3);
    List<GgufWriter.Declared> declared =
        spec.parameters().stream()
            .map(
                param ->
                    GgufFileTest.tensor(
                        GgufArchitecture.tensorName(param.id()), GgmlType.F32, param.axes()))
            .toList();
    assertThat(declared)
        .extracting(GgufWriter.Declared::name)
        .contains("blk.0.attn_q.weight", "blk.1.attn_k.weight", "blk.1.attn_v.weight");
    try (GgufWriter writer = new GgufWriter(file, metadata, declared, bytes -> {})) {
      for (Param param : spec.parameters()) {
        writer.write(GgufArchitecture.tensorName(param.id()), weights.values(param.id()).data());
      }
      writer.commit();
    }
    try (Arena arena = Arena.ofShared();
        StoredModel model = ModelFiles.open(file)) {
      assertThat(model.spec()).isEqualTo(spec);
      RandomWeights.assertSame(model, weights);
      for (TensorExpression tensor : CanonicalNames.of(spec)) {
        RandomWeights.assertSame(
            tensor.name(), model.read(tensor, arena), weights.read(tensor, arena));
      }
    }
  }

  private static String type(ModelWeights model, ParamId id) {
    return model.holder(id).type();
  }

  @Test
  void quantisedFilesKeepNormsBiasesAndPositionsAndAnExactHead() {
    ParamId embedding = ParamId.weight(Part.EMBEDDING);
    try (GgufModel model =
        GgufModel.open(export(spec(LEARNED, SERIAL, true, false, true), GgmlType.Q4_0))) {
      assertThat(type(model, ParamId.weight(0, Part.QUERY))).isEqualTo("Q4_0");
      assertThat(type(model, embedding)).isEqualTo("Q8_0");
      assertThat(type(model, ParamId.weight(Part.POSITIONS))).isEqualTo("F32");
      assertThat(type(model, ParamId.bias(0, Part.UP))).isEqualTo("F32");
      assertThat(type(model, ParamId.weight(Part.FINAL_NORM))).isEqualTo("F32");
    }
    try (GgufModel model =
        GgufModel.open(export(spec(HALVES, PARALLEL, true, false, false), GgmlType.Q4_0))) {
      assertThat(type(model, embedding)).isEqualTo("Q4_0");
      assertThat(type(model, ParamId.weight(Part.HEAD))).isEqualTo("Q8_0");
      assertThat(model.file().metadata().text("general.name")).isEqualTo("a test");
    }
    // A row of 40 is no whole number of blocks.
    try (GgufModel model = GgufModel.open(export(ModelSpec.neox(96, 40, 1, 5, 8), GgmlType.Q8_0))) {
      assertThat(type(model, embedding)).isEqualTo("F16");
      assertThat(type(model, ParamId.weight(0, Part.DOWN))).isEqualTo("Q8_0");
    }
  }

  /** Half a step of a block's scale, which is its largest magnitude over 127 or 8. */
  @ParameterizedTest
  @CsvSource({"Q8_0, 127", "Q4_0, 8"})
  void quantisedValuesAreCloseToTheirSource(GgmlType type, int steps) {
    RandomWeights weights = new RandomWeights(spec(HALVES, PARALLEL, true, false, false), 3);
    try (StoredModel model = ModelFiles.open(export(weights, type))) {
      for (Param param : weights.spec().parameters()) {
        float[] expected = weights.floats(param.id());
        float[] found = model.floats(param.id());
        for (int block = 0; param.isMatrix() && block < expected.length; block += 32) {
          float largest = 0;
          for (int i = block; i < block + 32; i++) {
            largest = Math.max(largest, Math.abs(expected[i]));
          }
          for (int i = block; i < block + 32; i++) {
            // A value at the end opposite to the largest is a whole step off in Q4_0.
            assertThat(found[i])
                .as(param.id() + " " + i)
                .isCloseTo(expected[i], within(largest / steps * 1.01f));
          }
        }
      }
    }
  }

  @Test
  void withoutOurKeyAFileMeansLlamaCppsGelu() throws IOException {
    Path file = export(ModelSpec.neox(96, 64, 1, 4, 8), GgmlType.F32);
    byte[] bytes = Files.readAllBytes(file);
    int key = new String(bytes, StandardCharsets.ISO_8859_1).indexOf("jneox.hidden_act");
    bytes[key] = 'k';
    Files.write(dir.resolve("other.gguf"), bytes);
    try (StoredModel ours = ModelFiles.open(file);
        StoredModel other = ModelFiles.open(dir.resolve("other.gguf"))) {
      assertThat(ours.spec().first().feedForward().activation()).isEqualTo(Activation.GELU);
      assertThat(other.spec().first().feedForward().activation()).isEqualTo(Activation.GELU_TANH);
    }
  }

  @Test
  void whatLlamaCppCannotComputeIsRefusedInOneLine() {
    refused(
        spec(LEARNED, PARALLEL, true, false, true), "learned positions with a parallel residual");
    refused(spec(HALVES, PARALLEL, true, true, false), "a head with a bias");
    ModelSpec neo = spec(LEARNED, SERIAL, false, false, true);
    refused(neo.withWindows(List.of(0, 16)), "local attention windows");
    refused(
        neo.mapBlocks(block -> block.withAttention(block.attention().withScale(1))),
        "attention without the scale");
    refused(FamilyFolder.tiny("llama"), "a model of this kind");
  }

  private void refused(ModelSpec spec, String says) {
    assertThatThrownBy(
            () -> new GgufExport(dir.resolve("no.gguf"), spec, GgmlType.F32, null, Map.of()))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("no.gguf", "llama.cpp has no graph for", says);
  }

  @Test
  void warningsAreListed() throws IOException {
    Path file = dir.resolve("a.gguf");
    ModelSpec neox = ModelSpec.neox(300, 64, 1, 4, 8);
    assertThat(
            new GgufExport(file, neox, GgmlType.F32, GgufTokenizerTest.trained(300), Map.of())
                .warnings())
        .singleElement()
        .asString()
        .contains("tanh");
    ModelSpec gptj = spec(PAIRS, ONE_NORM, false, true, true);
    assertThat(new GgufExport(file, gptj, GgmlType.F32, null, Map.of()).warnings()).hasSize(3);
  }

  @Test
  void valuesThatTheTypeCannotHoldLeaveNoFile() {
    for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY, 70000}) {
      RandomWeights weights = new RandomWeights(ModelSpec.neox(96, 64, 1, 4, 8), 3);
      weights.set(ParamId.weight(0, Part.ATTENTION_OUT), 77, value);
      assertThatThrownBy(() -> export(weights, GgmlType.F16))
          .isInstanceOf(InputException.class)
          .hasMessageContainingAll("model.gguf: tensor blk.0.attn_output.weight", "65504");
    }
    assertThat(dir).isEmptyDirectory();
  }

  private static final String NAME = "part-0000%d-of-00003.gguf";

  /**
   * Splits a file as gguf-split does: all metadata in the first part, a third of the tensors each.
   */
  private void split(Path whole) {
    try (GgufFile file = GgufFile.open(whole)) {
      List<GgufFile.Entry> entries = List.copyOf(file.entries());
      for (int part = 0; part < 3; part++) {
        Map<String, GgufValue> metadata = new LinkedHashMap<>();
        if (part == 0) {
          metadata.putAll(file.metadata().values());
          metadata.remove("general.alignment");
        }
        metadata.put("split.no", GgufValue.u32(part));
        metadata.put("split.count", GgufValue.u32(3));
        metadata.put("split.tensors.count", GgufValue.u32(entries.size()));
        List<GgufFile.Entry> own =
            entries.subList(entries.size() * part / 3, entries.size() * (part + 1) / 3);
        List<GgufWriter.Declared> declared =
            own.stream().map(e -> new GgufWriter.Declared(e.name(), e.type(), e.shape())).toList();
        Path target = dir.resolve(NAME.formatted(part + 1));
        try (GgufWriter writer = new GgufWriter(target, metadata, declared, bytes -> {})) {
          own.forEach(e -> writer.write(e.name(), file.data(e.name())));
          writer.commit();
        }
      }
    }
  }

  @Test
  void allPartsOfASplitFileAreOneModel() {
    Path whole = export(ModelSpec.neox(96, 64, 2, 4, 8), GgmlType.Q8_0);
    split(whole);
    assertThat(GgufFile.files(dir.resolve(NAME.formatted(2)))).hasSize(3);
    for (int named = 1; named <= 3; named++) {
      try (Arena arena = Arena.ofShared();
          StoredModel expected = ModelFiles.open(whole);
          StoredModel parts = ModelFiles.open(dir.resolve(NAME.formatted(named)))) {
        assertThat(parts.path()).isEqualTo(dir.resolve(NAME.formatted(1)));
        assertThat(parts.spec()).isEqualTo(expected.spec());
        for (Param param : expected.spec().parameters()) {
          assertThat(parts.read(param.id(), arena).floats())
              .isEqualTo(expected.read(param.id(), arena).floats());
        }
      }
    }
  }

  @Test
  void whatIsWrongWithPartsIsNamed() throws IOException {
    split(export(ModelSpec.neox(96, 64, 2, 4, 8), GgmlType.F32));
    Path first = dir.resolve(NAME.formatted(1));
    Path second = dir.resolve(NAME.formatted(2));
    Path third = dir.resolve(NAME.formatted(3));
    Path away = dir.resolve("away");
    Files.move(third, away);
    parts(first, first, "split.count", "all 3 parts", "no part-00003-of-00003.gguf");
    Files.copy(second, third);
    parts(first, third, "tensor \"", "each tensor once", "it in " + second);
    Files.move(away, third, StandardCopyOption.REPLACE_EXISTING);
    Files.move(second, away);
    Files.copy(first, second);
    parts(first, second, "tensor \"", "each tensor once", "it in " + first);
    Files.move(away, second, StandardCopyOption.REPLACE_EXISTING);
    Path free = Files.copy(first, dir.resolve("model-of-three.gguf"));
    parts(free, free, "split.count", "NAME-00002-of-00003.gguf (fetch all parts");
    Files.delete(first);
    parts(second, second, "key split.no", "0, the first of 3 parts", "1");
  }

  private static void parts(Path opened, Path named, String... says) {
    assertThatThrownBy(() -> ModelFiles.open(opened))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(named.toString())
        .hasMessageContainingAll(says);
  }

  @Test
  void everyIdThatEndsATextComesBack() {
    ModelSpec spec = ModelSpec.neox(96, 64, 1, 4, 8);
    ModelSpec ends = spec.withVocabulary(spec.vocabulary().withEnds(List.of(0, 9, 11)));
    try (StoredModel model = ModelFiles.open(export(ends, GgmlType.F32))) {
      assertThat(model.spec().vocabulary()).isEqualTo(ends.vocabulary());
    }
  }

  @Test
  void tensorsThatDoNotFitTheMetadataAreNamed() throws IOException {
    byte[] bytes = Files.readAllBytes(export(ModelSpec.neox(96, 64, 1, 4, 8), GgmlType.F32));
    changed(
        bytes,
        "blk.0.ffn_up.bias",
        "blk.0.ffn_ap.bias",
        "tensor \"blk.0.ffn_up.bias\"",
        "no such tensor");
    changed(
        bytes, "general.architecture", "general.architektur", "general.architecture", "gptneox");
    changed(
        bytes, "gptneox.block_count", "gptneox.block_kount", "gptneox.block_count", "no such key");
    Map<String, GgufValue> metadata = Map.of("general.architecture", GgufValue.text("llama"));
    GgufFileTest.write(dir.resolve("llama.gguf"), metadata);
    assertThatThrownBy(() -> ModelFiles.open(dir.resolve("llama.gguf")))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(
            "llama.gguf", "general.architecture", "gptneox, gpt2, gptj or phi2", "llama");
  }

  private void changed(byte[] bytes, String from, String to, String... says) throws IOException {
    byte[] other = bytes.clone();
    int at = new String(bytes, StandardCharsets.ISO_8859_1).indexOf(from);
    System.arraycopy(to.getBytes(StandardCharsets.ISO_8859_1), 0, other, at, to.length());
    Path file = dir.resolve("changed.gguf");
    Files.write(file, other);
    assertThatThrownBy(() -> ModelFiles.open(file))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(says);
  }
}
