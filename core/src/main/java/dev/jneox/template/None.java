package dev.jneox.template;

/** Is Python's None, JSON's null. */
enum None {
  NONE
}
