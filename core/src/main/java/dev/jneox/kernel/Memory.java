package dev.jneox.kernel;

import java.lang.foreign.MemorySegment;

/** Reads memory by address, without the checks of a segment that ends. */
@SuppressWarnings("restricted") // native access, which the launcher allows
final class Memory {
  /**
   * All memory, by address. The checks of a segment with an end are worth as much as the products
   * of a kernel, and C2 rarely takes them out of a loop; of an address below {@link #TOP} it knows
   * at compile time that this one has it. So whoever hands addresses to a kernel checks them first,
   * a product at a time.
   */
  static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  /**
   * {@code address & TOP} is the address, and C2 then knows that it is no negative number and far
   * from the largest.
   */
  static final long TOP = (1L << 62) - 1;

  private Memory() {}
}
