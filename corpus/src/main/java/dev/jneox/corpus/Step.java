package dev.jneox.corpus;

import java.io.Serializable;
import java.util.LinkedHashMap;
import java.util.Map;

/** Does one thing to the documents of a corpus, or removes some of them. */
public sealed interface Step extends Serializable
    permits TextStep, QualityClassifier, ExactDedup, MinHashDedup, SpanDedup {
  /** Returns the name that it has in pipeline files. */
  String name();

  /** Returns what it does, with its options, in a few words. */
  String describe();

  /** Returns the step where it is number {@code number} of its name in a pipeline, from 1. */
  default Step numbered(int number) {
    return this;
  }

  /** Makes a step of its options. */
  @FunctionalInterface
  interface Factory {
    /**
     * Makes the step.
     *
     * @throws dev.jneox.io.InputException for a wrong option
     */
    Step create(Settings options);
  }

  /** The steps that there are, by name. */
  Map<String, Factory> FACTORIES = factories();

  private static Map<String, Factory> factories() {
    Map<String, Factory> steps = new LinkedHashMap<>();
    steps.put("unicode", UnicodeRepair::of);
    steps.put("language", LanguageFilter::of);
    steps.put("gopher_quality", GopherQuality::of);
    steps.put("gopher_repetition", GopherRepetition::of);
    steps.put("c4", C4Rules::of);
    steps.put("fineweb", FineWebRules::of);
    steps.put("pii", PiiRemoval::of);
    steps.put("toxicity", Toxicity::of);
    steps.put("quality_classifier", QualityClassifier::of);
    steps.put("perplexity", Perplexity::of);
    steps.put("decontaminate", Decontaminate::of);
    steps.put("exact_dedup", ExactDedup::of);
    steps.put("minhash_dedup", MinHashDedup::of);
    steps.put("line_dedup", UnitDedup.of(UnitDedup.Unit.LINE));
    steps.put("paragraph_dedup", UnitDedup.of(UnitDedup.Unit.PARAGRAPH));
    steps.put("substring_dedup", SubstringDedup::of);
    return steps;
  }
}
