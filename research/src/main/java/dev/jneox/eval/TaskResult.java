package dev.jneox.eval;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Holds the results of a task.
 *
 * @param alias the name to show
 * @param fewshot examples in front of each document
 * @param all documents of the split
 * @param documents those evaluated
 * @param settings of its file
 * @param files that its documents came from, and their SHA-256
 */
public record TaskResult(
    String name,
    String alias,
    String version,
    int fewshot,
    int all,
    int documents,
    List<Score> scores,
    List<Sample> samples,
    Map<String, @Nullable Object> settings,
    Map<String, String> files) {}
