/**
 * Trains models: the loop, gradient steps, optimizer, configuration, checkpoints of a run, its
 * processes.
 */
module dev.jneox.train {
  requires static jdk.incubator.vector;
  requires transitive dev.jneox.data;
  requires transitive dev.jneox.torch;
  requires com.fasterxml.jackson.databind;

  exports dev.jneox.dist;
  exports dev.jneox.train;
}
