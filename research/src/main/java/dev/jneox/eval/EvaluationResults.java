package dev.jneox.eval;

import java.util.Map;

/** Holds the results of tasks and groups by name, in the order in which they were asked for. */
public record EvaluationResults(Map<String, TaskResult> tasks, Map<String, GroupResult> groups) {}
