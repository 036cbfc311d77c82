/**
 * Embeds language models in a Java program: {@link dev.jneox.Jneox} opens one, and continues and
 * scores texts with it. Prints nothing and has no global state.
 *
 * <p>What a text is made of is in {@link dev.jneox.infer}, which knows nothing of this package:
 * {@code TextStream}, {@code TextPiece}, {@code Completion}, {@code FinishReason}, {@code Taps}. On
 * the module path one line imports both: {@code import module dev.jneox.core}.
 */
@NullMarked
package dev.jneox;

import org.jspecify.annotations.NullMarked;
