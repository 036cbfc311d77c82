package dev.jneox.corpus;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Function;
import java.util.function.Supplier;

/** Goes over what a function makes of each item, and over a last list at the end. */
final class FlatIterator<T, R> implements Iterator<R> {
  private final Iterator<T> items;
  private final Function<T, List<R>> function;
  private final Supplier<List<R>> last;
  private Iterator<R> now = List.<R>of().iterator();
  private boolean ended;

  FlatIterator(Iterator<T> items, Function<T, List<R>> function) {
    this(items, function, List::of);
  }

  FlatIterator(Iterator<T> items, Function<T, List<R>> function, Supplier<List<R>> last) {
    this.items = items;
    this.function = function;
    this.last = last;
  }

  @Override
  public boolean hasNext() {
    while (!now.hasNext()) {
      if (items.hasNext()) {
        now = function.apply(items.next()).iterator();
      } else if (ended) {
        return false;
      } else {
        ended = true;
        now = last.get().iterator();
      }
    }
    return true;
  }

  @Override
  public R next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    return now.next();
  }
}
