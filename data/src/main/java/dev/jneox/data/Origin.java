package dev.jneox.data;

/**
 * Locates one stored token.
 *
 * @param source number of the file pair in {@link Dataset#sources}; 0 where there is only one
 * @param document sequence of that pair
 * @param offset token within the document, from 0
 */
public record Origin(int source, int document, int offset) {}
