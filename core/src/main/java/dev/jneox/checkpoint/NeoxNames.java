package dev.jneox.checkpoint;

import dev.jneox.model.ModelConfig;
import dev.jneox.model.Residual;

/**
 * Where a tensor is in GPT-NeoX's own checkpoints. Its layers are numbered as the modules of its
 * pipeline: 0 is the embedding, 1 only turns axes, 2 to L+1 are the blocks, L+2 turns them back,
 * L+3 is the final norm and L+4 the head.
 *
 * @param newMlpNames {@code mlp.linear1} and {@code mlp.linear2} (since September 2024), not {@code
 *     mlp.dense_h_to_4h} and {@code mlp.dense_4h_to_h}
 */
record NeoxNames(ModelConfig config, boolean newMlpNames) {
  static final String ROTARY_BUFFER = "attention.rotary_emb.inv_freq";

  /** Number of the layer, name in it, and how it is divided. */
  record Place(int layer, String name, TensorSplit split) {}

  /** Where a tensor of {@link ModelConfig#tensors} is. */
  Place place(String canonical) {
    String[] parts = canonical.split("\\.", 3);
    return switch (parts[0]) {
      case "embed_in" -> new Place(0, "word_embeddings.weight", TensorSplit.ROWS);
      case "embed_positions" -> new Place(0, "position_embeddings.weight", TensorSplit.SAME);
      case "layers" -> block(Integer.parseInt(parts[1]) + 2, parts[2]);
      case "final_layer_norm" ->
          new Place(config.layers() + 3, "norm." + parts[1], TensorSplit.SAME);
      case "embed_out" -> new Place(config.layers() + 4, "final_linear.weight", TensorSplit.ROWS);
      default -> throw new IllegalArgumentException("no tensor " + canonical);
    };
  }

  private Place block(int layer, String name) {
    // Ranks of a serial block add the bias once, after their results are summed; of a parallel one
    // each its own, before.
    TensorSplit bias = config.residual() == Residual.SERIAL ? TensorSplit.SAME : TensorSplit.SUM;
    TensorSplit split =
        switch (name) {
          case "attention.dense.weight", "mlp.dense_4h_to_h.weight" -> TensorSplit.COLUMNS;
          case "attention.dense.bias", "mlp.dense_4h_to_h.bias" -> bias;
          default -> name.contains("layernorm") ? TensorSplit.SAME : TensorSplit.ROWS;
        };
    String stored =
        newMlpNames
            ? name.replace("mlp.dense_h_to_4h.", "mlp.linear1.")
                .replace("mlp.dense_4h_to_h.", "mlp.linear2.")
            : name;
    return new Place(layer, stored, split);
  }

  /** What is saved beside the weights and follows from the configuration. */
  boolean isBuffer(String name) {
    return name.startsWith("attention.rotary_emb.")
        || name.equals("attention.bias")
        || name.equals("attention.masked_bias")
        || config.residual() == Residual.PARALLEL_ONE_NORM
            && name.startsWith("post_attention_layernorm.");
  }

  static String file(int layer, int rank) {
    return String.format("layer_%02d-model_%02d-model_states.pt", layer, rank);
  }
}
