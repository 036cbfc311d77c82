package dev.jneox.eval;

import java.util.Map;

/** Lists the functions that task files may name: those of lm-evaluation-harness that we have. */
final class TaskFunctions {
  /** By the folder of the harness's task, the file and the function in it. */
  static final Map<String, TaskFunction> ALL =
      Map.ofEntries(
          Map.entry(
              "hellaswag/utils.process_docs", (TaskFunction.OfDocuments) HellaSwag::documents),
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
}
