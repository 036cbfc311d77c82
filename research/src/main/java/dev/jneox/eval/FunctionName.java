package dev.jneox.eval;

/**
 * Names a function, as {@code !function} of a task file does.
 *
 * @param name the folder of the task file and the function in it: {@code
 *     hellaswag/utils.process_docs}
 */
record FunctionName(String name) {}
