package dev.jneox.format.neox;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.TensorExpression;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Locates tensors in checkpoints of GPT-NeoX. Layers are numbered as the modules of its pipeline: 0
 * is the embedding, 1 only transposes axes, 2 to L+1 are the blocks, L+2 transposes them back, L+3
 * is the final norm and L+4 the head.
 *
 * @param spec the model
 * @param newMlpNames {@code mlp.linear1} and {@code mlp.linear2} (since September 2024) instead of
 *     {@code mlp.dense_h_to_4h} and {@code mlp.dense_4h_to_h}
 */
record NeoxNames(ModelSpec spec, boolean newMlpNames) {
  static final String ROTARY_BUFFER = "attention.rotary_emb.inv_freq";

  /** Holds a tensor and the number of its layer. */
  record Place(int layer, TensorExpression tensor) {}

  /** Lists all tensors of the model with their layers. */
  List<Place> places() {
    Map<ParamId, Param> params = new HashMap<>();
    spec.parameters().forEach(param -> params.put(param.id(), param));
    List<Place> places = new ArrayList<>();
    for (TensorExpression tensor :
        CanonicalNames.tensors(spec, this::name, this::fused, id -> false)) {
      ParamId id = tensor.first();
      int layer =
          switch (id.part()) {
            case EMBEDDING, POSITIONS -> 0;
            case FINAL_NORM -> spec.layers() + 3;
            case HEAD -> spec.layers() + 4;
            default -> id.block() + 2;
          };
      if (id.part() == Part.GATE) {
        continue; // with what it gates
      }
      boolean gated = id.part() == Part.UP && params.containsKey(id.of(Part.GATE));
      places.add(
          new Place(
              layer,
              gated
                  ? new TensorExpression(
                      tensor.name(),
                      List.of(params.get(id), params.get(id.of(Part.GATE))),
                      RowOrder.CONCATENATED,
                      false)
                  : tensor));
    }
    return places;
  }

  private Optional<RowOrder> fused(ParamId query) {
    return Optional.of(RowOrder.neox(spec.block(query.block()).attention()));
  }

  private String name(ParamId id) {
    Norm norm = spec.finalNorm();
    String weight = id.part().isNorm() && norm instanceof Norm.Rms ? "scale" : "weight";
    String part =
        switch (id.part()) {
          case EMBEDDING -> "word_embeddings";
          case POSITIONS -> "position_embeddings";
          case ATTENTION_NORM -> "input_layernorm";
          case FEED_FORWARD_NORM -> "post_attention_layernorm";
          case QUERY, KEY, VALUE -> "attention.query_key_value";
          case ATTENTION_OUT -> "attention.dense";
          case GATE, UP -> newMlpNames ? "mlp.linear1" : "mlp.dense_h_to_4h";
          case DOWN -> newMlpNames ? "mlp.linear2" : "mlp.dense_4h_to_h";
          case FINAL_NORM -> "norm";
          case HEAD -> "final_linear";
        };
    return part + "." + (id.isBias() ? "bias" : weight);
  }

  /** Returns whether a name is that of a buffer, which follows from the configuration. */
  boolean isBuffer(String name) {
    return name.startsWith("attention.rotary_emb.")
        || name.equals("attention.bias")
        || name.equals("attention.masked_bias")
        || spec.first().residual().sharesNorm() && name.startsWith("post_attention_layernorm.");
  }

  static String file(int layer, int rank) {
    return String.format("layer_%02d-model_%02d-model_states.pt", layer, rank);
  }
}
