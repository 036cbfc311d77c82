package dev.jneox.serve;

/** Counts the requests of a key: a bucket of a minute's requests that fills evenly. */
final class RateLimit {
  private final ApiKey key;
  private double left;
  private long at = System.nanoTime();

  RateLimit(ApiKey key) {
    this.key = key;
    this.left = key.perMinute();
  }

  /**
   * Counts a request.
   *
   * @throws ApiException with status 429 and the seconds until the next one may come
   */
  synchronized void take() {
    if (key.perMinute() == 0) {
      return;
    }
    long now = System.nanoTime();
    double perSecond = key.perMinute() / 60.0;
    left = Math.min(key.perMinute(), left + (now - at) / 1e9 * perSecond);
    at = now;
    if (left < 1) {
      throw ApiException.overloaded(
          "the key of %s may send %d requests a minute".formatted(key.name(), key.perMinute()),
          (int) Math.ceil((1 - left) / perSecond));
    }
    left--;
  }
}
