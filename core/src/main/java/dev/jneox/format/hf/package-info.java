/**
 * Reads and writes model folders of HF transformers. A {@code Family} maps the {@code config.json}
 * of a kind of model (GPT-NeoX, GPT-J, GPT-2, GPT-Neo, Llama) to a {@link
 * dev.jneox.model.ModelSpec} and back, and names its tensors.
 */
@NullMarked
package dev.jneox.format.hf;

import org.jspecify.annotations.NullMarked;
