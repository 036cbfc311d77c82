package dev.jneox.format.neox;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.format.hf.GenerationConfig;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.TokenizerIds;
import dev.jneox.format.torch.TorchFile;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.StorageException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Part;
import dev.jneox.model.SamplingDefaults;
import dev.jneox.template.ChatTemplates;
import dev.jneox.tokenizer.TokenizerJson;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Opens a checkpoint that GPT-NeoX wrote, of any degree of tensor parallelism. It is a folder with
 * {@code latest}, which names a folder {@code global_stepN}; that has {@code
 * layer_XX-model_YY-model_states.pt} for each layer and rank, or, from runs without a pipeline,
 * {@code mp_rank_YY_model_states.pt}. Either folder may be given. The run's configuration is in
 * {@code configs/} inside or beside it ({@link NeoxSettings}). The parts of the ranks are merged as
 * GPT-NeoX's converter does ({@link Shards}); with one rank the tensors are views. The MLP may have
 * its names from before or after September 2024.
 *
 * <p>Rows of the embedding beyond the tokenizer's ids are padding. The tokenizer is the {@code
 * tokenizer.json} in either folder, or the {@code vocab_file} of the configuration.
 */
public final class NeoxCheckpoint implements StoredModel {
  private static final Pattern LAYER_FILE =
      Pattern.compile("layer_(\\d{1,6})-model_(\\d{1,6})-model_states\\.pt");
  private static final Pattern RANK_FILE = Pattern.compile("mp_rank_(\\d{1,6})_model_states\\.pt");
  private static final Pattern SEQUENTIAL =
      Pattern.compile("(?:module\\.)?sequential\\.(\\d{1,6})\\.(.+)");

  /** Locates the part of a tensor that one rank has. */
  private record Part(TorchFile file, String name) {
    InputException wrong(String expected, String found) {
      return InputException.in(file.file(), "tensor " + quoted(name), expected, found);
    }

    String shape() {
      return Arrays.toString(file.shape(name));
    }
  }

  /** Merges a tensor from the parts of the ranks. */
  private record Whole(TensorExpression expression, List<Part> parts) implements StoredTensor {
    @Override
    public String type() {
      return dtype().name();
    }

    private Dtype dtype() {
      return parts.getFirst().file().dtype(parts.getFirst().name());
    }

    /** Returns the part itself where there is one rank. */
    @Override
    public Optional<MappedTensor> inPlace() {
      Part first = parts.getFirst();
      return parts.size() > 1
          ? Optional.empty()
          : first.file().data(first.name()).map(data -> new MappedTensor(dtype(), data));
    }

    @Override
    public MappedTensor read(Arena arena) {
      List<MappedTensor> read =
          parts.stream()
              .map(part -> new MappedTensor(dtype(), part.file().read(part.name(), arena)))
              .toList();
      return Shards.merged(expression, read, arena);
    }
  }

  private final Path path;
  private final Path step;
  private final List<TorchFile> files = new ArrayList<>();

  /** For each layer and name, the parts by rank. */
  private final SortedMap<Integer, Map<String, SortedMap<Integer, Part>>> layers = new TreeMap<>();

  private final List<StoredTensor> tensors = new ArrayList<>();
  private final Optional<Path> tokenizer;
  private final ModelSpec spec;
  private int ranks;

  private NeoxCheckpoint(Path path) {
    this.path = path;
    this.step = step(path);
    boolean opened = false;
    try {
      openFiles();
      NeoxSettings settings = NeoxSettings.read(configs());
      tokenizer = findTokenizer(settings);
      spec = spec(settings);
      findTensors();
      opened = true;
    } finally {
      if (!opened) {
        close();
      }
    }
  }

  /**
   * Maps the files, reads the configuration and checks that they agree.
   *
   * @throws InputException when they do not
   */
  public static NeoxCheckpoint open(Path path) {
    return new NeoxCheckpoint(path);
  }

  /** Returns whether a folder looks like a checkpoint of GPT-NeoX, complete or not. */
  public static boolean is(Path path) {
    return isStep(path) || RunFolder.is(path);
  }

  /** Returns whether a folder holds files of layers or ranks itself. */
  public static boolean isStep(Path path) {
    return list(path).stream()
        .map(file -> file.getFileName().toString())
        .anyMatch(name -> LAYER_FILE.matcher(name).matches() || RANK_FILE.matcher(name).matches());
  }

  private static List<Path> list(Path path) {
    if (!Files.isDirectory(path)) {
      return List.of();
    }
    try (var files = Files.list(path)) {
      return files.sorted().toList();
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be read", e);
    }
  }

  /**
   * Returns the folder of the layer files: the path itself, or the checkpoint that the folder of a
   * run names.
   */
  private static Path step(Path path) {
    return isStep(path) ? path : RunFolder.of(path).newest();
  }

  private void openFiles() {
    List<Path> layerFiles = matching(LAYER_FILE);
    for (Path file : layerFiles) {
      Matcher name = LAYER_FILE.matcher(file.getFileName().toString());
      name.matches();
      TorchFile opened = TorchFile.open(file);
      files.add(opened);
      for (String tensor : opened.names()) {
        add(
            Integer.parseInt(name.group(1)),
            tensor,
            Integer.parseInt(name.group(2)),
            new Part(opened, tensor));
      }
    }
    if (layerFiles.isEmpty()) {
      openRankFiles();
    }
    if (layers.isEmpty()) {
      throw InputException.in(
          step, "files", "layer_XX-model_YY-model_states.pt", "none with tensors of a model");
    }
  }

  /**
   * Opens the files of runs without a pipeline, which hold the whole model of a rank and other
   * objects; only tensors are read.
   */
  private void openRankFiles() {
    for (Path file : matching(RANK_FILE)) {
      Matcher name = RANK_FILE.matcher(file.getFileName().toString());
      name.matches();
      TorchFile opened = TorchFile.openTensorsOf(file);
      files.add(opened);
      for (String tensor : opened.names()) {
        Matcher place = SEQUENTIAL.matcher(tensor);
        if (place.matches()) {
          add(
              Integer.parseInt(place.group(1)),
              place.group(2),
              Integer.parseInt(name.group(1)),
              new Part(opened, tensor));
        }
      }
    }
  }

  private List<Path> matching(Pattern name) {
    return list(step).stream()
        .filter(file -> name.matcher(file.getFileName().toString()).matches())
        .toList();
  }

  private void add(int layer, String name, int rank, Part part) {
    Part other =
        layers
            .computeIfAbsent(layer, l -> new LinkedHashMap<>())
            .computeIfAbsent(name, n -> new TreeMap<>())
            .put(rank, part);
    if (other != null) {
      throw part.wrong("one tensor of this layer and rank", "another as " + quoted(other.name()));
    }
    ranks = Math.max(ranks, rank + 1);
  }

  private Path configs() {
    for (Path place : places()) {
      if (Files.isDirectory(place.resolve("configs"))) {
        return place.resolve("configs");
      }
    }
    throw InputException.in(
        step, "configs", "the folder with the run's configuration, in it or beside it", "none");
  }

  /** Lists the folders that may hold the configuration and the tokenizer. */
  private List<Path> places() {
    Path parent = step.toAbsolutePath().getParent();
    return parent == null || isStep(parent) ? List.of(step) : List.of(step, parent);
  }

  private Optional<Path> findTokenizer(NeoxSettings settings) {
    List<Path> candidates = new ArrayList<>();
    String vocabulary = settings.text("vocab_file", "");
    Path given =
        InputFile.path(
            step.resolve("configs"), "vocab_file", vocabulary.isEmpty() ? "." : vocabulary);
    String type = settings.text("tokenizer_type", "HFTokenizer");
    boolean gpt2 = type.equalsIgnoreCase("GPT2BPETokenizer");
    boolean named = vocabulary.endsWith(".json") && (gpt2 || type.equalsIgnoreCase("HFTokenizer"));
    for (Path place : places()) {
      candidates.add(place.resolve(HfFolder.TOKENIZER));
      if (named) {
        candidates.add(place.resolve(given.getFileName()));
      }
    }
    if (named) {
      candidates.add(given);
    }
    return candidates.stream()
        .filter(Files::isRegularFile)
        .filter(file -> !gpt2 || file.endsWith(HfFolder.TOKENIZER) || TokenizerJson.hasMerges(file))
        .findFirst();
  }

  /** Finds what a file says that lies in the checkpoint or beside it. */
  private <T> Optional<T> beside(Function<Path, Optional<T>> read) {
    return places().stream().map(read).flatMap(Optional::stream).findFirst();
  }

  private ModelSpec spec(NeoxSettings settings) {
    List<Part> embedding = parts(0, "word_embeddings.weight", "the embedding");
    long rows = 0;
    for (Part part : embedding) {
      long[] shape = part.file().shape(part.name());
      rows += shape.length == 2 ? shape[0] : Integer.MAX_VALUE;
      if (rows < 1 || rows >= Integer.MAX_VALUE) {
        throw part.wrong("a table of vocabulary by hidden size", "shape " + part.shape());
      }
    }
    int used = (int) Math.min(rows, tokenizer.map(TokenizerIds::size).orElse((int) rows));
    int endOfText = tokenizer.flatMap(file -> TokenizerIds.id(file, "<|endoftext|>")).orElse(-1);
    ModelSpec spec = settings.spec((int) rows, used, endOfText);
    List<Integer> ends =
        beside(
                place ->
                    Optional.of(GenerationConfig.ends(place)).filter(Predicate.not(List::isEmpty)))
            .orElse(List.of())
            .stream()
            .filter(id -> id < used)
            .toList();
    return ends.isEmpty() ? spec : spec.withVocabulary(spec.vocabulary().withEnds(ends));
  }

  /** Returns the parts of a tensor by rank, one of each. */
  private List<Part> parts(int layer, String name, String what) {
    Map<Integer, Part> byRank =
        layers.getOrDefault(layer, Map.of()).getOrDefault(name, new TreeMap<>());
    for (int rank = 0; rank < ranks; rank++) {
      if (!byRank.containsKey(rank)) {
        String place =
            "layer " + layer + ", rank " + rank + " of " + ranks + ", tensor " + quoted(name);
        throw InputException.in(step, place, what, "no such tensor");
      }
    }
    return List.copyOf(byRank.values());
  }

  private void findTensors() {
    CanonicalNames.requireTensors(
        spec, step.resolve("configs"), layers.values().stream().mapToInt(Map::size).sum());
    Map<String, SortedMap<Integer, Part>> first = layers.getOrDefault(2, Map.of());
    NeoxNames names = new NeoxNames(spec, first.containsKey("mlp.linear1.weight"));
    for (NeoxNames.Place place : names.places()) {
      TensorExpression tensor = place.tensor();
      long[] shape = Shards.shape(tensor, ranks);
      if (shape == null) {
        throw InputException.in(
            step,
            CanonicalNames.name(tensor.first()),
            "a shape that " + ranks + " ranks can share",
            Arrays.toString(tensor.shape()));
      }
      String expected = "shape " + Arrays.toString(shape) + " by the configuration";
      List<Part> parts = parts(place.layer(), tensor.name(), expected);
      for (Part part : parts) {
        check(part, shape, expected, parts.getFirst());
      }
      tensors.add(new Whole(tensor, parts));
      Objects.requireNonNull(layers.get(place.layer())).remove(tensor.name());
    }
    layers
        .values()
        .forEach(
            left ->
                left.forEach(
                    (name, parts) -> {
                      if (!names.isBuffer(name)) {
                        Part part = parts.firstEntry().getValue();
                        throw part.wrong(
                            "none of this name by the configuration", "shape " + part.shape());
                      }
                    }));
  }

  private static void check(Part part, long[] shape, String expected, Part first) {
    if (!Arrays.equals(part.file().shape(part.name()), shape)) {
      throw part.wrong(expected, "shape " + part.shape());
    }
    Dtype dtype = part.file().dtype(part.name());
    Dtype other = first.file().dtype(first.name());
    if (!dtype.isWeight() || dtype != other) {
      throw part.wrong(
          other.isWeight() ? other + ", as of rank 0" : "F32, BF16, F16 or F64", dtype.name());
    }
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public ModelSpec spec() {
    return spec;
  }

  @Override
  public List<StoredTensor> tensors() {
    return Collections.unmodifiableList(tensors);
  }

  /** Returns the degree of tensor parallelism. */
  public int ranks() {
    return ranks;
  }

  /** Returns the mapped files. */
  public List<TorchFile> files() {
    return List.copyOf(files);
  }

  @Override
  public Optional<String> tokenizerJson() {
    return tokenizer.map(TokenizerJson::read);
  }

  @Override
  public SamplingDefaults sampling() {
    return beside(
            place ->
                Optional.of(GenerationConfig.sampling(place))
                    .filter(Predicate.not(SamplingDefaults.NONE::equals)))
        .orElse(SamplingDefaults.NONE);
  }

  @Override
  public Optional<ChatTemplates> chatTemplates() {
    return beside(ChatTemplates::of);
  }

  @Override
  public void release() {
    files.forEach(TorchFile::release);
  }

  @Override
  public void check() {
    files.forEach(TorchFile::check);
  }

  /** Unmaps the files. */
  @Override
  public void close() {
    files.forEach(TorchFile::close);
  }
}
