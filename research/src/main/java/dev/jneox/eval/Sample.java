package dev.jneox.eval;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Holds what was asked for a document, and what came of it.
 *
 * @param number of the document in its split, from 0
 * @param target the right answer
 * @param responses to each request, as the model gave them
 * @param filtered the same after the filter
 */
public record Sample(
    int number,
    Document document,
    @Nullable Object target,
    String filter,
    List<Request> requests,
    List<List<Response>> responses,
    List<List<Response>> filtered,
    Map<String, Measured> measures) {}
