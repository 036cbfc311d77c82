package dev.jneox.serve;

import java.util.Optional;

/**
 * Says in a few words what a server offers under a name.
 *
 * @param id the name that requests give
 * @param context tokens of its longest sequence
 * @param bytes of weights, keys and values that it takes, or would take
 * @param opened more of it; empty before its first request has loaded it
 */
public record ModelSummary(String id, int context, long bytes, Optional<Opened> opened) {
  /**
   * Says what is known of a model that is open.
   *
   * @param parameters number of its weights
   * @param dtype what most of its weights are stored in, in the words of the format
   * @param kvBytes bound on the memory for keys and values, in bytes
   * @param hasTemplate whether it came with a chat template; else chats are transcripts
   */
  public record Opened(long parameters, String dtype, long kvBytes, boolean hasTemplate) {}

  static ModelSummary of(ModelPool.Status status) {
    return new ModelSummary(
        status.id(),
        status.context(),
        status.bytes(),
        Optional.ofNullable(status.served()).map(ServedModel::opened));
  }
}
