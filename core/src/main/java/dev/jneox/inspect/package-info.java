/**
 * Says what a model on disk is and whether it is whole, without running it: {@link
 * dev.jneox.inspect.Inspection}, {@link dev.jneox.inspect.RunInspection} and {@link
 * dev.jneox.inspect.Verification}.
 */
package dev.jneox.inspect;
