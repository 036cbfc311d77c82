package dev.jneox.io;

import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** Says that a model, a run or its data does not fit in memory. */
public final class MemoryException extends JneoxException {
  private final long needed; // -1 where not known
  private final long free; // -1 where not known

  /**
   * Makes the error of what was seen not to fit before it was tried.
   *
   * @param needed bytes
   * @param free bytes that may be taken
   */
  public MemoryException(String message, long needed, long free) {
    this(message, null, needed, free);
  }

  /** Makes the error of an allocation that failed: how much was needed is not known. */
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

  /** Returns the bytes it would take; empty where they are not known. */
  public OptionalLong needed() {
    return optional(needed);
  }

  /** Returns the bytes that may be taken; empty where they are not known. */
  public OptionalLong free() {
    return optional(free);
  }

  private static OptionalLong optional(long bytes) {
    return bytes < 0 ? OptionalLong.empty() : OptionalLong.of(bytes);
  }
}
