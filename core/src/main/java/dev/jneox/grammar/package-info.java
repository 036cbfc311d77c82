/**
 * Holds a model to a form while it writes: a regular expression, a JSON Schema, a choice, a
 * grammar.
 *
 * <ul>
 *   <li>{@link dev.jneox.grammar.Grammar} reads a form from its text.
 *   <li>{@link dev.jneox.grammar.TokenTrie} holds the bytes of a tokenizer's ids.
 *   <li>Both together give a {@link dev.jneox.infer.TokenConstraint} for a request.
 * </ul>
 *
 * <p>A form is a {@code Network} over bytes, an {@code Automaton} runs it, and {@code TokenMasks}
 * walk the trie with it.
 */
@NullMarked
package dev.jneox.grammar;

import org.jspecify.annotations.NullMarked;
