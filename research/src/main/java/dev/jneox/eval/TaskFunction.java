package dev.jneox.eval;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Is what a task file names with {@code !function}. */
public sealed interface TaskFunction {
  /** Changes the documents of a split before all else: {@code process_docs}. */
  @FunctionalInterface
  non-sealed interface OfDocuments extends TaskFunction {
    /** Returns the documents that the task is made of. */
    List<Document> apply(List<Document> documents);
  }

  /** Takes something from a document: {@code doc_to_text}, {@code doc_to_target} and the like. */
  @FunctionalInterface
  non-sealed interface OfDocument extends TaskFunction {
    /** Returns a value of JSON: a String, a Long, a List. */
    @Nullable Object apply(Document document);
  }

  /** Measures what the model gave for a document: {@code process_results}. */
  @FunctionalInterface
  non-sealed interface OfResponses extends TaskFunction {
    /** Returns what the document adds to each metric, by the metric's name. */
    Map<String, Measured> apply(Document document, List<Response> responses);
  }

  /** Makes one number of all documents: {@code aggregation}. */
  @FunctionalInterface
  non-sealed interface OfMeasured extends TaskFunction {
    /** Returns the metric. */
    double apply(List<Measured> measured);
  }
}
