package dev.jneox.corpus;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Counts what a build did: the content of {@code corpus.json}. It has no times, so that the same
 * pipeline gives the same bytes.
 *
 * @param pipeline name of the pipeline file
 * @param format jsonl or megatron
 * @param seed of the order
 * @param heldOut share of documents that are held out where a source has none of its own
 * @param steps names of the steps with what they do, in order
 * @param sources the components
 * @param removals removed documents by source, step and rule
 * @param malformed places of malformed records, the first of each source
 * @param duplicates groups that deduplication found
 * @param spans what steps cut out of documents that stay
 * @param classifiers that the build trained
 * @param findings personal data and words of lists that steps counted in the documents kept
 * @param files SHA-256 of each file of the output but the reports
 */
public record Facts(
    String pipeline,
    String format,
    long seed,
    double heldOut,
    List<StepText> steps,
    List<Component> sources,
    List<Removal> removals,
    List<Malformed> malformed,
    List<Duplicates> duplicates,
    List<Spans> spans,
    List<Classifier> classifiers,
    List<Finding> findings,
    Map<String, String> files) {
  /** Has no spans, classifiers and findings where a build of an earlier version counted none. */
  public Facts {
    spans = orEmpty(spans);
    classifiers = orEmpty(classifiers);
    findings = orEmpty(findings);
  }

  private static <T> List<T> orEmpty(@Nullable List<T> list) {
    return list == null ? List.of() : list;
  }

  /** Says what a step does. */
  public record StepText(String name, String does) {
    static List<StepText> of(List<ScopedStep> steps) {
      return steps.stream()
          .map(scoped -> new StepText(scoped.step().name(), scoped.describe()))
          .toList();
    }
  }

  /**
   * Counts the documents of a source.
   *
   * @param name of the source
   * @param paths of the pipeline file
   * @param weight epochs
   * @param heldOut share of documents that are held out
   * @param files read
   * @param diskBytes of the files
   * @param records read: documents and malformed ones, and lines that are blank
   * @param malformed records that are no document
   * @param keptDocuments that all steps kept, held-out ones included
   * @param keptBytes of UTF-8 of them
   * @param documents written for training, copies included
   * @param tokens written for training
   * @param heldOutDocuments written to be held out
   * @param heldOutTokens written to be held out
   * @param languages kept documents by language, ISO 639-3, where a step found it
   * @param licences kept documents by the licence of their text, where the pipeline states it
   * @param lengths kept documents by the binary digits of their length: {@code n} has those of
   *     2^(n-1) to 2^n - 1 bytes
   */
  public record Component(
      String name,
      List<String> paths,
      double weight,
      double heldOut,
      int files,
      long diskBytes,
      long records,
      long malformed,
      long keptDocuments,
      long keptBytes,
      long documents,
      long tokens,
      long heldOutDocuments,
      long heldOutTokens,
      Map<String, Long> languages,
      List<Licence> licences,
      Map<Integer, Long> lengths) {
    /** Has no lengths where a build of an earlier version counted none. */
    public Component {
      lengths = Objects.requireNonNullElse(lengths, Map.of());
    }
  }

  /**
   * Counts the kept documents of one licence in a source.
   *
   * @param licence as the pipeline states it, an SPDX expression; empty for documents of which it
   *     states none
   * @param packages that they come from, with the versions of the pipeline's lock
   * @param documents kept
   * @param bytes of UTF-8 of them
   */
  public record Licence(String licence, List<String> packages, long documents, long bytes) {}

  /**
   * Counts what one rule removed from one source.
   *
   * @param source name of the source
   * @param step name of the step
   * @param rule of the step
   * @param documents removed
   * @param bytes of UTF-8 of them
   * @param line of the sample in its source
   * @param sample beginning of one removed document, chosen by hash
   * @param kept of a duplicate the document that stays, {@code SOURCE, line N}; else empty
   */
  public record Removal(
      String source,
      String step,
      String rule,
      long documents,
      long bytes,
      long line,
      String sample,
      String kept) {}

  /** Names a malformed record: its file, its line or number there, and what is wrong. */
  public record Malformed(String source, String file, long record, String problem) {}

  /**
   * Describes the groups that a step of deduplication found.
   *
   * @param step name of the step
   * @param groups of two documents or more
   * @param removed documents
   * @param largest documents of the largest group
   * @param largestKept the one of them that stays, {@code SOURCE, line N}
   * @param capped groups of a band that were larger than the cap
   * @param overCap documents of them that were not linked
   * @param earlier documents removed that are like one of an earlier build, beside those of groups
   */
  public record Duplicates(
      String step,
      long groups,
      long removed,
      long largest,
      String largestKept,
      long capped,
      long overCap,
      long earlier) {}

  /**
   * Counts the repeated spans of text that a step found.
   *
   * @param step name of the step
   * @param different spans that the corpus had several times
   * @param repeated places that had one of them before
   * @param documents that were changed and stay
   * @param bytes of UTF-8 that were cut out of these
   * @param most the spans that were repeated most often
   */
  public record Spans(
      String step, long different, long repeated, long documents, long bytes, List<Span> most) {}

  /** Is the beginning of a span, how often the corpus had it, and the place of the first one. */
  public record Span(String text, long times, String place) {}

  /**
   * Names a classifier of quality.
   *
   * @param step name of the step
   * @param positive the source of good documents
   * @param accuracy on documents of both sides that it was not trained on, 0 to 1
   */
  public record Classifier(String step, String positive, double accuracy) {}

  /**
   * Counts what steps found in the documents kept of a source.
   *
   * @param source name of the source
   * @param kind email, ip, phone, card, key (all replaced), or toxicity
   * @param found places
   * @param documents that have one at least
   */
  public record Finding(String source, String kind, long found, long documents) {}
}
