package dev.jneox.serve;

/**
 * Bounds the bytes of the bodies that all requests hold at a time, so that many large ones do not
 * fill the heap. The first bytes of each are free: small requests always pass.
 */
final class BodyBudget {
  /** Free bytes of each body, and the size of the steps in which more are taken. */
  static final int STEP = 64 << 10;

  private final long most;
  private long taken;

  /**
   * @param most bytes at a time
   */
  BodyBudget(long most) {
    this.most = most;
  }

  /**
   * Takes bytes, which are given back by {@link #free}.
   *
   * @throws ApiException with status 503 where that would be too many
   */
  synchronized void take(long bytes) {
    if (bytes > most - taken) {
      throw ApiException.unavailable("the server holds too many large bodies: try again");
    }
    taken += bytes;
  }

  synchronized void free(long bytes) {
    taken -= bytes;
  }
}
