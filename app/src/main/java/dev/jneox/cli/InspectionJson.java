package dev.jneox.cli;

import dev.jneox.inspect.Inspection;
import dev.jneox.inspect.RunInspection;
import dev.jneox.model.Attention;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Lays out what {@code inspect --json} prints. What is not known has no key. */
final class InspectionJson {
  private InspectionJson() {}

  /** The JSON of a model; tensors only where they are asked for. */
  static Map<String, Object> of(Inspection inspection, boolean tensors) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("path", inspection.path().toString());
    json.put("format", inspection.format());
    inspection.spec().ifPresent(spec -> json.put("config", config(spec)));
    json.put("parameters", inspection.parameters());
    json.put("parts", inspection.parts());
    json.put("dtypes", inspection.dtypes());
    json.put("files", inspection.files().stream().map(InspectionJson::file).toList());
    inspection.tokenizer().ifPresent(tokenizer -> json.put("tokenizer", tokenizer));
    if (tensors) {
      json.put("tensors", inspection.tensors().stream().map(InspectionJson::tensor).toList());
    }
    return json;
  }

  private static Map<String, Object> file(Inspection.StoredFile file) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", file.name());
    json.put("bytes", file.bytes());
    file.sha256().ifPresent(hash -> json.put("sha256", hash));
    return json;
  }

  private static Map<String, Object> tensor(Inspection.StoredTensor tensor) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", tensor.name());
    json.put("dtype", tensor.dtype());
    json.put("shape", tensor.shape());
    json.put("bytes", tensor.bytes());
    tensor.sha256().ifPresent(hash -> json.put("sha256", hash));
    return json;
  }

  /** The JSON of the folder of a run. */
  static Map<String, Object> of(RunInspection run) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("path", run.path().toString());
    json.put("format", "run");
    run.latest().ifPresent(latest -> json.put("latest", latest));
    List<Map<String, Object>> checkpoints =
        run.checkpoints().stream().map(InspectionJson::checkpoint).toList();
    json.put("checkpoints", checkpoints);
    run.problem().ifPresent(problem -> json.put("problem", problem));
    return json;
  }

  private static Map<String, Object> checkpoint(RunInspection.Checkpoint checkpoint) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", checkpoint.name());
    json.put("path", checkpoint.path().toString());
    json.put("step", checkpoint.step());
    json.put("saved", checkpoint.saved().toString());
    json.put("bytes", checkpoint.bytes());
    checkpoint.loss().ifPresent(loss -> json.put("loss", loss));
    checkpoint.validationLoss().ifPresent(loss -> json.put("validation_loss", loss));
    return json;
  }

  /** The configuration under the names that the command's JSON has had from the beginning. */
  private static Map<String, Object> config(ModelSpec spec) {
    Attention attention = spec.first().attention();
    FeedForward feedForward = spec.first().feedForward();
    Map<String, Object> config = new LinkedHashMap<>();
    config.put("vocab_size", spec.vocabulary().rows());
    config.put("used_vocab", spec.vocabulary().used());
    config.put("hidden_size", spec.width());
    config.put("layers", spec.layers());
    config.put("heads", attention.heads());
    config.put("kv_heads", attention.kvHeads());
    config.put("head_dim", attention.headDim());
    config.put("intermediate_size", feedForward.width());
    config.put("gated_mlp", feedForward.isGated());
    config.put("max_positions", spec.maxPositions());
    config.put("position", position(spec));
    config.put(
        "residual",
        switch (spec.first().residual()) {
          case Residual.Serial serial -> "SERIAL";
          case Residual.Parallel parallel -> "PARALLEL";
          case Residual.ParallelOneNorm one -> "PARALLEL_ONE_NORM";
        });
    config.put("activation", feedForward.activation());
    config.put("norm", spec.finalNorm() instanceof Norm.Rms ? "RMS" : "LAYER");
    config.put("layer_norm_eps", spec.finalNorm().eps());
    config.put("windows", spec.windows());
    config.put("scaled_attention", attention.isScaled());
    config.put("qkv_bias", attention.qkvBias());
    config.put("dense_bias", attention.outBias());
    config.put("head_bias", spec.head().bias());
    config.put("tied_head", spec.head().tied());
    config.put("end_of_text", spec.vocabulary().endOfText());
    return config;
  }

  private static Map<String, Object> position(ModelSpec spec) {
    Map<String, Object> position = new LinkedHashMap<>();
    switch (spec.first().attention().position()) {
      case Position.None() ->
          position.put("type", spec.embedding().learnedPositions() ? "Learned" : "None");
      case Position.Rotary(int dims, double base, boolean interleaved) -> {
        position.put("type", "Rotary");
        position.put("dims", dims);
        position.put("base", base);
        position.put("interleaved", interleaved);
      }
    }
    return position;
  }
}
