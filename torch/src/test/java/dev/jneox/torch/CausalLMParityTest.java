package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.RandomWeights;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The reference model against what HF transformers computed for the same weights and ids, in fp32.
 */
@ParameterizedClass
@ValueSource(
    strings = {
      "neox-parallel",
      "neox-20b-like",
      "neox-serial-tied",
      "gptj",
      "gpt-neo",
      "gpt2",
      "llama"
    })
@Tag("slow")
class CausalLMParityTest {
  private static final float TOLERANCE = 1e-4f;
  private static final int GREEDY_PROMPT = 9;

  @TempDir Path written;

  private final Path dir;
  private PointerScope scope;
  private HfFolder folder;
  private Safetensors expected;
  private CausalLM model;

  CausalLMParityTest(String name) {
    dir = Path.of("../core/src/test/resources/parity", name);
  }

  @BeforeEach
  void open() {
    scope = new PointerScope();
    folder = HfFolder.open(dir);
    expected = Safetensors.open(dir.resolve("expected.safetensors"));
    model = CausalLM.of(folder, type -> type, Device.CPU);
  }

  @AfterEach
  void close() {
    model.close();
    scope.close();
    expected.close();
    folder.close();
  }

  @Test
  void logits() {
    Tensor logits = model.forward(Tensors.read(expected, "input_ids"));
    assertClose(logits, "logits");
  }

  @Test
  void hiddenStatesOfEveryLayerSeenThroughHooks() {
    Captured seen = new Captured(name -> name.endsWith(".hook_resid_pre"));
    Tensor last = model.hidden(Tensors.read(expected, "input_ids"), null, seen);
    int layers = model.spec().layers();
    for (int l = 0; l < layers; l++) {
      assertClose(seen.get("blocks." + l + ".hook_resid_pre"), "hidden." + l);
    }
    assertClose(last, "hidden." + layers);
    assertThat(seen.values).hasSize(layers);
  }

  @Test
  void attentionPatternsOfEveryLayer() {
    Captured seen = new Captured(name -> name.endsWith(".hook_pattern"));
    assertClose(model.forward(Tensors.read(expected, "input_ids"), null, seen), "logits");
    for (int l = 0; l < model.spec().layers(); l++) {
      assertClose(seen.get("blocks." + l + ".attn.hook_pattern"), "attention." + l);
    }
  }

  @Test
  void logProbabilitiesOfTheTokens() {
    assertClose(tokenLogProbs(), "token_logprobs");
  }

  /** Of ids[1:], {@code [B,S-1]}. */
  private Tensor tokenLogProbs() {
    Tensor ids = Tensors.read(expected, "input_ids");
    long seq = ids.size(1);
    Tensor logits = model.forward(ids).narrow(1, 0, seq - 1);
    return torch
        .log_softmax(logits, 2)
        .gather(2, ids.narrow(1, 1, seq - 1).unsqueeze(2))
        .squeeze(2);
  }

  @Test
  void greedyTokensOverTheWholeTextEachTime() {
    int[] ids = greedy();
    for (int n = GREEDY_PROMPT; n < ids.length; n++) {
      try (PointerScope _ = new PointerScope()) {
        Tensor logits = model.forward(Tensors.of(Arrays.copyOf(ids, n), 1, n));
        assertThat(logits.select(1, n - 1).argmax().item_long())
            .as("token %d", n)
            .isEqualTo(ids[n]);
      }
    }
  }

  @Test
  void greedyTokensOneAtATimeThroughTheCache() {
    int[] ids = greedy();
    try (KvCache cache = new KvCache(model, 1, ids.length)) {
      for (int n = GREEDY_PROMPT; n < ids.length; n++) {
        try (PointerScope _ = new PointerScope()) {
          int[] fresh = Arrays.copyOfRange(ids, cache.length(), n);
          Tensor logits = model.forward(Tensors.of(fresh, 1, fresh.length), cache, Hooks.NONE);
          assertThat(logits.select(1, fresh.length - 1).argmax().item_long())
              .as("token %d", n)
              .isEqualTo(ids[n]);
        }
      }
    }
  }

  /** Nine ids of prompt and the 32 most likely that follow. */
  private int[] greedy() {
    return Arrays.stream(Tensors.longs(Tensors.read(expected, "greedy")))
        .mapToInt(Math::toIntExact)
        .toArray();
  }

  @Test
  void lossAndTheGradientNormOfEveryParameter() throws IOException {
    JsonNode json = new ObjectMapper().readTree(dir.resolve("expected.json").toFile());
    model.requireGradients();
    Tensor loss = tokenLogProbs().mean().neg();
    loss.backward();
    assertThat(loss.item_double())
        .isCloseTo(json.get("loss").doubleValue(), within((double) TOLERANCE));
    RandomWeights gradients = new RandomWeights(model.spec(), 1);
    model.weights().forEach((id, weight) -> gradients.put(id, Tensors.floats(weight.grad())));
    // Written as weights are, they have the names and the shapes that HF's parameters have.
    new HfFolderWriter(written, model.spec(), Dtype.F32).write(gradients);
    JsonNode norms = json.get("grad_norms");
    try (Safetensors file = Safetensors.open(written.resolve("model.safetensors"))) {
      assertThat(norms.size()).isEqualTo(file.names().size());
      for (String name : file.names()) {
        JsonNode norm = norms.get(name.equals("embed_out.weight") ? "lm_head.weight" : name);
        assertThat(Tensors.read(file, name).norm().item_double())
            .as(name)
            .isCloseTo(norm.doubleValue(), within((double) TOLERANCE));
      }
    }
  }

  @Test
  void gradientsAreNotRecordedForWeightsThatDoNotAskForThem() {
    assertThat(model.forward(Tensors.read(expected, "input_ids")).requires_grad()).isFalse();
    model.requireGradients();
    try (NoGradGuard _ = new NoGradGuard()) {
      assertThat(model.forward(Tensors.read(expected, "input_ids")).requires_grad()).isFalse();
    }
    assertThat(model.forward(Tensors.read(expected, "input_ids")).requires_grad()).isTrue();
  }

  private void assertClose(Tensor found, String name) {
    Tensor e = Tensors.read(expected, name);
    assertThat(Tensors.shape(found)).as(name).isEqualTo(Tensors.shape(e));
    assertThat(Tensors.floats(found))
        .as(name)
        .containsExactly(Tensors.floats(e), within(TOLERANCE));
  }
}
