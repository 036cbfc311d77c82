/**
 * From text to training samples. {@link dev.jneox.data.Documents} reads corpora, {@link
 * dev.jneox.data.Prepare} tokenises them into the files of {@link dev.jneox.data.IndexedDataset};
 * {@link dev.jneox.data.SampleIndex}, {@link dev.jneox.data.GptDataset} and {@link
 * dev.jneox.data.BlendedDataset} feed them in the order in which GPT-NeoX does, to the last index.
 */
package dev.jneox.data;
