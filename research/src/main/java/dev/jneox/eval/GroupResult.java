package dev.jneox.eval;

import java.util.List;

/**
 * Holds the results of a group.
 *
 * @param members names of its tasks and groups
 * @param documents evaluated in all its tasks
 */
public record GroupResult(
    String name,
    String alias,
    String version,
    List<String> members,
    int documents,
    List<Score> scores) {}
