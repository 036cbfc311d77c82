package dev.jneox.dist;

import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Divides the blocks of a model among the stages of a pipeline, so that the largest stage is as
 * small as possible. The first stage has the embedding too, the last one the final norm and the
 * head. What a stage's size is, GPT-NeoX's {@code pipe_partition_method} says:
 *
 * <ul>
 *   <li>{@code parameters}: its number of parameters
 *   <li>{@code uniform}: its number of blocks
 *   <li>{@code type:REGEX}: the number of its layers whose class in GPT-NeoX matches, such as
 *       {@code ParallelTransformerLayerPipe}; case does not matter
 * </ul>
 *
 * <p>GPT-NeoX counts as layers two functions as well, which reshape the input and the output of the
 * blocks. They do not exist here.
 */
public final class Partition {
  /** Divides by number of blocks: what GPT-NeoX's default, {@code type:transformer|mlp}, does. */
  public static final Partition UNIFORM = new Partition("uniform", Pattern.compile(""));

  private static final String TYPE = "type:";

  private final String method;
  private final Pattern type;

  private Partition(String method, Pattern type) {
    this.method = method;
    this.type = type;
  }

  /**
   * Reads a {@code pipe_partition_method}.
   *
   * @throws InputException when there is no such method
   */
  public static Partition of(String method) {
    String type = method.startsWith(TYPE) ? method.substring(TYPE.length()) : "";
    if (type.isEmpty() && !method.equals("parameters") && !method.equals("uniform")) {
      throw new InputException(
          "pipe_partition_method: expected parameters, uniform or type:REGEX, found " + method);
    }
    try {
      return new Partition(method, Pattern.compile(type, Pattern.CASE_INSENSITIVE));
    } catch (PatternSyntaxException e) {
      throw new InputException(
          "pipe_partition_method: expected a regular expression after type:, found "
              + type
              + ": "
              + e.getDescription(),
          e);
    }
  }

  /** Returns the first block of each stage, and the number of blocks. */
  List<Integer> cuts(ModelSpec model, int stages) {
    long[] sizes = sizes(model);
    long[] before = new long[sizes.length + 1];
    for (int l = 0; l < sizes.length; l++) {
      before[l + 1] = before[l] + sizes[l];
    }
    // best[s][l]: the least largest stage, and then the least sum of squares, of s stages that have
    // the first l blocks; last[s][l]: where the last of them begins.
    int blocks = sizes.length;
    double[][] largest = new double[stages + 1][blocks + 1];
    double[][] squares = new double[stages + 1][blocks + 1];
    int[][] last = new int[stages + 1][blocks + 1];
    for (double[] row : largest) {
      Arrays.fill(row, Double.POSITIVE_INFINITY);
    }
    largest[0][0] = 0;
    for (int s = 1; s <= stages; s++) {
      for (int l = s; l <= blocks; l++) {
        for (int from = l - 1; from >= s - 1; from--) {
          double size = before[l] - before[from];
          double max = Math.max(largest[s - 1][from], size);
          double square = squares[s - 1][from] + size * size;
          if (max < largest[s][l] || max == largest[s][l] && square < squares[s][l]) {
            largest[s][l] = max;
            squares[s][l] = square;
            last[s][l] = from;
          }
        }
      }
    }
    List<Integer> cuts = new ArrayList<>();
    int l = blocks;
    cuts.add(l);
    for (int s = stages; s > 0; s--) {
      l = last[s][l];
      cuts.add(l);
    }
    Collections.reverse(cuts);
    return cuts;
  }

  /** Returns the size of each block; the first and the last one's include what lies beyond. */
  private long[] sizes(ModelSpec model) {
    long[] sizes = new long[model.layers()];
    if (method.equals("uniform")) {
      Arrays.fill(sizes, 1);
      return sizes;
    }
    int end = sizes.length - 1;
    if (method.equals("parameters")) {
      for (Param param : model.parameters()) {
        sizes[at(param.id(), end)] += param.elements();
        if (model.head().tied() && param.id().part() == Part.EMBEDDING) {
          sizes[end] += param.elements();
        }
      }
      return sizes;
    }
    Arrays.fill(sizes, count("ParallelTransformerLayerPipe"));
    sizes[0] += count("EmbeddingPipe");
    sizes[end] +=
        count("NormPipe") + count(model.head().tied() ? "EmbeddingPipe" : "ParallelLinearPipe");
    return sizes;
  }

  private static int at(ParamId id, int end) {
    return switch (id.part()) {
      case EMBEDDING, POSITIONS -> 0;
      case FINAL_NORM, HEAD -> end;
      default -> id.block();
    };
  }

  private int count(String className) {
    return type.matcher(className).find() ? 1 : 0;
  }
}
