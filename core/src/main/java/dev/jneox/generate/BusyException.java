package dev.jneox.generate;

/** Says that the queue of an {@link Engine} is full; nothing is wrong with the request. */
public final class BusyException extends RuntimeException {
  BusyException(String message) {
    super(message);
  }
}
