package dev.jneox.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Is the variable {@code loop}: where a for loop stands. Elements are read as they are needed. */
final class Loop implements Iterator<Object> {
  private Iterator<Object> rest;
  private final Values values;
  private int index = -1;
  private @Nullable Object previous;
  private @Nullable Object current;
  private @Nullable Object after;
  private @Nullable Object last;
  private long length = -1;

  Loop(Iterator<Object> elements, long length, Values values) {
    this.rest = elements;
    this.length = length;
    this.values = values;
  }

  private boolean peek() {
    if (after == null && rest.hasNext()) {
      after = rest.next();
    }
    return after != null;
  }

  @Override
  public boolean hasNext() {
    return after != null || rest.hasNext();
  }

  @Override
  public Object next() {
    Object next = after == null ? rest.next() : after;
    after = null;
    index++;
    previous = current;
    current = next;
    return next;
  }

  long length() {
    if (length < 0) {
      List<Object> left = new ArrayList<>();
      rest.forEachRemaining(left::add);
      rest = left.iterator();
      length = left.size() + index + 1 + (after == null ? 0 : 1);
    }
    return length;
  }

  /** Returns the elements to come, each with this object. */
  Iterator<Object> pairs() {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return Loop.this.hasNext();
      }

      @Override
      public Object next() {
        return Tuple.of(Loop.this.next(), Loop.this);
      }
    };
  }

  /** Returns a member; null where it has none of the name. */
  @Nullable Object member(String name) {
    return switch (name) {
      case "index" -> index + 1L;
      case "index0" -> (long) index;
      case "revindex" -> length() - index;
      case "revindex0" -> length() - index - 1;
      case "first" -> index == 0;
      case "last" -> !peek();
      case "length" -> length();
      // Only recursive loops are deeper.
      case "depth" -> 1L;
      case "depth0" -> 0L;
      case "previtem" ->
          index == 0 || previous == null ? new Undefined("there is no previous item") : previous;
      case "nextitem" -> peek() && after != null ? after : new Undefined("there is no next item");
      case "cycle" -> (Callable) this::cycle;
      case "changed" -> (Callable) this::changed;
      default -> null;
    };
  }

  private Object cycle(Args args) {
    if (args.positional().isEmpty()) {
      throw TemplateFault.expected("values for loop.cycle", "none");
    }
    return args.positional().get(index % args.positional().size());
  }

  private Object changed(Args args) {
    Tuple now = new Tuple(args.positional(), false);
    boolean changed = last == null || !values.equal(last, now);
    last = now;
    return changed;
  }
}
