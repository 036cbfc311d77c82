package dev.jneox.convert;

import dev.jneox.io.InputException;
import dev.jneox.model.Attention;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Writes the {@code README.md} of a published model in the Hub's form: facts in YAML between two
 * lines of {@code ---}, then the text. Unknown facts are stated as unknown.
 */
public final class ModelCard {
  /**
   * Identifiers of the Hub's list, such as {@code apache-2.0}, {@code cc-by-4.0}, {@code other}.
   */
  private static final Pattern LICENSE = Pattern.compile("[a-z0-9][a-z0-9.+-]{1,60}");

  /** ISO 639, {@code code} or {@code multilingual}. */
  private static final Pattern LANGUAGE = Pattern.compile("[a-z]{2,3}|code|multilingual");

  /**
   * Holds the facts that the configuration does not have.
   *
   * @param name of the model; {@code ORG/NAME} where it will be published
   * @param license an identifier of the Hub's list; empty when none was stated
   * @param languages of the training text
   * @param baseModel the model, {@code ORG/NAME}, that the weights were converted or trained from
   * @param data a sentence about the training text
   * @param training the run's own record
   * @param gguf the name of the file, for a model that is a single GGUF file
   */
  public record Facts(
      String name,
      Optional<String> license,
      List<String> languages,
      Optional<String> baseModel,
      Optional<String> data,
      Optional<TrainingFacts> training,
      Optional<String> gguf) {
    /**
     * Checks the licence and the languages.
     *
     * @throws InputException when one is malformed
     */
    public Facts {
      languages = List.copyOf(languages);
      if (license.isPresent() && !LICENSE.matcher(license.get()).matches()) {
        throw new InputException(
            "license: expected an identifier such as apache-2.0, mit, cc-by-4.0 or other, found \""
                + license.get()
                + "\"");
      }
      for (String language : languages) {
        if (!LANGUAGE.matcher(language).matches()) {
          throw new InputException(
              "language: expected a code of ISO 639 such as en, or code, found \""
                  + language
                  + "\"");
        }
      }
    }

    /** Starts with the name alone. */
    public static Facts of(String name) {
      return new Facts(
          name,
          Optional.empty(),
          List.of(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty());
    }

    /** Sets the licence; null for none. */
    public Facts withLicense(@Nullable String id) {
      return new Facts(name, Optional.ofNullable(id), languages, baseModel, data, training, gguf);
    }

    /** Adds the languages, as codes of ISO 639. */
    public Facts withLanguages(List<String> codes) {
      return new Facts(name, license, codes, baseModel, data, training, gguf);
    }

    /** Sets the model that this one was made from; null for none. */
    public Facts withBaseModel(@Nullable String repository) {
      return new Facts(
          name, license, languages, Optional.ofNullable(repository), data, training, gguf);
    }

    /** Sets a sentence about the training text; null for none. */
    public Facts withData(@Nullable String sentence) {
      return new Facts(
          name, license, languages, baseModel, Optional.ofNullable(sentence), training, gguf);
    }

    /** Sets the run's own record; null for none. */
    public Facts withTraining(@Nullable TrainingFacts facts) {
      return new Facts(name, license, languages, baseModel, data, Optional.ofNullable(facts), gguf);
    }

    /** Marks the model as a single GGUF file; null for a folder. */
    public Facts inFile(@Nullable String file) {
      return new Facts(
          name, license, languages, baseModel, data, training, Optional.ofNullable(file));
    }
  }

  private final ModelSpec spec;
  private final Facts facts;
  private final StringBuilder text = new StringBuilder();

  private ModelCard(ModelSpec spec, Facts facts) {
    this.spec = spec;
    this.facts = facts;
  }

  /** The last line of a generated card; remove it to keep edits of the card. */
  private static final String MARK =
      "<!-- jneox publish writes this page anew until this line is removed. -->";

  /** Whether a card still ends with the line that {@link #text} writes. */
  public static boolean isGenerated(String card) {
    return card.stripTrailing().endsWith(MARK);
  }

  /** Writes the whole card, in Markdown. */
  public static String text(ModelSpec spec, Facts facts) {
    return new ModelCard(spec, facts).write();
  }

  private String write() {
    frontMatter();
    line("# %s", facts.name());
    line("");
    line(
        "A causal language model of %s parameters: it predicts the"
            + " probability of each next token of a text.",
        count(spec.parameterCount()));
    facts
        .baseModel()
        .ifPresent(
            name -> line("Its weights come from [%s](https://huggingface.co/%s).", name, name));
    use();
    shape();
    data();
    training();
    limitations();
    licence();
    line("");
    line(MARK);
    return text.toString();
  }

  private void frontMatter() {
    line("---");
    facts.license().ifPresent(id -> line("license: %s", id));
    if (!facts.languages().isEmpty()) {
      line("language:");
      facts
          .languages()
          .forEach(language -> line("- %s", language.equals("no") ? "\"no\"" : language));
    }
    facts.baseModel().ifPresent(name -> line("base_model: %s", name));
    line("library_name: %s", facts.gguf().isEmpty() ? "transformers" : "gguf");
    line("pipeline_tag: text-generation");
    line("tags:");
    line("- causal-lm");
    line("- jneox");
    line("---");
    line("");
  }

  private void use() {
    section("Use");
    line("With transformers:");
    line("");
    line("```python");
    line("from transformers import AutoModelForCausalLM, AutoTokenizer");
    line("");
    String source =
        "\""
            + facts.name()
            + "\""
            + facts.gguf().map(file -> ", gguf_file=\"" + file + "\"").orElse("");
    line("tokenizer = AutoTokenizer.from_pretrained(%s)", source);
    line("model = AutoModelForCausalLM.from_pretrained(%s)", source);
    line("ids = tokenizer(\"Once upon a time\", return_tensors=\"pt\")");
    line("print(tokenizer.decode(model.generate(**ids, max_new_tokens=50)[0]))");
    line("```");
    line("");
    line("With JNeoX, on a Java virtual machine:");
    line("");
    line("```");
    line("jneox generate --model %s --prompt \"Once upon a time\" --max-tokens 50", facts.name());
    line("```");
  }

  private void shape() {
    section("Shape");
    table();
    Vocabulary vocabulary = spec.vocabulary();
    Attention attention = spec.first().attention();
    FeedForward feedForward = spec.first().feedForward();
    row("parameters", count(spec.parameterCount()));
    row(
        "of them in the embedding",
        count((long) vocabulary.rows() * spec.width())
            + (spec.head().tied() ? ", which is the head too" : ""));
    row("layers", count(spec.layers()));
    row("width", count(spec.width()));
    row("heads", attention.heads() + " of " + attention.headDim());
    if (attention.groupSize() > 1) {
      row("key and value heads", count(attention.kvHeads()));
    }
    row(
        "MLP",
        count(feedForward.width())
            + ", "
            + (feedForward.isGated() ? "gated " : "")
            + feedForward.activation().hfName());
    row("context", count(spec.maxPositions()) + " tokens");
    String padding =
        vocabulary.used() == vocabulary.rows() ? "" : ", padded to " + count(vocabulary.rows());
    row("vocabulary", count(vocabulary.used()) + padding);
    row("positions", positions());
    row(
        "attention and MLP",
        switch (spec.first().residual()) {
          case Residual.Serial serial -> "one after the other";
          case Residual.Parallel parallel -> "side by side";
          case Residual.ParallelOneNorm one -> "side by side, sharing a layer norm";
        });
    if (spec.windows().stream().anyMatch(window -> window > 0)) {
      long local = spec.windows().stream().filter(window -> window > 0).count();
      int widest = spec.windows().stream().mapToInt(window -> window).max().orElse(0);
      row("local attention", local + " layers, the last " + count(widest) + " tokens");
    }
  }

  private String positions() {
    Attention attention = spec.first().attention();
    return switch (attention.position()) {
      case Position.None none -> spec.embedding().learnedPositions() ? "learned" : "none";
      case Position.Rotary rotary ->
          "rotary, " + rotary.dims() + " of " + attention.headDim() + " values of a head";
    };
  }

  private void data() {
    section("Training data");
    List<String> parts = facts.training().map(TrainingFacts::data).orElse(List.of());
    if (facts.data().isPresent()) {
      line("%s", facts.data().get());
    } else if (parts.isEmpty()) {
      line("Not stated.");
    }
    if (!parts.isEmpty()) {
      line(
          "%sParts of the corpus: %s.",
          facts.data().isEmpty() ? "" : "\n",
          String.join(", ", parts.stream().map(part -> "`" + part + "`").toList()));
    }
  }

  private void training() {
    section("Training");
    if (facts.training().isEmpty()) {
      line("Not stated.");
      return;
    }
    TrainingFacts training = facts.training().get();
    table();
    training.iterations().ifPresent(n -> row("steps", count(n)));
    training.tokens().ifPresent(n -> row("tokens", count(n)));
    loss("loss of the last step", training.loss());
    loss("validation loss", training.validationLoss());
    training.settings().forEach((key, value) -> row("`" + key + "`", value));
  }

  private void loss(String what, OptionalDouble loss) {
    loss.ifPresent(
        nats ->
            row(
                what,
                String.format(
                    Locale.ROOT, "%.3f nats a token (perplexity %.2f)", nats, Math.exp(nats))));
  }

  private void limitations() {
    section("Limitations");
    line(
        "It continues text; it was not taught to follow instructions or to tell true from false,"
            + " and it repeats what its");
    line(
        "training data contain: errors, prejudices, and now and then passages word for word. It"
            + " reads at most %s tokens.",
        count(spec.maxPositions()));
    line("Check its output before you rely on it.");
  }

  private void licence() {
    section("Licence");
    line(
        facts
            .license()
            .map(id -> "`" + id + "`")
            .orElse("Not stated; ask the publisher before you use it."));
  }

  private void section(String title) {
    line("");
    line("## %s", title);
    line("");
  }

  private void table() {
    line("| | |");
    line("|---|---|");
  }

  private void row(String what, String value) {
    line("| %s | %s |", what, value.replace("|", "\\|"));
  }

  private void line(String format, Object... values) {
    text.append(values.length == 0 ? format : String.format(Locale.ROOT, format, values))
        .append('\n');
  }

  private static String count(long n) {
    return String.format(Locale.ROOT, "%,d", n);
  }
}
