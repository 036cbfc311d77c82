package dev.jneox.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Is Python's dict: keys in the order of insertion, 1, 1.0 and true the same key. */
final class Dict {
  /** Is a key as it was first given, and its value. */
  record Entry(Object key, Object value) {}

  // By the key in a form that has Java's equality.
  private final Map<Object, Entry> entries = new LinkedHashMap<>();

  void put(Object key, Object value) {
    Object hashed = Numbers.hashable(key, 0);
    Entry old = entries.get(hashed);
    entries.put(hashed, new Entry(old == null ? key : old.key, value));
  }

  @Nullable Object get(Object key) {
    Entry entry = entries.get(Numbers.hashable(key, 0));
    return entry == null ? null : entry.value;
  }

  boolean contains(Object key) {
    return entries.containsKey(Numbers.hashable(key, 0));
  }

  int size() {
    return entries.size();
  }

  Iterable<Entry> entries() {
    return entries.values();
  }

  List<Object> keys() {
    List<Object> keys = new ArrayList<>(size());
    entries.values().forEach(entry -> keys.add(entry.key));
    return keys;
  }

  List<Object> values() {
    List<Object> values = new ArrayList<>(size());
    entries.values().forEach(entry -> values.add(entry.value));
    return values;
  }

  List<Object> items() {
    List<Object> items = new ArrayList<>(size());
    entries.values().forEach(entry -> items.add(Tuple.of(entry.key, entry.value)));
    return items;
  }
}
