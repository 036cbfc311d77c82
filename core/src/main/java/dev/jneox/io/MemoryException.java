package dev.jneox.io;

import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** Reports that a model, a run or its data does not fit in memory. */
public final class MemoryException extends JneoxException {
  private final long needed; // -1 where not known
  private final long free; // -1 where not known

  /**
   * Creates the error for an allocation that was found too large before it was tried.
   *
   * @param needed bytes needed
   * @param free bytes available
   */
  public MemoryException(String message, long needed, long free) {
    this(message, null, needed, free);
  }

  /** Creates the error for an allocation that failed. The number of bytes needed is unknown. */
  public MemoryException(String message, Throwable cause) {
    this(message, cause, -1, -1);
  }

  private MemoryException(String message, @Nullable Throwable cause, long needed, long free) {
    super(message, cause);
    this.needed = needed;
    this.free = free;
  }

  @Override
  public MemoryException withMessage(String message) {
    return new MemoryException(message, this, needed, free);
  }

  /** Returns the bytes needed; empty where unknown. */
  public OptionalLong needed() {
    return optional(needed);
  }

  /** Returns the bytes available; empty where unknown. */
  public OptionalLong free() {
    return optional(free);
  }

  private static OptionalLong optional(long bytes) {
    return bytes < 0 ? OptionalLong.empty() : OptionalLong.of(bytes);
  }
}
