/**
 * Runs language models: opens what other software wrote, converts it, continues and scores texts.
 * Programs begin with {@link dev.jneox.Jneox}.
 *
 * <p>The kernels' packages are open to JNeoX's own modules alone. Start java with {@code
 * --add-modules jdk.incubator.vector}: the dependency is static, for JVMs that have no such module.
 */
@SuppressWarnings("module") // the other modules are not there when this one is compiled
module dev.jneox.core {
  requires static jdk.incubator.vector;
  requires static jdk.security.auth; // of native libraries; dev.jneox.torch has some
  requires static transitive org.jspecify;
  requires transitive com.fasterxml.jackson.databind;
  requires java.net.http;
  requires jdk.management;
  requires org.yaml.snakeyaml;

  exports dev.jneox;
  exports dev.jneox.convert;
  exports dev.jneox.format;
  exports dev.jneox.grammar;
  exports dev.jneox.hub;
  exports dev.jneox.infer;
  exports dev.jneox.inspect;
  exports dev.jneox.io;
  exports dev.jneox.model;
  exports dev.jneox.template;
  exports dev.jneox.tokenizer;
  exports dev.jneox.weights;
  exports dev.jneox.format.hf to
      dev.jneox.train;
  exports dev.jneox.format.neox to
      dev.jneox.train;
  exports dev.jneox.format.safetensors to
      dev.jneox.train;
  exports dev.jneox.kernel to
      dev.jneox.torch,
      dev.jneox.train;
}
