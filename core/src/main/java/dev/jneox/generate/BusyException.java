package dev.jneox.generate;

/**
 * An {@link Engine} has as many requests waiting as it takes; nothing is wrong with the request.
 */
public final class BusyException extends RuntimeException {
  BusyException(String message) {
    super(message);
  }
}
