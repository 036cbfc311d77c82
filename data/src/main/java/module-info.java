/** Reads and writes corpora, Megatron's token files, and the order of samples. */
module dev.jneox.data {
  requires transitive dev.jneox.core;
  requires com.fasterxml.jackson.core;

  exports dev.jneox.data;
}
