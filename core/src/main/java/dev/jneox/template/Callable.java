package dev.jneox.template;

/** Is a function that a template may call. */
interface Callable {
  Object call(Args args);
}
