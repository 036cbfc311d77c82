package dev.jneox.convert;

import dev.jneox.convert.Quantisation.Written;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Sums up what {@link Quantisation#write} wrote.
 *
 * @param tensors in the order of the file
 */
public record QuantisationReport(List<Written> tensors) {
  /** The kind of biases, norms and learned positions, which are not quantised. */
  public static final String VECTORS = "vectors";

  /**
   * All tensors of a kind and type together.
   *
   * @param name such as {@code attention.dense}, head, embedding or {@link #VECTORS}
   * @param sum as of one tensor; its name is that of the first
   */
  public record Kind(String name, Written sum) {}

  /** Copies the list. */
  public QuantisationReport {
    tensors = List.copyOf(tensors);
  }

  /** Returns the kind of a tensor of that canonical name. */
  public static String kind(String canonical) {
    return canonical.startsWith("embed_in")
        ? "embedding"
        : canonical.startsWith("embed_out")
            ? "head"
            : canonical.endsWith(".bias")
                    || canonical.contains("norm")
                    || canonical.startsWith("embed_positions")
                ? VECTORS
                : canonical.replaceFirst("layers[.]\\d+[.]", "").replaceFirst("[.]weight$", "");
  }

  /** Sums up the tensors of each kind and type, in the order of the first of each. */
  public List<Kind> kinds() {
    Map<List<String>, Written> sums = new LinkedHashMap<>();
    for (Written tensor : tensors) {
      sums.merge(List.of(kind(tensor.canonical()), tensor.type()), tensor, Written::plus);
    }
    List<Kind> kinds = new ArrayList<>();
    sums.forEach((key, sum) -> kinds.add(new Kind(key.getFirst(), sum)));
    return kinds;
  }

  /** Returns the tensor of the largest relative error. */
  public Written worst() {
    return tensors.stream().max(Comparator.comparingDouble(Written::relativeError)).orElseThrow();
  }

  /** Returns the number of parameters. */
  public long parameters() {
    return tensors.stream().mapToLong(Written::parameters).sum();
  }

  /** Returns the bytes of all tensors. */
  public long bytes() {
    return tensors.stream().mapToLong(Written::bytes).sum();
  }
}
