/**
 * Fetches models by name over the public HTTP interface of the Hugging Face Hub, into the cache
 * that Python's huggingface_hub uses too. It does not trust a server: it checks names before they
 * reach the disk, and bytes before they get a name.
 */
@NullMarked
package dev.jneox.hub;

import org.jspecify.annotations.NullMarked;
