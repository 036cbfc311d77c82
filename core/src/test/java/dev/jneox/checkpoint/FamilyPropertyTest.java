package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
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
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * Folders of every family: what is written comes back, and what is broken is named or, where it is
 * still a model, read.
 */
class FamilyPropertyTest {
  /** Every choice there is; most are no known family's. */
  @Provide
  Arbitrary<ModelConfig> anyModel() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    Arbitrary<Position> position =
        Arbitraries.oneOf(
            Arbitraries.just(new Position.Learned()),
            Combinators.combine(Arbitraries.of(2, 4, 6), Arbitraries.of(10000.0, 500.5), flag)
                .as(Position.Rotary::new));
    return Combinators.combine(
            position,
            Arbitraries.of(Residual.class),
            Arbitraries.of(Activation.class),
            Arbitraries.of(0, 0, 1, 5).list().ofSize(2),
            Arbitraries.integers().between(1, 3),
            Arbitraries.of(-1, 0, 7),
            flag.array(boolean[].class).ofSize(5))
        .as(
            (where, residual, activation, windows, heads, end, choice) ->
                new ModelConfig(
                    17,
                    17,
                    6 * heads,
                    2,
                    heads,
                    11,
                    9,
                    where,
                    residual,
                    activation,
                    1e-6,
                    windows,
                    choice[0],
                    choice[1],
                    choice[2],
                    choice[3],
                    choice[4],
                    end));
  }

  /** The known families, in every choice they leave. */
  @Provide
  Arbitrary<ModelConfig> familyModel() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    return Combinators.combine(
            Arbitraries.of("gpt_neox", "gptj", "gpt2", "gpt_neo"),
            Arbitraries.of(2, 4, 6),
            Arbitraries.of(Activation.class),
            Arbitraries.of(0, 3).list().ofSize(2),
            Arbitraries.integers().between(1, 3),
            flag,
            flag)
        .as(
            (type, dims, activation, windows, heads, tied, choice) -> {
              boolean neo = type.equals("gpt_neo");
              boolean j = type.equals("gptj");
              boolean neox = type.equals("gpt_neox");
              Position position =
                  neox || j
                      ? new Position.Rotary(dims, neox ? 77 : 10000, j)
                      : new Position.Learned();
              Residual residual =
                  j
                      ? Residual.PARALLEL_ONE_NORM
                      : neox && choice ? Residual.PARALLEL : Residual.SERIAL;
              boolean biases = !j && (!neox || choice);
              return new ModelConfig(
                  17,
                  17,
                  6 * heads,
                  2,
                  heads,
                  11,
                  9,
                  position,
                  residual,
                  activation,
                  1e-6,
                  neo ? windows : List.of(0, 0),
                  !neo && (!type.equals("gpt2") || choice),
                  biases && !neo,
                  biases,
                  j,
                  tied,
                  3);
            });
  }

  @Property(tries = 150, edgeCases = EdgeCasesMode.NONE)
  void knownFamiliesComeBackUnderTheirOwnName(@ForAll("familyModel") ModelConfig config)
      throws IOException {
    assertThat(HfFolder.modelType(config)).isNotEqualTo("jneox");
    comesBack(config);
  }

  /** The same weights as torch.save writes them, in one file and in two. */
  @ParameterizedTest
  @FieldSource("dev.jneox.checkpoint.FamilyFolder#TYPES")
  void filesOfPyTorchHoldTheSameModel(String type, @TempDir Path dir) throws IOException {
    ModelConfig config = FamilyFolder.tiny(type);
    Path original = dir.resolve("safetensors");
    try (PointerScope _ = new PointerScope()) {
      Map<String, Tensor> weights = random(config);
      HfFolder.write(original, config, weights, Dtype.F16, null);
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
          assertThat(torch.config()).isEqualTo(config);
          assertThat(torch.files()).hasSize(folder == one ? 1 : 2);
          weights.forEach(
              (name, tensor) ->
                  assertThat(torch.tensor(name).equal(tensor.to(ScalarType.Half)))
                      .as(name)
                      .isTrue());
          assertThat(torch.mapped("final_layer_norm.weight").orElseThrow().floats())
              .isEqualTo(Tensors.floats(torch.tensor("final_layer_norm.weight")));
        }
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
      order.forEach(name -> writer.write(source.data(name)));
      writer.commit();
    }
  }

  @Property(tries = 150, edgeCases = EdgeCasesMode.NONE)
  void everyModelComesBack(@ForAll("anyModel") ModelConfig config) throws IOException {
    comesBack(config);
  }

  private static void comesBack(ModelConfig config) throws IOException {
    Path dir = Files.createTempDirectory("family");
    try (PointerScope _ = new PointerScope()) {
      Map<String, Tensor> weights = random(config);
      new HfFolderWriter(dir, config, Dtype.F32).shards(2000).write(weights);
      try (HfFolder folder = HfFolder.open(dir)) {
        assertThat(folder.config()).isEqualTo(config);
        weights.forEach(
            (name, tensor) -> {
              Tensor found = folder.tensor(name);
              assertThat(Tensors.shape(found)).as(name).isEqualTo(Tensors.shape(tensor));
              assertThat(found.equal(tensor)).as(name).isTrue();
            });
      }
    } finally {
      try (var files = Files.list(dir)) {
        files.forEach(f -> f.toFile().delete());
      }
      Files.delete(dir);
    }
  }

  private static Map<String, Tensor> random(ModelConfig config) {
    Map<String, Tensor> weights = new LinkedHashMap<>();
    Random random = new Random(4);
    for (ModelConfig.TensorSpec spec : config.tensors()) {
      float[] values = new float[(int) spec.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = random.nextFloat();
      }
      weights.put(spec.name(), Tensors.of(values, spec.shape()));
    }
    return weights;
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
          "\"jneox\"",
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
      try (HfFolder folder = HfFolder.open(tiny.write());
          PointerScope _ = new PointerScope()) {
        new HfFolderWriter(dir.resolve(type), tiny.model, Dtype.F32)
            .shards(3000)
            .write(folder::tensor);
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
    assertThat(tried).isEqualTo(4000);
    assertThat(read).isLessThan(tried / 2);
  }

  /** Whether it opens; if not, the error is one line and names a file of the folder. */
  private static boolean opens(Path dir, String what) {
    try {
      HfFolder.open(dir).close();
      return true;
    } catch (InputException e) {
      assertThat(e).as(what).hasMessageStartingWith(dir.toString());
      assertThat(e.getMessage().lines()).as(what).hasSize(1);
      assertThat(e.getMessage()).as(what).hasSizeLessThan(1500);
      return false;
    }
  }
}
