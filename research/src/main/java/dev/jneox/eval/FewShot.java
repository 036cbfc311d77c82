package dev.jneox.eval;

import dev.jneox.data.PythonRandom;
import dev.jneox.io.InputException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Draws the examples of prompts, as lm-evaluation-harness does: one generator goes on through all
 * documents of a task, so that the examples of a document depend on those before it.
 */
final class FewShot {
  /** The harness's seed, unless one is asked for. */
  static final long SEED = 1234;

  private final TaskSpec task;
  private final List<Document> pool;
  private final PythonRandom random;

  FewShot(TaskSpec task, List<Document> pool, long seed) {
    this.task = task;
    this.pool = pool;
    this.random = new PythonRandom(seed);
  }

  /**
   * Returns the examples for a document.
   *
   * @param evaluated a document that may be in the pool and is to be left out; null for none
   */
  List<Document> examples(int n, @Nullable Document evaluated) {
    if (n == 0) {
      return List.of();
    }
    if (task.examples.firstOnes()) {
      List<Document> others = without(pool, evaluated);
      require(n, others.size());
      return others.subList(0, n);
    }
    require(evaluated == null ? n : n + 1, pool.size());
    if (evaluated == null) {
      return random.sample(pool, n);
    }
    List<Document> drawn = without(random.sample(pool, n + 1), evaluated);
    if (drawn.size() < n) { // it is in the pool more than once
      List<Document> others = without(pool, evaluated);
      require(n, others.size());
      return random.sample(others, n);
    }
    return drawn.subList(0, n);
  }

  private static List<Document> without(List<Document> documents, @Nullable Document left) {
    return left == null
        ? documents
        : documents.stream().filter(document -> !document.equals(left)).toList();
  }

  private void require(int needed, int found) {
    if (needed > found) {
      throw new InputException(
          "task "
              + task.name
              + ": expected "
              + needed
              + " documents or more to take examples from, found "
              + found);
    }
  }
}
