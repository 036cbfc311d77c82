/**
 * Evaluates models on tasks, with the numbers of lm-evaluation-harness: {@link
 * dev.jneox.eval.TaskCatalog} finds tasks by name, {@link dev.jneox.eval.Evaluation} runs them,
 * {@link dev.jneox.eval.EvaluatedModel} answers what they ask.
 *
 * <p>A task is a YAML file in the harness's form. To add one:
 *
 * <ol>
 *   <li>Write {@code NAME.yaml} in {@code src/main/resources/dev/jneox/eval/tasks}. It is found by
 *       the {@code task} in it; nothing else lists it. Templates are those of {@link
 *       dev.jneox.template.TextTemplate}. Tasks that differ in a few settings are one file with
 *       {@code members} and {@code each}: see {@code TaskFamily}.
 *   <li>What templates cannot say is a {@code !function FOLDER/FILE.FUNCTION}, under the name that
 *       the harness's own file of the task has for it, so that both files run. It is an entry of
 *       {@code TaskFunctions}, a {@link dev.jneox.eval.TaskFunction}, and a class of the data set's
 *       name holds what it does.
 *   <li>A metric whose numbers do not become one by an existing {@code Aggregation} gets one there,
 *       or a {@code !function} that is a {@link dev.jneox.eval.TaskFunction.OfMeasured}.
 *   <li>A record of the data set, invented, goes into {@code OwnTasksTest} with the prompt that is
 *       written of it, and a maker of such records into {@code bench/peers/lm_eval_tasks.py}, which
 *       compares prompts, log-likelihoods and metrics with the harness's.
 * </ol>
 */
@NullMarked
package dev.jneox.eval;

import org.jspecify.annotations.NullMarked;
