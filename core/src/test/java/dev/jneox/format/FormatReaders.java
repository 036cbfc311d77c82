package dev.jneox.format;

import dev.jneox.Jneox;
import dev.jneox.TextRequest;
import dev.jneox.convert.Conversion;
import dev.jneox.convert.Conversion.Format;
import dev.jneox.convert.SyntheticModel;
import dev.jneox.convert.TrainingFacts;
import dev.jneox.convert.WeightType;
import dev.jneox.format.gguf.GgufFile;
import dev.jneox.format.gguf.GgufReaders;
import dev.jneox.format.hf.FamilyFolder;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.neox.YamlTree;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.format.torch.TorchFile;
import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import dev.jneox.inspect.Contents;
import dev.jneox.inspect.Inspection;
import dev.jneox.inspect.RunInspection;
import dev.jneox.inspect.Verification;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.tokenizer.TokenizerReaders;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.TensorFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/** Readers of models in files, for fuzzing, with small models that our own writers wrote. */
public final class FormatReaders {
  private static final Path TORCH = Path.of("src/test/resources/torch");
  private static final ModelSpec SMALL = ModelSpec.neox(300, 32, 1, 2, 8);

  private FormatReaders() {}

  /** Makes files in a folder of its own and takes them. */
  private interface Making {
    void make(Path folder) throws IOException;
  }

  private static Input made(Making making) {
    try {
      Path folder = Files.createTempDirectory("seed");
      try {
        making.make(folder);
        return Input.of(folder);
      } finally {
        try (Stream<Path> walk = Files.walk(folder)) {
          for (Path path : walk.toList().reversed()) {
            Files.delete(path);
          }
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void convert(
      ModelSpec spec,
      @Nullable String tokenizer,
      Path to,
      Format format,
      WeightType type,
      long shard) {
    try (StoredModel model =
        new SyntheticModel(Path.of("made"), spec, 0.02, 0.01, Dtype.F32, 1, tokenizer)) {
      new Conversion(model, to, format, type, format == Format.NEOX ? 2 : 1, shard)
          .write(bytes -> {});
    }
  }

  private static Input model(ModelSpec spec, Format format, WeightType type, long shard) {
    return made(
        folder ->
            convert(
                spec,
                spec == SMALL ? TokenizerReaders.trained() : null,
                folder.resolve(format == Format.GGUF ? "model.gguf" : "model"),
                format,
                type,
                shard));
  }

  private static void touchAll(TensorFile file) {
    try (Arena arena = Arena.ofShared()) {
      for (String name : file.names()) {
        file.shape(name);
        Reader.touch(file.read(name, arena));
      }
    }
  }

  private static void use(Path path) {
    try (StoredModel model = ModelFiles.open(path)) {
      Reader.use(model);
      model
          .tokenizerJson()
          .ifPresent(
              json -> {
                try (Tokenizer tokenizer = Tokenizer.parse(json, path)) {
                  tokenizer.decode(tokenizer.encode("the other <|endoftext|> Ü"));
                }
              });
    }
  }

  public static Reader safetensors() {
    return Reader.ofFile(
        "safetensors",
        "model.safetensors",
        path -> {
          try (Safetensors file = Safetensors.open(path)) {
            touchAll(file);
          }
        },
        () ->
            List.of(
                pick(
                    model(FamilyFolder.tiny("gpt2"), Format.HF, WeightType.F32, 1 << 20),
                    "model/model.safetensors"),
                pick(
                    model(FamilyFolder.tiny("llama"), Format.HF, WeightType.BF16, 1 << 20),
                    "model/model.safetensors")));
  }

  private static Input pick(Input folder, String name) {
    return Input.of(name.substring(name.lastIndexOf('/') + 1), folder.files().get(name));
  }

  public static Reader hfFolders() {
    return Reader.of(
        "hf-folder",
        folder -> {
          use(folder.resolve("model"));
          HfFolder.problems(folder.resolve("model"));
        },
        () -> {
          List<Input> seeds = new ArrayList<>();
          for (String type : List.of("gpt_neox", "gptj", "gpt2", "gpt_neo", "llama", "jneox")) {
            seeds.add(model(FamilyFolder.tiny(type), Format.HF, WeightType.F32, 1 << 20));
          }
          seeds.add(
              model(SMALL, Format.HF, WeightType.BF16, 1 << 20)
                  .with(
                      "model/generation_config.json",
                      """
                      {"temperature": 0.7, "top_k": 40, "top_p": 0.9, "eos_token_id": [0, 1],
                       "bos_token_id": 0, "do_sample": true, "repetition_penalty": 1.1,
                       "max_length": 20, "min_p": 0.1, "typical_p": 1.0, "num_beams": 1,
                       "transformers_version": "4.57.0"}
                      """));
          return seeds;
        });
  }

  public static Reader hfShards() {
    return Reader.of(
        "hf-shards",
        folder -> use(folder.resolve("model")),
        () -> List.of(model(FamilyFolder.tiny("gpt_neox"), Format.HF, WeightType.F32, 6000)));
  }

  public static Reader hfTorch() {
    return Reader.of(
        "hf-torch",
        FormatReaders::use,
        () ->
            List.of(
                Input.of(TORCH.resolve("gpt2-hub-2019")),
                Input.of(TORCH.resolve("neox-bin-shards"))));
  }

  public static Reader torchFiles() {
    return Reader.ofFile(
        "torch",
        "file.pt",
        path -> {
          try (TorchFile file = TorchFile.open(path)) {
            touchAll(file);
          }
          TorchFile.openTensorsOf(path).close();
        },
        () -> {
          List<Input> seeds = new ArrayList<>();
          for (String name :
              List.of(
                  "kinds.pt",
                  "kinds-legacy.pt",
                  "protocol3.pt",
                  "protocol4.pt",
                  "protocol5.pt",
                  "wrapped.pt")) {
            try {
              seeds.add(Input.of("file.pt", Files.readAllBytes(TORCH.resolve(name))));
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
          return seeds;
        });
  }

  public static Reader neox() {
    return Reader.of(
        "neox",
        folder -> use(folder.resolve("model")),
        () -> {
          Input run = Input.of(TORCH.resolve("neox-no-pipeline"));
          Input below = new Input(java.util.Map.of());
          for (var file : run.files().entrySet()) {
            below = below.with("model/" + file.getKey(), file.getValue());
          }
          return List.of(
              model(FamilyFolder.tiny("gpt_neox"), Format.NEOX, WeightType.F16, 1 << 20),
              model(SMALL, Format.NEOX, WeightType.F32, 1 << 20),
              below);
        });
  }

  public static Reader neoxYaml() {
    return Reader.ofFile(
        "yaml",
        "neox.yml",
        path -> {
          try {
            new YamlTree(path.toString(), InputFile.text(path, 1 << 20)).root();
          } catch (java.nio.charset.CharacterCodingException e) {
            throw dev.jneox.io.StorageException.ofText(path, e);
          }
        },
        () -> {
          Input model = model(FamilyFolder.tiny("gpt_neox"), Format.NEOX, WeightType.F16, 1 << 20);
          return model.files().entrySet().stream()
              .filter(file -> file.getKey().endsWith(".yml"))
              .map(file -> Input.of("neox.yml", file.getValue()))
              .toList();
        });
  }

  public static Reader packed() {
    return Reader.of(
        "packed",
        folder -> use(folder.resolve("model")),
        () ->
            List.of(
                model(SMALL, Format.HF, WeightType.Q8_0, 1 << 20),
                model(SMALL, Format.HF, WeightType.Q4_0, 1 << 20)));
  }

  public static Reader gguf() {
    return Reader.of(
        "gguf",
        folder -> use(folder.resolve("model.gguf")),
        () ->
            List.of(
                model(SMALL, Format.GGUF, WeightType.Q8_0, 1 << 20),
                model(SMALL, Format.GGUF, WeightType.Q4_0, 1 << 20)));
  }

  public static Reader ggufSplit() {
    return Reader.ofFile(
        "gguf-split",
        "model-00001-of-00002.gguf",
        path -> {
          GgufFile.files(path);
          try (GgufFile file = GgufFile.open(path)) {
            file.entries().forEach(entry -> Reader.touch(file.data(entry.name())));
          }
        },
        () -> List.of(made(GgufReaders::writeSplit)));
  }

  /** A run of two checkpoints, with the record of the second. */
  private static void run(Path folder) throws IOException {
    for (int step : new int[] {2, 4}) {
      Path checkpoint = folder.resolve("run/global_step" + step);
      convert(FamilyFolder.tiny("gpt_neox"), null, checkpoint, Format.HF, WeightType.F32, 1 << 20);
      Files.writeString(
          checkpoint.resolve("training.json"),
          "{\"iteration\": " + step + ", \"updates\": " + step + ", \"tokens\": 4096}");
      Files.createDirectories(checkpoint.resolve("configs"));
      Files.writeString(
          checkpoint.resolve("configs/small.yml"),
          "{\"optimizer\": {\"type\": \"Adam\",\n \"params\": {\"lr\": 1e-3}},\n"
              + "seq_length: 8 # short\n, data_path: a/b, seed: 1}\n");
      Manifest.write(checkpoint, step);
    }
    Files.writeString(folder.resolve("run/latest"), "global_step4");
    Files.writeString(
        folder.resolve("run/metrics.csv"),
        "step,train/lm_loss,lr,valid/lm_loss\n1,4.5,0.001,\n2,4.25,0.001,4.5\n4,NaN,1e-4,3.5\n");
  }

  public static Reader runs() {
    return Reader.of(
            "run",
            folder -> {
              Path run = folder.resolve("run");
              RunInspection.of(run);
              TrainingFacts.read(run);
              Path newest = ModelFiles.resolve(run);
              Manifest.verify(newest);
              use(run);
            },
            () -> List.of(made(FormatReaders::run)))
        .repairedBy(FormatReaders::withManifests);
  }

  /** The same with manifests of the right checksums, as their writer would make them. */
  private static Input withManifests(Input input) {
    Input repaired = input;
    for (int step : new int[] {2, 4}) {
      String folder = "run/global_step" + step + "/";
      StringBuilder text = new StringBuilder("jneox-manifest 1 save " + step + "\n");
      for (var file : input.files().entrySet()) {
        if (file.getKey().startsWith(folder) && !file.getKey().endsWith(Manifest.NAME)) {
          text.append(crc(file.getValue())).append(' ').append(file.getValue().length).append(' ');
          text.append(file.getKey().substring(folder.length())).append('\n');
        }
      }
      text.append(crc(text.toString().getBytes(StandardCharsets.UTF_8))).append('\n');
      repaired = repaired.with(folder + Manifest.NAME, text.toString());
    }
    return repaired;
  }

  private static String crc(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return "%08x".formatted((int) crc.getValue());
  }

  /** Models that compute: what a file states reaches the kernels. */
  public static Reader inference() {
    return Reader.of(
        "inference",
        folder -> {
          Path one = folder.resolve("model.gguf");
          try (Jneox model = Jneox.open(Files.exists(one) ? one : folder.resolve("model"))) {
            try {
              model.complete(TextRequest.of("the other").withMaxTokens(2));
              model.score("the weather");
            } catch (InputException e) {
              // The error of a request names no file.
              throw e.withMessage(folder + ": " + e.getMessage());
            }
          }
        },
        () ->
            List.of(
                model(SMALL, Format.HF, WeightType.BF16, 1 << 20),
                model(SMALL, Format.HF, WeightType.Q8_0, 1 << 20),
                model(SMALL, Format.NEOX, WeightType.F16, 1 << 20),
                model(SMALL, Format.GGUF, WeightType.Q4_0, 1 << 20),
                model(SMALL, Format.GGUF, WeightType.Q8_0, 1 << 20)));
  }

  public static Reader inspection() {
    return Reader.of(
        "inspect",
        folder -> {
          Path path = folder.resolve("model");
          Path one = folder.resolve("model.gguf");
          Path model = Files.exists(one) ? one : path;
          Verification.of(model);
          try (Contents contents = Contents.open(model)) {
            Inspection.of(contents);
          }
        },
        () ->
            List.of(
                model(FamilyFolder.tiny("gpt_neox"), Format.HF, WeightType.F32, 6000),
                model(SMALL, Format.HF, WeightType.Q4_0, 1 << 20),
                model(FamilyFolder.tiny("gpt_neox"), Format.NEOX, WeightType.F16, 1 << 20),
                model(SMALL, Format.GGUF, WeightType.Q4_0, 1 << 20)));
  }
}
