package dev.jneox.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.HookPoint;
import dev.jneox.infer.Taps;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/**
 * Answers {@code POST /v1/embeddings}: for each text the mean, over its tokens, of the residual
 * stream after the last block, before the final norm, scaled to length 1. A language model is not
 * trained for this; the vectors tell texts apart, and no more.
 */
final class Embeddings {
  private static final int MOST_INPUTS = 2048;

  private final ServedModel model;
  private final Call call;
  private final List<int[]> inputs;
  private final boolean base64;

  /** Reads a request. */
  Embeddings(Body body, ServedModel model, Call call) {
    this.model = model;
    this.call = call;
    this.inputs = inputs(body);
    String format = body.string("encoding_format").orElse("float");
    if (!format.equals("float") && !format.equals("base64")) {
      throw body.invalid("encoding_format", "float or base64", '"' + format + '"');
    }
    this.base64 = format.equals("base64");
    body.refuse("dimensions", "the vectors have the model's width");
    body.ignore("user");
    body.end();
    for (int[] ids : inputs) {
      if (ids.length == 0) {
        throw body.invalid("input", "texts of a token or more", "an empty one");
      }
      Completions.check(ids.length, 0, model.context(), "input");
    }
  }

  private List<int[]> inputs(Body body) {
    return new PromptReader(body, model, "input", MOST_INPUTS).ids();
  }

  /** Computes the vectors and returns the body of the response. */
  ObjectNode answer() {
    int width = model.model().spec().width();
    String point = HookPoint.RESID_POST.in(model.model().spec().layers() - 1);
    List<double[]> sums = new ArrayList<>();
    List<GenerationRequest> requests = new ArrayList<>();
    long tokens = 0;
    for (int[] ids : inputs) {
      double[] sum = new double[width];
      sums.add(sum);
      tokens += ids.length;
      requests.add(
          GenerationRequest.builder(ids)
              .maxTokens(1)
              .taps(
                  new Taps() {
                    @Override
                    public boolean wants(String name) {
                      return name.equals(point);
                    }

                    @Override
                    public void apply(
                        String name, float[] row, int at, int n, long sequence, int position) {
                      for (int i = 0; i < n; i++) {
                        sum[i] += row[at + i];
                      }
                    }
                  })
              .build());
    }
    new Answers(model, call, 1).run(requests, List.of(), Answers.Listener.NONE);
    ObjectNode root = JsonNodeFactory.instance.objectNode().put("object", "list");
    ArrayNode data = root.putArray("data");
    for (double[] sum : sums) {
      ObjectNode entry = data.addObject().put("object", "embedding").put("index", data.size() - 1);
      entry.set("embedding", vector(sum));
    }
    root.put("model", model.id());
    root.putObject("usage").put("prompt_tokens", tokens).put("total_tokens", tokens);
    return root;
  }

  private JsonNode vector(double[] sum) {
    double square = 0;
    for (double x : sum) {
      square += x * x;
    }
    if (!Double.isFinite(square)) {
      throw ApiException.http(500, "the model's values are not numbers: its weights are broken");
    }
    double length = square == 0 ? 1 : Math.sqrt(square);
    if (base64) {
      ByteBuffer bytes = ByteBuffer.allocate(4 * sum.length).order(ByteOrder.LITTLE_ENDIAN);
      for (double x : sum) {
        bytes.putFloat((float) (x / length));
      }
      return JsonNodeFactory.instance.textNode(Base64.getEncoder().encodeToString(bytes.array()));
    }
    ArrayNode vector = JsonNodeFactory.instance.arrayNode(sum.length);
    for (double x : sum) {
      vector.add((float) (x / length));
    }
    return vector;
  }
}
