/** A program on the module path; on the class path this file does nothing. */
module com.example.embed {
  requires dev.jneox.core;
}
