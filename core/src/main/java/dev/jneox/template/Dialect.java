package dev.jneox.template;

/** Says which software's settings of Jinja a template is rendered with. */
enum Dialect {
  /** As HF transformers renders chat templates: lines are trimmed, a missing value is empty. */
  CHAT,
  /**
   * As lm-evaluation-harness renders its texts: nothing is trimmed, a missing value is an error.
   */
  TEXT
}
