package dev.jneox.corpus;

import org.jspecify.annotations.Nullable;

/**
 * Looks at one document alone: changes it or removes it. Instances go to the machines of a cluster
 * and are used there by several threads.
 */
public non-sealed interface TextStep extends Step {
  /**
   * Cleans a page.
   *
   * @return the rule that removes it; null where it stays
   */
  @Nullable String apply(Page page);

  /** Reads on the driver what every machine needs, before the step is sent. */
  default void prepare() {}
}
