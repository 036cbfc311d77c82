package dev.jneox.cli.serve;

import dev.jneox.io.ByteSize;
import dev.jneox.io.Shell;
import dev.jneox.serve.ModelSummary;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Tells at the start of a server what it offers, and commands to try it with.
 *
 * @param local whether it takes connections of this machine alone
 * @param keys whether requests must bring a key
 * @param certificate of TLS; null without
 * @param sessions most sequences that a model writes at a time
 * @param threads that compute
 */
record Introduction(
    String url,
    boolean local,
    boolean keys,
    @Nullable Path certificate,
    int sessions,
    int threads,
    List<ModelSummary> models) {
  void print(PrintWriter out, long nanos) {
    out.printf(Locale.ROOT, "ready in %.1f s: %s, a page for the browser%n", nanos / 1e9, url);
    models.forEach(model -> out.println("  " + line(model)));
    List<String> plain =
        models.stream()
            .filter(model -> model.opened().filter(opened -> !opened.hasTemplate()).isPresent())
            .map(ModelSummary::id)
            .toList();
    if (!plain.isEmpty()) {
      out.println(
          "No chat template: " + String.join(", ", plain) + "; a chat is written as a transcript.");
    }
    out.printf(
        Locale.ROOT,
        "Each writes %d sequences at a time; %d threads compute.%n",
        sessions,
        threads);
    String id = models.getFirst().id();
    if (keys) {
      out.println("Requests must bring a key; set it first: export OPENAI_API_KEY=KEY");
    }
    out.println("try it:");
    out.println("  curl " + url + "/v1/completions \\");
    if (certificate != null) {
      out.println("      --cacert " + Shell.quoted(certificate) + " \\");
    }
    if (keys) {
      out.println("      -H \"Authorization: Bearer $OPENAI_API_KEY\" \\");
    }
    out.println("      -H 'Content-Type: application/json' \\");
    out.println("      -d '{\"model\": \"" + id + "\",");
    out.println("           \"prompt\": \"Once upon a time\", \"max_tokens\": 32}'");
    out.println("evaluate it with lm-evaluation-harness:");
    if (certificate != null) {
      out.println("  export REQUESTS_CA_BUNDLE=" + Shell.quoted(certificate));
    }
    out.println("  lm_eval --model local-completions --tasks lambada_openai \\");
    out.println("      --model_args model=" + id + ",\\");
    out.println("base_url=" + url + "/v1/completions,tokenizer_backend=remote");
    out.println(
        local
            ? "It listens to this machine alone; --host 0.0.0.0 takes connections of others."
            : keys
                ? "It listens to other machines."
                : "It listens to other machines, and asks for no key: see --api-key-file.");
    out.println("Ctrl-C stops it.");
    out.flush();
  }

  /** Says in a line what a model is. */
  private static String line(ModelSummary model) {
    String length = ", context " + model.context();
    return model
        .opened()
        .map(
            opened ->
                "%s: %s, %s, %s%s, keys and values %s"
                    .formatted(
                        model.id(),
                        parameters(opened.parameters()),
                        opened.dtype(),
                        ByteSize.text(model.bytes() - opened.kvBytes()),
                        length,
                        ByteSize.text(opened.kvBytes())))
        .orElseGet(
            () ->
                "%s%s; loaded at its first request, into %s"
                    .formatted(model.id(), length, ByteSize.text(model.bytes())));
  }

  private static String parameters(long count) {
    return count < 1_000_000_000
        ? String.format(Locale.ROOT, "%.1fM parameters", count / 1e6)
        : String.format(Locale.ROOT, "%.1fB parameters", count / 1e9);
  }
}
