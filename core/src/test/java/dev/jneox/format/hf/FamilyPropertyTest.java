package dev.jneox.format.hf;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.format.torch.TorchFileWriter;
import dev.jneox.io.JneoxException;
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
import dev.jneox.weights.Dtype;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.Rounded;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * Folders of every family: what is written comes back, and what is broken is named or, where it is
 * still a model, read.
 */
@Tag("slow")
@net.jqwik.api.Tag("slow")
class FamilyPropertyTest {
  private static final Arbitrary<Boolean> FLAG = Arbitraries.of(true, false);

  /** Every choice there is; most are no known family's. */
  @Provide
  Arbitrary<ModelSpec> anyModel() {
    Arbitrary<Position> rotary =
        Combinators.combine(Arbitraries.of(2, 4, 6), Arbitraries.of(10000.0, 500.5), FLAG)
            .as(Position.Rotary::new);
    Arbitrary<Position> position = Arbitraries.oneOf(rotary, Arbitraries.of(new Position.None()));
    return Combinators.combine(position, block(), shape(), FLAG.array(boolean[].class).ofSize(4))
        .as(
            (where, block, shape, choice) -> {
              Attention attention =
                  new Attention(
                      shape.heads(),
                      shape.kvHeads(),
                      shape.headDim(),
                      where,
                      0,
                      shape.scale() == 0 ? Attention.scaleOf(shape.headDim()) : shape.scale(),
                      choice[0],
                      choice[1]);
              boolean learned = choice[2] && where instanceof Position.None;
              return ModelSpec.of(
                      Vocabulary.of(17, shape.endOfText()),
                      shape.width(),
                      new Embedding(learned),
                      2,
                      block.withAttention(attention),
                      new Head(choice[2], choice[3]),
                      9)
                  .withWindows(shape.windows());
            });
  }

  /** Sizes that stand for themselves. */
  private record Shape(
      int heads,
      int kvHeads,
      int headDim,
      int width,
      double scale,
      int endOfText,
      List<Integer> windows) {}

  private static Arbitrary<Shape> shape() {
    return Combinators.combine(
            Arbitraries.of(1, 2, 3),
            Arbitraries.of(1, 1, 2, 3),
            Arbitraries.of(6, 6, 8, 11),
            Arbitraries.of(0, 0, 5),
            Arbitraries.of(0.0, 0.0, 1.0, 0.3),
            Arbitraries.of(-1, 0, 7),
            Arbitraries.of(0, 0, 1, 5).list().ofSize(2))
        .as(
            (kvHeads, group, headDim, wider, scale, end, windows) ->
                new Shape(
                    kvHeads * group,
                    kvHeads,
                    headDim,
                    kvHeads * group * headDim + wider,
                    scale,
                    end,
                    windows));
  }

  /** Of any kind, but for its attention. */
  private static Arbitrary<BlockSpec> block() {
    return Combinators.combine(
            Arbitraries.of(new Norm.Layer(1e-6), new Norm.Rms(1e-6)),
            Arbitraries.of(0, 1, 2),
            Arbitraries.of(Activation.class),
            FLAG,
            FLAG)
        .as(
            (norm, residual, activation, gated, bias) ->
                new BlockSpec(
                    residual(residual, norm),
                    Attention.of(1, 6, new Position.None()),
                    gated
                        ? new FeedForward.Gated(11, activation, bias)
                        : new FeedForward.Plain(11, activation, bias)));
  }

  private static Residual residual(int kind, Norm norm) {
    return switch (kind) {
      case 0 -> new Residual.Serial(norm, norm);
      case 1 -> new Residual.Parallel(norm, norm);
      default -> new Residual.ParallelOneNorm(norm);
    };
  }

  /** The known families, in every choice they leave. */
  @Provide
  Arbitrary<ModelSpec> familyModel() {
    return Combinators.combine(
            Arbitraries.of("gpt_neox", "gptj", "gpt2", "gpt_neo", "llama"),
            Arbitraries.of(2, 4, 6),
            Arbitraries.of(Activation.GELU, Activation.GELU_TANH),
            Arbitraries.of(0, 3).list().ofSize(2),
            Arbitraries.integers().between(1, 3),
            FLAG.array(boolean[].class).ofSize(3))
        .as(
            (type, dims, activation, windows, heads, choice) -> {
              if (type.equals("llama")) {
                return llama(dims, heads, choice);
              }
              boolean neo = type.equals("gpt_neo");
              boolean j = type.equals("gptj");
              boolean neox = type.equals("gpt_neox");
              Position position =
                  neox || j ? new Position.Rotary(dims, neox ? 77 : 10000, j) : new Position.None();
              boolean biases = !j && (!neox || choice[1]);
              boolean scaled = !neo && (!type.equals("gpt2") || choice[1]);
              Attention attention =
                  Attention.of(heads, 6, position).withBiases(biases && !neo, biases);
              return ModelSpec.of(
                      Vocabulary.of(17, 3),
                      6 * heads,
                      new Embedding(!neox && !j),
                      2,
                      new BlockSpec(
                          residual(j ? 2 : neox && choice[1] ? 1 : 0, new Norm.Layer(1e-6)),
                          scaled ? attention : attention.withScale(1),
                          new FeedForward.Plain(11, activation, true)),
                      new Head(choice[0], j),
                      9)
                  .withWindows(neo ? windows : List.of(0, 0));
            });
  }

  private static ModelSpec llama(int headDim, int kvHeads, boolean[] choice) {
    Norm norm = new Norm.Rms(1e-6);
    return ModelSpec.of(
        Vocabulary.of(17, 3),
        12,
        new Embedding(false),
        2,
        new BlockSpec(
            new Residual.Serial(norm, norm),
            Attention.of(2 * kvHeads, headDim, new Position.Rotary(headDim, 5e5, false))
                .withKvHeads(choice[0] ? kvHeads : 2 * kvHeads)
                .withBiases(choice[1], choice[1]),
            new FeedForward.Gated(11, Activation.SILU, choice[2])),
        new Head(choice[0], false),
        9);
  }

  @Property(tries = 150, edgeCases = EdgeCasesMode.NONE)
  void knownFamiliesComeBackUnderTheirOwnName(@ForAll("familyModel") ModelSpec spec)
      throws IOException {
    assertThat(HfFolder.modelType(spec)).isNotEqualTo("jneox");
    comesBack(spec);
  }

  /** The same weights as torch.save writes them, in one file and in two. */
  @ParameterizedTest
  @FieldSource("dev.jneox.format.hf.FamilyFolder#TYPES")
  void filesOfPyTorchHoldTheSameModel(String type, @TempDir Path dir) throws IOException {
    ModelSpec spec = FamilyFolder.tiny(type);
    Path original = dir.resolve("safetensors");
    RandomWeights weights = new RandomWeights(spec, 4);
    new HfFolderWriter(original, spec, Dtype.F16).write(weights);
    Path one = Files.createDirectory(dir.resolve("one"));
    Path two = Files.createDirectory(dir.resolve("two"));
    try (Safetensors file = Safetensors.open(original.resolve("model.safetensors"))) {
      List<String> names = List.copyOf(file.names());
      torch(one.resolve("pytorch_model.bin"), file, names, type.equals("gpt2"));
      Map<String, String> index = new LinkedHashMap<>();
      List<List<String>> halves = List.of(names.subList(0, 9), names.subList(9, names.size()));
      for (int i = 0; i < 2; i++) {
        String shard = "pytorch_model-0000" + (i + 1) + "-of-00002.bin";
        torch(two.resolve(shard), file, halves.get(i), false);
        halves.get(i).forEach(name -> index.put(name, shard));
      }
      Files.write(
          two.resolve("pytorch_model.bin.index.json"),
          FamilyFolder.JSON.writeValueAsBytes(Map.of("weight_map", index)));
    }
    for (Path folder : List.of(one, two)) {
      Files.copy(original.resolve("config.json"), folder.resolve("config.json"));
      try (HfFolder torch = HfFolder.open(folder)) {
        assertThat(torch.spec()).isEqualTo(spec);
        assertThat(torch.files()).hasSize(folder == one ? 1 : 2);
        for (Param param : spec.parameters()) {
          ParamId id = param.id();
          assertThat(torch.holder(id).type()).isEqualTo("F16");
          assertThat(torch.floats(id))
              .as(id.toString())
              .isEqualTo(Rounded.to(Dtype.F16, weights.floats(id)));
        }
        assertThat(torch.holder(ParamId.weight(Part.FINAL_NORM)).inPlace()).isPresent();
      }
    }
  }

  private static void torch(
      Path target, Safetensors source, List<String> names, boolean withTiedHead) {
    Map<String, Object> declared = new LinkedHashMap<>();
    List<String> order = new ArrayList<>(names);
    for (String name : order) {
      Safetensors.Entry entry = source.entry(name);
      declared.put(name, new TorchFileWriter.Declared(entry.dtype(), entry.shape()));
    }
    if (withTiedHead) {
      declared.put("lm_head.weight", declared.get("transformer.wte.weight"));
      order.add("transformer.wte.weight");
    }
    try (TorchFileWriter writer = new TorchFileWriter(target, declared)) {
      order.forEach(name -> writer.write(source.data(name).orElseThrow()));
      writer.commit();
    }
  }

  @Property(tries = 150, edgeCases = EdgeCasesMode.NONE)
  void everyModelComesBack(@ForAll("anyModel") ModelSpec spec) throws IOException {
    comesBack(spec);
  }

  private static void comesBack(ModelSpec spec) throws IOException {
    Path dir = Files.createTempDirectory("family");
    try {
      RandomWeights weights = new RandomWeights(spec, 4);
      new HfFolderWriter(dir, spec, Dtype.F32).shards(2000).write(weights);
      try (HfFolder folder = HfFolder.open(dir)) {
        assertThat(folder.spec()).isEqualTo(spec);
        RandomWeights.assertSame(folder, weights);
      }
    } finally {
      try (var files = Files.list(dir)) {
        files.forEach(f -> f.toFile().delete());
      }
      Files.delete(dir);
    }
  }

  /** Values that a key does not expect, and some that it might. */
  private static final List<String> VALUES =
      List.of(
          "null",
          "true",
          "false",
          "0",
          "1",
          "2",
          "3",
          "-1",
          "16",
          "0.5",
          "1e400",
          "2147483647",
          "2147483648",
          "99999999999999999999",
          "\"\"",
          "\"gelu\"",
          "\"gpt2\"",
          "\"gptj\"",
          "\"gpt_neo\"",
          "\"gpt_neox\"",
          "\"llama\"",
          "\"jneox\"",
          "\"silu\"",
          "\"rms_norm\"",
          "\"learned\"",
          "\"x\\n\\u001b[2J\"",
          "[]",
          "[0]",
          "[0,0]",
          "[null,null]",
          "[[[\"global\"],2]]",
          "[[[\"global\",\"local\"],1]]",
          "[[[\"local\"],2147483647]]",
          "[[[],16384]]",
          "{}",
          "{\"type\":\"rotary\",\"dims\":4,\"base\":1,\"interleaved\":true}",
          "{\"rope_type\":\"yarn\"}",
          "{\"rope_theta\":1e-300}",
          "{\"partial_rotary_factor\":1e300}");

  @Test
  void configurationsWithAnyValueUnderAnyKeyAreReadOrNamed(@TempDir Path dir) throws IOException {
    Set<String> keys = new TreeSet<>();
    for (String type : FamilyFolder.TYPES) {
      new FamilyFolder(dir, type).config.fieldNames().forEachRemaining(keys::add);
    }
    Collections.addAll(
        keys,
        "rope_scaling",
        "norm",
        "gated_mlp",
        "attention_scale",
        "n_ctx",
        "rotary",
        "add_cross_attention",
        "scale_attn_by_inverse_layer_idx");
    int tried = 0;
    int read = 0;
    for (String type : FamilyFolder.TYPES) {
      FamilyFolder good = new FamilyFolder(dir, type);
      good.writeWeights();
      for (String key : keys) {
        List<ObjectNode> changed = new ArrayList<>();
        ObjectNode absent = good.config.deepCopy();
        absent.remove(key);
        changed.add(absent);
        for (String value : VALUES) {
          changed.add(good.config.deepCopy().set(key, FamilyFolder.JSON.readTree(value)));
        }
        for (JsonNode config : changed) {
          Files.write(dir.resolve("config.json"), FamilyFolder.JSON.writeValueAsBytes(config));
          read += opens(dir, type + ": " + key + ": " + config.get(key)) ? 1 : 0;
          tried++;
        }
      }
    }
    System.out.println("configurations tried: " + tried + ", still models: " + read);
    assertThat(tried).isGreaterThan(5000);
    assertThat(read).isBetween(tried / 10, tried - tried / 10);
  }

  @Test
  void configurationsAndIndexesWithAnyByteChangedAreReadOrNamed(@TempDir Path dir)
      throws IOException {
    Random random = new Random(11);
    int tried = 0;
    int read = 0;
    for (String type : FamilyFolder.TYPES) {
      FamilyFolder tiny = new FamilyFolder(dir, type);
      try (HfFolder folder = HfFolder.open(tiny.write())) {
        new HfFolderWriter(dir.resolve(type), tiny.model, Dtype.F32).shards(3000).write(folder);
      }
      for (String name : List.of("config.json", "model.safetensors.index.json")) {
        Path file = dir.resolve(type).resolve(name);
        byte[] good = Files.readAllBytes(file);
        for (int i = 0; i < 400; i++) {
          byte[] bad =
              i % 4 == 0
                  ? java.util.Arrays.copyOf(good, random.nextInt(good.length))
                  : good.clone();
          for (int k = random.nextInt(1, 4); k > 0 && i % 4 > 0; k--) {
            byte[] other = "0123456789\"{}[],:.-/\\eE\0\n ../".getBytes(StandardCharsets.UTF_8);
            bad[random.nextInt(bad.length)] =
                i % 4 == 1 ? (byte) random.nextInt() : other[random.nextInt(other.length)];
          }
          Files.write(file, bad);
          read += opens(dir.resolve(type), new String(bad, StandardCharsets.ISO_8859_1)) ? 1 : 0;
          tried++;
        }
        Files.write(file, good);
      }
      assertThat(opens(dir.resolve(type), "unchanged")).isTrue();
    }
    System.out.println("files with changed bytes tried: " + tried + ", still models: " + read);
    assertThat(tried).isEqualTo(4800);
    assertThat(read).isLessThan(tried / 2);
  }

  /** Whether it opens; if not, the error is one line and names a file of the folder. */
  private static boolean opens(Path dir, String what) {
    try {
      HfFolder.open(dir).close();
      return true;
    } catch (JneoxException e) {
      assertThat(e).as(what).hasMessageStartingWith(dir.toString());
      assertThat(e.getMessage().lines()).as(what).hasSize(1);
      assertThat(e.getMessage()).as(what).hasSizeLessThan(1500);
      return false;
    }
  }
}
