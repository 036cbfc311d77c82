/**
 * Embeds language models in a Java program: {@link dev.jneox.Jneox} opens one, and continues and
 * scores texts with it. Prints nothing and has no global state.
 */
package dev.jneox;
