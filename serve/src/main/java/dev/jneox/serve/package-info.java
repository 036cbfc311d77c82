/** Serves models over HTTP in the forms of OpenAI's API. */
@NullMarked
package dev.jneox.serve;

import org.jspecify.annotations.NullMarked;
