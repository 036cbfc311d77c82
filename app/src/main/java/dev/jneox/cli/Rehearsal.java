package dev.jneox.cli;

import dev.jneox.checkpoint.CanonicalNames;
import dev.jneox.checkpoint.Dtype;
import dev.jneox.checkpoint.HfFolder;
import dev.jneox.checkpoint.SafetensorsWriter;
import dev.jneox.checkpoint.TensorExpression;
import dev.jneox.io.AtomicFolder;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Writes a few tokens with a small model made for the purpose, for the JVM to keep the classes that
 * a start needs ({@code -XX:ArchiveClassesAtExit}); the launcher runs it once a build. It does
 * without libtorch, whose libraries a first command may be unpacking meanwhile. The model is made
 * with our own commands: so their classes are kept as well.
 */
final class Rehearsal {
  /** The tokenizer is trained on this, and it is what is continued. */
  private static final String TEXT =
      "Once upon a time there was a model that had read nothing but this. ";

  private static final String CONFIG =
      """
      {"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "vocab_size": 384, "hidden_size": 128,
       "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 512, "max_position_embeddings": 2048,
       "hidden_act": "gelu", "layer_norm_eps": 1e-5, "rotary_pct": 0.25, "rotary_emb_base": 10000, "bos_token_id": 0,
       "eos_token_id": 0, "use_parallel_residual": true, "tie_word_embeddings": false}
      """;

  private Rehearsal() {}

  public static void main(String[] args) throws IOException {
    StandardOutput.install(); // as Start does
    Path folder = Files.createTempDirectory("jneox-rehearsal");
    int exit;
    try {
      exit = run(folder);
    } finally {
      AtomicFolder.delete(folder);
    }
    System.exit(exit);
  }

  /** Works in a folder and returns the exit code of the first command that fails, or 0. */
  static int run(Path folder) throws IOException {
    Path text = Files.writeString(folder.resolve("text.txt"), TEXT);
    Path source = Files.createDirectory(folder.resolve("source"));
    String model = folder.resolve("model").toString();
    writeModel(source);
    List<String[]> commands =
        List.of(
            new String[] {
              "tokenizer",
              "train",
              "--vocab-size",
              "270",
              "--out",
              source.resolve("tokenizer.json").toString(),
              text.toString()
            },
            new String[] {"quantize", "--from", source.toString(), "--to", model, "--dtype", "q4"},
            new String[] {"generate", "--model", model, "--prompt", TEXT, "--max-tokens", "8"});
    Relaunch.read(); // as Start does
    for (String[] command : commands) {
      int exit = Main.run(command);
      if (exit != 0) {
        return exit;
      }
    }
    return 0;
  }

  /** Random weights, written without libtorch as the synth command would. */
  private static void writeModel(Path folder) throws IOException {
    Files.writeString(folder.resolve("config.json"), CONFIG);
    List<SafetensorsWriter.Declared> tensors = new ArrayList<>();
    for (TensorExpression tensor : CanonicalNames.of(HfFolder.spec(folder))) {
      String name =
          tensor.name().startsWith("embed_out") ? tensor.name() : "gpt_neox." + tensor.name();
      tensors.add(
          new SafetensorsWriter.Declared(
              name, Dtype.F32, Arrays.stream(tensor.shape()).boxed().toList()));
    }
    Random random = new Random(1);
    try (SafetensorsWriter writer =
        new SafetensorsWriter(
            folder.resolve("model.safetensors"), tensors, SafetensorsWriter.PYTORCH)) {
      for (SafetensorsWriter.Declared tensor : tensors) {
        int elements = Math.toIntExact(tensor.shape().stream().reduce(1L, Math::multiplyExact));
        ByteBuffer values =
            ByteBuffer.allocate(elements * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        while (values.hasRemaining()) {
          values.putFloat((float) random.nextGaussian(0, 0.02));
        }
        writer.write(tensor.name(), MemorySegment.ofArray(values.array()));
      }
      writer.commit();
    }
  }
}
