import de.kherud.llama.InferenceParameters;
import de.kherud.llama.LlamaModel;
import de.kherud.llama.LlamaOutput;
import de.kherud.llama.ModelParameters;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * llama.cpp by java-llama.cpp continues texts greedily: the peer of {@code dev.jneox.bench.GgufProof}.
 *
 * <pre>
 *   java -cp llama-4.2.0.jar LlamaCpp.java MODEL.gguf TOKENS &lt;prompts
 * </pre>
 *
 * Reads JSON lines {@code {"prompt": text, ...}} and answers each with {@code {"prompt_ids": [..], "text": ".."}}: this binding
 * has no ids of what it writes. The jar has the native library inside:
 *
 * <pre>
 *   mvn dependency:get -Dartifact=de.kherud:llama:4.2.0
 * </pre>
 */
public final class LlamaCpp {
  public static void main(String[] args) throws IOException {
    ModelParameters parameters = new ModelParameters().setModel(args[0]).setCtxSize(0).setThreads(1).disableLog();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    LlamaModel model = new LlamaModel(parameters);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String prompt = prompt(line);
      InferenceParameters greedy =
          new InferenceParameters(prompt)
              .setTemperature(0)
              .setRepeatPenalty(1)
              .setNPredict(Integer.parseInt(args[1]))
              .setCachePrompt(false);
      StringBuilder text = new StringBuilder();
      for (LlamaOutput output : model.generate(greedy)) {
        text.append(output.text);
      }
      System.out.println(
          "{\"prompt_ids\": " + Arrays.toString(model.encode(prompt)) + ", \"text\": " + quoted(text.toString()) + "}");
    }
    System.out.flush();
    // Closing the model waits for ever in version 4.2.0.
    Runtime.getRuntime().halt(0);
  }

  /** The text under the first key, which is the prompt. */
  private static String prompt(String json) {
    StringBuilder text = new StringBuilder();
    int at = json.indexOf('"', json.indexOf(':')) + 1;
    for (; json.charAt(at) != '"'; at++) {
      char c = json.charAt(at);
      if (c == '\\') {
        c = json.charAt(++at);
        switch (c) {
          case 'n' -> c = '\n';
          case 't' -> c = '\t';
          case 'r' -> c = '\r';
          case 'u' -> {
            c = (char) Integer.parseInt(json.substring(at + 1, at + 5), 16);
            at += 4;
          }
          default -> {}
        }
      }
      text.append(c);
    }
    return text.toString();
  }

  private static String quoted(String text) {
    StringBuilder json = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      json.append(c == '"' || c == '\\' || c < ' ' || c > '~' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
    }
    return json.append('"').toString();
  }
}
