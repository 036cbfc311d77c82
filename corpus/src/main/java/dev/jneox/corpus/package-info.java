/**
 * Builds corpora on Apache Spark: reads weighted sources, cleans, deduplicates, mixes and writes
 * them.
 *
 * <ul>
 *   <li>{@link dev.jneox.corpus.Pipeline} is what a pipeline file says;
 *   <li>{@link dev.jneox.corpus.CorpusBuild} runs it, and {@link dev.jneox.corpus.CorpusPlan} says
 *       what would run;
 *   <li>{@link dev.jneox.corpus.Datasheet} describes what was built.
 * </ul>
 *
 * <p>The output depends on the pipeline and its sources alone: not on the number of cores, of
 * partitions or of machines.
 */
@NullMarked
package dev.jneox.corpus;

import org.jspecify.annotations.NullMarked;
