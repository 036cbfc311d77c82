package dev.jneox.weights;

import java.util.Iterator;
import java.util.List;

/**
 * Tracks the tensors that a file header has declared and that are still to be written. They come in
 * order, each whole or in parts. Rejects any write that does not match the declaration.
 */
public final class DeclaredTensors {
  /**
   * Describes a declared tensor.
   *
   * @param name its name in the file
   * @param bytes its size
   */
  public record Item(String name, long bytes) {}

  private final Iterator<Item> coming;
  private Item current = new Item("", 0);
  private long missing; // bytes of the current one

  /**
   * Starts with all tensors outstanding.
   *
   * @param items in the order in which they must be written
   */
  public DeclaredTensors(List<Item> items) {
    coming = items.iterator();
  }

  /**
   * Records the next bytes and returns whether they complete the tensor.
   *
   * @throws IllegalArgumentException when they do not match the declaration
   */
  public boolean take(String name, long bytes) {
    if (missing == 0) {
      if (!coming.hasNext()) {
        throw new IllegalArgumentException(name + " comes after the last declared tensor");
      }
      current = coming.next();
      missing = current.bytes();
    }
    if (!current.name().equals(name) || bytes > missing) {
      String declared = current.name() + ", of which " + missing + " bytes are missing";
      throw new IllegalArgumentException("declared " + declared + ", got " + name + " of " + bytes);
    }
    missing -= bytes;
    return missing == 0;
  }

  /**
   * Checks that every declared tensor was written.
   *
   * @throws IllegalStateException when bytes are missing
   */
  public void requireAll() {
    if (missing > 0 || coming.hasNext()) {
      String name = missing > 0 ? current.name() : coming.next().name();
      throw new IllegalStateException(name + " was declared and not written");
    }
  }
}
