/**
 * Runs models on libtorch: the differentiable reference and its hooks. On the module path, the
 * modules of the natives are to be named too: {@code --add-modules ALL-MODULE-PATH}.
 */
module dev.jneox.torch {
  requires static transitive jdk.incubator.vector;
  requires transitive dev.jneox.core;
  requires transitive org.bytedeco.pytorch;
  requires jdk.security.auth;

  exports dev.jneox.torch;
}
