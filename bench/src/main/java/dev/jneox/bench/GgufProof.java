package dev.jneox.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.gguf.GgufExport;
import dev.jneox.infer.Completion;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.Generator;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Scorer;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.StoredModel;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Whether llama.cpp reads our GGUF files as we do: {@code GgufProof MODEL OUT PEER...} writes the
 * model as F32, F16, BF16, Q8_0 and Q4_0 into the folder OUT, continues a few prompts greedily with
 * JNeoX on each file, has the peer do the same on the same file, and prints one line for each: the
 * token up to which the two agree, and how far the probabilities of these are apart. PEER is a
 * command that takes a file and a number of tokens, as {@code bench/peers/llama_cpp.mjs} and {@code
 * bench/peers/LlamaCpp.java} do; see {@code bench/gguf.sh}. Without one only ours is printed.
 */
public final class GgufProof {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int TOKENS = 48;

  private static final List<String> PROMPTS =
      List.of(
          "package org.apache.commons.",
          "  /**\n   * Returns the ",
          "public static int max(int a, int b) {\n    ",
          "import java.util.List;\n\n\t\tif (x == null) throw new ");

  private GgufProof() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    Path out = Files.createDirectories(Path.of(args[1]));
    List<String> peer = List.of(args).subList(2, args.length);
    System.out.printf(
        "%-6s %10s %-12s %10s %22s %18s%n",
        "file", "bytes", "prompt", "ours, t/s", "alike", "probability apart");
    for (GgmlType type :
        List.of(GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q8_0, GgmlType.Q4_0)) {
      Path file = out.resolve(type.name().toLowerCase(Locale.ROOT) + ".gguf");
      try (StoredModel model = ModelFiles.open(Path.of(args[0]))) {
        String tokenizer =
            model.tokenizerJson().isPresent()
                ? model.tokenizerJson().get()
                : tokenizer(out.resolve("tokenizer.json"), model.spec().vocabulary().rows());
        GgufExport export = new GgufExport(file, model.spec(), type, tokenizer, Map.of());
        export.write(model, bytes -> {});
        if (type == GgmlType.F32) {
          export.warnings().forEach(concern -> System.out.println("note: " + concern));
        }
      }
      compare(file, type, peer);
    }
  }

  /**
   * A tokenizer of made-up words for a model that has none: the packages around llama.cpp do not
   * work without.
   */
  private static String tokenizer(Path file, int vocabSize) throws IOException {
    Random random = new Random(1);
    BpeTrainer trainer = new BpeTrainer(vocabSize);
    trainer.count(
        IntStream.range(0, vocabSize)
            .mapToObj(
                i ->
                    random
                        .ints(6, 'a', 'z' + 1)
                        .mapToObj(Character::toString)
                        .collect(Collectors.joining()))
            .map(word -> word + " " + word)
            .iterator());
    trainer.train(merges -> {}).write(file);
    return Files.readString(file);
  }

  private static void compare(Path file, GgmlType type, List<String> peer)
      throws IOException, InterruptedException {
    try (LanguageModel model = LanguageModel.open(file, Precision.F32)) {
      List<int[]> prompts =
          PROMPTS.stream().map(prompt -> model.tokenizer().encode(prompt)).toList();
      List<Completion> ours = new ArrayList<>();
      Generator generator = model.generator();
      for (int[] ids : prompts) {
        ours.add(
            generator.generate(
                GenerationRequest.builder(ids).maxTokens(TOKENS).build(), Generator.Listener.NONE));
      }
      List<JsonNode> theirs = peer.isEmpty() ? List.of() : answers(peer, file, prompts);
      for (int i = 0; i < prompts.size(); i++) {
        String alike = "-";
        String apart = "-";
        if (i < theirs.size()) {
          JsonNode answer = theirs.get(i);
          boolean prompt = Arrays.equals(ints(answer.path("prompt_ids")), prompts.get(i));
          alike = (prompt ? "" : "PROMPT DIFFERS ") + alike(ours.get(i), answer);
          apart = apart(model.scorer(), ours.get(i), answer);
        }
        System.out.printf(
            Locale.ROOT,
            "%-6s %10d %-12s %10.1f %22s %18s%n",
            type,
            Files.size(file),
            prompts.get(i).length + " tokens",
            ours.get(i).generation().tokensPerSecond(),
            alike,
            apart);
      }
    }
  }

  private static List<JsonNode> answers(List<String> peer, Path file, List<int[]> prompts)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(peer);
    command.addAll(List.of(file.toString(), String.valueOf(TOKENS)));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try (var in = process.outputWriter(StandardCharsets.UTF_8)) {
      for (int i = 0; i < prompts.size(); i++) {
        Map<String, Object> question = new LinkedHashMap<>();
        question.put("prompt", PROMPTS.get(i));
        question.put("ids", prompts.get(i));
        in.write(JSON.writeValueAsString(question) + "\n");
      }
    }
    List<JsonNode> answers = new ArrayList<>();
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        // A library may say on the same stream what it unpacks.
        if (line.startsWith("{")) {
          answers.add(JSON.readTree(line));
        }
      }
    }
    if (process.waitFor() != 0 || answers.size() != prompts.size()) {
      System.out.println("THE PEER DID NOT ANSWER, exit status " + process.exitValue());
    }
    return answers;
  }

  /**
   * How much of the two continuations is the same from the beginning: tokens, or characters where
   * the peer has no ids.
   */
  private static String alike(Completion ours, JsonNode theirs) {
    if (theirs.has("ids")) {
      int[] ids = ints(theirs.path("ids"));
      int differ = Arrays.mismatch(ours.generation().ids(), ids);
      return (differ < 0 ? ids.length : differ) + " of " + ours.generation().ids().length;
    }
    String text = theirs.path("text").asText();
    int same = 0;
    while (same < Math.min(text.length(), ours.text().length())
        && text.charAt(same) == ours.text().charAt(same)) {
      same++;
    }
    return same + " of " + ours.text().length() + " chars";
  }

  /** The largest difference in the probability of a token up to which both agree. */
  private static String apart(Scorer scorer, Completion ours, JsonNode theirs) {
    if (!theirs.has("probabilities")) {
      return "-";
    }
    int[] ids = ints(theirs.path("ids"));
    int differ = Arrays.mismatch(ours.generation().ids(), ids);
    int same = differ < 0 ? ids.length : differ;
    int[] prompt = ours.generation().promptIds();
    int[] all = IntStream.concat(Arrays.stream(prompt), Arrays.stream(ids, 0, same)).toArray();
    float[] logprobs = scorer.logProbabilities(all);
    double apart = 0;
    for (int i = 0; i < same; i++) {
      double their = theirs.path("probabilities").path(i).asDouble();
      apart = Math.max(apart, Math.abs(Math.exp(logprobs[prompt.length + i - 1]) - their));
    }
    return String.format(Locale.ROOT, "%.6f", apart);
  }

  private static int[] ints(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.path(i).asInt()).toArray();
  }
}
