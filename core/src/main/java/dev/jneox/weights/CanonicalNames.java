package dev.jneox.weights;

import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Names the tensors of JNeoX's own files: HF's names for GPT-NeoX without the leading {@code
 * gpt_neox.}, and further names for parts that GPT-NeoX does not have. Query, key and value are one
 * tensor {@code query_key_value}: ordered by head, or, where heads share keys, all queries, all
 * keys, all values.
 */
public final class CanonicalNames {
  /** Up to so many layers the error for the first tensor that is missing says more. */
  private static final int FEW_LAYERS = 256;

  private CanonicalNames() {}

  /**
   * Checks that a model of very many layers has no more of them than there are tensors. A
   * configuration may state any number, and the list of its tensors is that long.
   *
   * @param place names the source of the number in the error
   * @param tensors in all files of the model
   * @throws InputException when it has more
   */
  public static void requireTensors(ModelSpec spec, Path place, int tensors) {
    if (spec.layers() > Math.max(tensors, FEW_LAYERS)) {
      throw InputException.in(
          place,
          "number of layers",
          "no more than the " + tensors + " tensors in the model's files",
          String.valueOf(spec.layers()));
    }
  }

  /** Lists all tensors of a model in the order of its parameters. */
  public static List<TensorExpression> of(ModelSpec spec) {
    return tensors(
        spec,
        CanonicalNames::name,
        query -> Optional.of(RowOrder.neox(spec.block(query.block()).attention())),
        id -> false);
  }

  /** Returns the name of a parameter; for query, key and value that of the fused tensor. */
  public static String name(ParamId id) {
    String part =
        switch (id.part()) {
          case EMBEDDING -> "embed_in";
          case POSITIONS -> "embed_positions";
          case ATTENTION_NORM -> "input_layernorm";
          case FEED_FORWARD_NORM -> "post_attention_layernorm";
          case QUERY, KEY, VALUE -> "attention.query_key_value";
          case ATTENTION_OUT -> "attention.dense";
          case GATE -> "mlp.gate";
          case UP -> "mlp.dense_h_to_4h";
          case DOWN -> "mlp.dense_4h_to_h";
          case FINAL_NORM -> "final_layer_norm";
          case HEAD -> "embed_out";
        };
    String layer = id.block() == ParamId.MODEL ? "" : "layers." + id.block() + ".";
    return layer + part + kind(id);
  }

  /** Returns {@code .weight} or {@code .bias}. */
  public static String kind(ParamId id) {
    return id.isBias() ? ".bias" : ".weight";
  }

  /**
   * Returns the tensors of a format that differs from a list of parameters only by names, by fused
   * queries, keys and values, and by transposed matrices.
   *
   * @param name of a parameter; of a fused tensor by its query
   * @param fused of a query: the order in which it is one tensor with its key and value; empty
   *     where they are three
   */
  public static List<TensorExpression> tensors(
      ModelSpec spec,
      Function<ParamId, String> name,
      Function<ParamId, Optional<RowOrder>> fused,
      Predicate<ParamId> transposed) {
    Map<ParamId, Param> params = new HashMap<>();
    spec.parameters().forEach(param -> params.put(param.id(), param));
    List<TensorExpression> tensors = new ArrayList<>();
    for (Param param : spec.parameters()) {
      ParamId id = param.id();
      Optional<RowOrder> order =
          id.part().isQueryKeyValue() ? fused.apply(id.of(Part.QUERY)) : Optional.empty();
      if (order.isEmpty()) {
        tensors.add(
            new TensorExpression(
                name.apply(id), List.of(param), RowOrder.CONCATENATED, transposed.test(id)));
      } else if (id.part() == Part.QUERY) {
        List<Param> all =
            Stream.of(Part.QUERY, Part.KEY, Part.VALUE)
                .map(part -> params.get(id.of(part)))
                .toList();
        tensors.add(new TensorExpression(name.apply(id), all, order.get(), transposed.test(id)));
      }
    }
    return tensors;
  }
}
