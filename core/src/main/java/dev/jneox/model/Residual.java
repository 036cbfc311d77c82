package dev.jneox.model;

/**
 * How a block joins attention and MLP to the residual stream.
 *
 * <pre>
 *   SERIAL                      PARALLEL                        PARALLEL_ONE_NORM (GPT-J)
 *   x ---> ln1 -> attn -> +     x -+-> ln1 -> attn -+           x -> ln1 -+-> attn -+
 *     `-------------------'|       +-> ln2 -> mlp --+-> +         |       +-> mlp --+-> +
 *   x ---> ln2 -> mlp --> +        `--------------------'         `---------------------'
 *     `-------------------'
 * </pre>
 */
public enum Residual {
  SERIAL,
  PARALLEL,
  PARALLEL_ONE_NORM
}
