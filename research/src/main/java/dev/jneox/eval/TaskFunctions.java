package dev.jneox.eval;

import java.util.Map;

/**
 * Lists the functions that task files may name: those of lm-evaluation-harness that we have, and
 * ours.
 */
final class TaskFunctions {
  /** By the folder of the harness's task, the file and the function in it. */
  static final Map<String, TaskFunction> ALL =
      Map.ofEntries(
          Map.entry("bbq/utils.process_docs", (TaskFunction.OfDocuments) Bbq::documents),
          Map.entry("bbq/utils.process_docs_ambig", (TaskFunction.OfDocuments) Bbq::ambiguous),
          Map.entry(
              "bbq/utils.process_docs_disambig", (TaskFunction.OfDocuments) Bbq::disambiguated),
          Map.entry("bbq/utils.doc_to_choice", (TaskFunction.OfDocument) Bbq::choices),
          Map.entry("bbq/utils.doc_to_target", (TaskFunction.OfDocument) Bbq::target),
          Map.entry(
              "bbq/utils.process_results_multiple_choice", (TaskFunction.OfResponses) Bbq::chosen),
          Map.entry(
              "bbq/utils.process_results_generate_until", (TaskFunction.OfResponses) Bbq::written),
          Map.entry("bbq/utils.agg_accuracy_amb", (TaskFunction.OfMeasured) Bbq::ambiguousAccuracy),
          Map.entry(
              "bbq/utils.agg_accuracy_disamb",
              (TaskFunction.OfMeasured) Bbq::disambiguatedAccuracy),
          Map.entry("bbq/utils.agg_amb_bias_scores", (TaskFunction.OfMeasured) Bbq::ambiguousBias),
          Map.entry(
              "bbq/utils.agg_disamb_bias_scores", (TaskFunction.OfMeasured) Bbq::disambiguatedBias),
          Map.entry(
              "crows_pairs/utils.doc_to_choice", (TaskFunction.OfDocument) CrowsPairs::sentences),
          Map.entry(
              "crows_pairs/utils.process_results", (TaskFunction.OfResponses) CrowsPairs::measures),
          Map.entry("crows_pairs/utils.filter_race_color", having("bias_type", "race-color")),
          Map.entry("crows_pairs/utils.filter_socio", having("bias_type", "socioeconomic")),
          Map.entry("crows_pairs/utils.filter_gender", having("bias_type", "gender")),
          Map.entry("crows_pairs/utils.filter_age", having("bias_type", "age")),
          Map.entry("crows_pairs/utils.filter_religion", having("bias_type", "religion")),
          Map.entry("crows_pairs/utils.filter_disability", having("bias_type", "disability")),
          Map.entry(
              "crows_pairs/utils.filter_orientation", having("bias_type", "sexual-orientation")),
          Map.entry("crows_pairs/utils.filter_nationality", having("bias_type", "nationality")),
          Map.entry(
              "crows_pairs/utils.filter_appearance", having("bias_type", "physical-appearance")),
          Map.entry("crows_pairs/utils.filter_autre", having("bias_type", "autre")),
          Map.entry("winogender/utils.filter_male", having("gender", "male")),
          Map.entry("winogender/utils.filter_female", having("gender", "female")),
          Map.entry("winogender/utils.filter_neutral", having("gender", "neutral")),
          Map.entry(
              "hendrycks_ethics/utils.doc_to_text", (TaskFunction.OfDocument) Ethics::question),
          Map.entry(
              "hendrycks_ethics/utils.doc_to_target", (TaskFunction.OfDocument) Ethics::answer),
          Map.entry(
              "simple_cooccurrence_bias/utils.process_results",
              (TaskFunction.OfResponses) SimpleCooccurrenceBias::measures),
          Map.entry("toxigen/utils.doc_to_target", (TaskFunction.OfDocument) ToxiGen::hateful),
          Map.entry(
              "truthfulqa/utils.process_results_mc2", (TaskFunction.OfResponses) TruthfulQa::mc2),
          Map.entry(
              "arithmetic/utils.process_docs", (TaskFunction.OfDocuments) Arithmetic::documents),
          Map.entry(
              "hellaswag/utils.process_docs", (TaskFunction.OfDocuments) HellaSwag::documents),
          Map.entry("logiqa/utils_logiqa.doc_to_text", (TaskFunction.OfDocument) LogiQa::question),
          Map.entry("logiqa/utils_logiqa.doc_to_target", (TaskFunction.OfDocument) LogiQa::answer),
          Map.entry("mathqa/utils.doc_to_choice", (TaskFunction.OfDocument) MathQa::options),
          Map.entry(
              "stereoset/utils.process_results", (TaskFunction.OfResponses) StereoSet::measures),
          Map.entry(
              "stereoset/utils.agg_lms",
              (TaskFunction.OfMeasured) StereoSet::languageModelingScore),
          Map.entry("stereoset/utils.agg_ss", (TaskFunction.OfMeasured) StereoSet::stereotypeScore),
          Map.entry("stereoset/utils.agg_icat", (TaskFunction.OfMeasured) StereoSet::icat),
          Map.entry("winobias/utils.process_docs", (TaskFunction.OfDocuments) WinoBias::documents),
          Map.entry(
              "super_glue/wsc/preprocess_wsc.default_doc_to_text",
              (TaskFunction.OfDocument) WinogradSchema::question),
          Map.entry(
              "winogrande/preprocess_winogrande.doc_to_text",
              (TaskFunction.OfDocument) WinoGrande::answer),
          Map.entry(
              "winogrande/preprocess_winogrande.doc_to_target",
              (TaskFunction.OfDocument) WinoGrande::ending),
          Map.entry(
              "winogrande/preprocess_winogrande.doc_to_choice",
              (TaskFunction.OfDocument) WinoGrande::beginnings),
          Map.entry(
              "wikitext/preprocess_wikitext.wikitext_detokenizer",
              (TaskFunction.OfDocument) WikiText::detokenized),
          Map.entry(
              "wikitext/preprocess_wikitext.process_results",
              (TaskFunction.OfResponses) WikiText::measures));

  private TaskFunctions() {}

  /** Keeps the documents whose field begins with a text. */
  private static TaskFunction.OfDocuments having(String field, String prefix) {
    return documents ->
        documents.stream().filter(document -> document.text(field).startsWith(prefix)).toList();
  }
}
