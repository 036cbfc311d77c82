/**
 * Fetches models by name over the public HTTP interface of the Hugging Face Hub, into the cache
 * that the field's Python tools use too. What a server says is never trusted: names are checked
 * before they touch the disk, and bytes before they get a name.
 */
@NullMarked
package dev.jneox.hub;

import org.jspecify.annotations.NullMarked;
