package dev.jneox.weights;

import java.util.Iterator;
import java.util.List;

/**
 * What a file will still be given whose header says beforehand what comes: its tensors in order,
 * each whole or in parts. Holds a writer to what it declared.
 */
public final class DeclaredTensors {
  /** A tensor that was declared. */
  public record Item(String name, long bytes) {}

  private final Iterator<Item> coming;
  private Item current = new Item("", 0);
  private long missing; // bytes of the current one

  public DeclaredTensors(List<Item> items) {
    coming = items.iterator();
  }

  /**
   * Takes note of the next bytes and says whether the tensor is whole with them.
   *
   * @throws IllegalArgumentException when they are not those declared
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
   * @throws IllegalStateException when something is still to come
   */
  public void requireAll() {
    if (missing > 0 || coming.hasNext()) {
      String name = missing > 0 ? current.name() : coming.next().name();
      throw new IllegalStateException(name + " was declared and not written");
    }
  }
}
