package dev.jneox.data;

/**
 * Says which document gave consecutive tokens of a sample: tokens {@code [position, position +
 * length)} of the sample are tokens {@code [offset, offset + length)} of the document.
 *
 * @param source number of the file pair in {@link Dataset#sources}; 0 where there is only one
 * @param document sequence of that pair
 * @param offset first token within the document, from 0
 * @param length tokens, at least 1
 * @param position first token within the sample, from 0
 */
public record Span(int source, int document, int offset, int length, int position) {
  /** Returns whether the token {@code at} of the sample belongs to this span. */
  boolean covers(int at) {
    return position <= at && at < position + length;
  }

  /**
   * Returns the place in the document of the token at {@code at} of the sample, within this span.
   */
  Origin origin(int at) {
    return new Origin(source, document, offset + at - position);
  }

  /** Returns the same span for a list with {@code sources} others before its own. */
  Span shifted(int sources) {
    return new Span(source + sources, document, offset, length, position);
  }
}
