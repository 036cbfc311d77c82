package dev.jneox.format.torch;

import static dev.jneox.format.torch.PickleValue.kind;
import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.format.torch.PickleValue.Opaque;
import dev.jneox.format.torch.PickleValue.Storage;
import dev.jneox.format.torch.PickleValue.Tuple;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads a Python pickle (protocols 0 to 5, <a
 * href="https://github.com/python/cpython/blob/main/Lib/pickletools.py">the opcodes</a>) as data
 * and never as a program. It builds dictionaries with plain keys (Map), lists and sets (List),
 * {@link Tuple}s, strings, numbers (Long, BigInteger, Double), booleans, null, bytes, and the
 * tensors that {@code torch.save} writes ({@link PickleTensors}). It loads no class and calls
 * nothing. It rejects any other global by its name; a lenient reader keeps it, and its results, as
 * an inert {@link Opaque}.
 *
 * <p>Work and memory are bounded by the length of the pickle, at most {@link
 * PickleInput#MAX_BYTES}, and by {@value #MAX_VALUES} values. A result may contain itself, because
 * a pickle can express that.
 */
final class PickleReader {
  static final int MAX_VALUES = 1 << 20;

  private final PickleInput in;
  private final List<Object> stack = new ArrayList<>();
  private final List<Integer> marks = new ArrayList<>();
  private final Map<Long, Object> memo = new HashMap<>();
  private final PickleTensors tensors;
  private int values;

  /**
   * Starts with an empty stack.
   *
   * @param lenient keep values that are neither plain nor a tensor as inert values instead of
   *     rejecting them
   */
  PickleReader(PickleInput in, boolean lenient) {
    this.in = in;
    this.tensors = new PickleTensors(in, lenient);
  }

  /** Reads the value of the pickle. */
  Object read() {
    for (int opcode = in.opcode(); opcode != '.'; opcode = in.opcode()) {
      if (!plain(opcode) && !structure(opcode)) {
        throw in.wrong("an opcode of a pickle of data", String.format("0x%02x", opcode));
      }
    }
    return pop();
  }

  /** Returns the referenced storages by key. */
  Map<String, Storage> storages() {
    return tensors.storages();
  }

  /** Runs an opcode for a value without parts; returns whether it was one. */
  private boolean plain(int opcode) {
    switch (opcode) {
      case 'N' -> push(null);
      case 0x88 -> push(true);
      case 0x89 -> push(false);
      case 'I', 'L' -> push(in.decimal()); // truth values too in protocol 0, as 01 and 00
      case 'J' -> push(in.signed32());
      case 'K' -> push(in.unsigned(1));
      case 'M' -> push(in.unsigned(2));
      case 0x8a -> push(in.integer(in.unsigned(1)));
      case 0x8b -> push(in.integer(in.signed32()));
      case 'F' -> push(in.decimalDouble());
      case 'G' -> push(in.binaryDouble());
      case 'S' -> push(unquoted(in.line(StandardCharsets.ISO_8859_1)));
      case 'T' -> push(in.latin1(in.signed32()));
      case 'U' -> push(in.latin1(in.unsigned(1)));
      case 'V' -> push(unescaped(in.line(StandardCharsets.ISO_8859_1)));
      case 'X' -> push(in.utf8(in.unsigned(4)));
      case 0x8c -> push(in.utf8(in.unsigned(1)));
      case 0x8d -> push(in.utf8(in.length64()));
      case 'B' -> push(in.array(in.unsigned(4)));
      case 'C' -> push(in.array(in.unsigned(1)));
      case 0x8e, 0x96 -> push(in.array(in.length64()));
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Runs an opcode for composed values, the memo or globals; returns whether it was one. */
  private boolean structure(int opcode) {
    switch (opcode) {
      case 0x80 -> protocol(in.unsigned(1));
      case 0x95 -> in.skip(8); // FRAME: how much to read ahead
      case '(' -> mark();
      case '0' -> drop();
      case '1' -> popMark();
      case '2' -> push(top());
      case ']', 0x8f -> push(new ArrayList<>());
      case 'l', 0x91 -> push(popMark());
      case 'a' -> append(popped(1));
      case 'e', 0x90 -> append(popMark());
      case ')' -> push(new Tuple(List.of()));
      case 't' -> push(new Tuple(popMark()));
      case 0x85 -> push(new Tuple(popped(1)));
      case 0x86 -> push(new Tuple(popped(2)));
      case 0x87 -> push(new Tuple(popped(3)));
      case '}' -> push(new LinkedHashMap<>());
      case 'd' -> dictionary();
      case 's' -> setItems(popped(2));
      case 'u' -> setItems(popMark());
      case 'g' -> push(recall(in.decimal()));
      case 'h' -> push(recall(in.unsigned(1)));
      case 'j' -> push(recall(in.unsigned(4)));
      case 'p' -> remember(in.decimal());
      case 'q' -> remember(in.unsigned(1));
      case 'r' -> remember(in.unsigned(4));
      case 0x94 -> remember((long) memo.size());
      case 'c' -> push(global(in.line(StandardCharsets.UTF_8), in.line(StandardCharsets.UTF_8)));
      case 0x93 -> stackGlobal();
      case 'R', 0x81 -> push(tensors.call(popped(2), nearestName()));
      case 0x92 -> push(tensors.call(popped(3), nearestName()));
      case 'b' -> build(pop());
      case 'Q' -> push(tensors.storage(pop()));
      default -> {
        return false;
      }
    }
    return true;
  }

  private void protocol(long version) {
    if (version > 5) {
      throw in.wrong("a pickle of protocol 0 to 5", "protocol " + version);
    }
  }

  private void push(@Nullable Object value) {
    count();
    stack.add(value);
  }

  private void count() {
    if (++values > MAX_VALUES) {
      throw in.wrong("at most " + MAX_VALUES + " values in a pickle", "more");
    }
  }

  /** Returns the first index on the stack above the innermost mark. */
  private int base() {
    return marks.isEmpty() ? 0 : marks.getLast();
  }

  private Object top() {
    if (stack.size() <= base()) {
      throw in.wrong("a value to work on", "an empty stack");
    }
    return stack.getLast();
  }

  private Object pop() {
    Object value = top();
    stack.removeLast();
    return value;
  }

  private List<Object> popped(int n) {
    if (stack.size() - base() < n) {
      throw in.wrong(n + " values to work on", String.valueOf(stack.size() - base()));
    }
    return cut(stack.size() - n);
  }

  private List<Object> cut(int from) {
    List<Object> tail = stack.subList(from, stack.size());
    List<Object> items = new ArrayList<>(tail);
    tail.clear();
    return items;
  }

  private void mark() {
    count();
    marks.add(stack.size());
  }

  private void drop() {
    if (stack.size() == base() && !marks.isEmpty()) {
      marks.removeLast();
    } else {
      pop();
    }
  }

  private List<Object> popMark() {
    if (marks.isEmpty()) {
      throw in.wrong("a mark before this", "none");
    }
    return cut(marks.removeLast());
  }

  private void append(List<Object> items) {
    switch (top()) {
      case ArrayList<?> list -> cast(list).addAll(items);
      case Opaque inert -> {}
      case null, default -> throw in.wrong("a list to append to", kind(top()));
    }
  }

  @SuppressWarnings("unchecked")
  private static List<Object> cast(List<?> list) {
    return (List<Object>) list;
  }

  private void dictionary() {
    List<Object> items = popMark();
    push(new LinkedHashMap<>());
    setItems(items);
  }

  private void setItems(List<Object> items) {
    if (items.size() % 2 != 0) {
      throw in.wrong("keys and values in pairs", items.size() + " values");
    }
    switch (top()) {
      case Map<?, ?> map -> tensors.put(map, items);
      case Opaque inert -> {}
      case null, default -> throw in.wrong("a dictionary to set items of", kind(top()));
    }
  }

  private Object recall(Object key) {
    if (!(key instanceof Long) || !memo.containsKey(key)) {
      throw in.wrong("a value that was remembered as " + key, "none");
    }
    return memo.get(key);
  }

  private void remember(Object key) {
    if (!(key instanceof Long index) || index < 0) {
      throw in.wrong("a place from 0 to remember a value at", String.valueOf(key));
    }
    memo.put(index, top());
  }

  private Object global(String module, String name) {
    return tensors.global(module, name, nearestName());
  }

  private void stackGlobal() {
    List<Object> names = popped(2);
    if (!(names.get(0) instanceof String module) || !(names.get(1) instanceof String name)) {
      throw in.wrong(
          "module and name of a global as text", kind(names.get(0)) + " and " + kind(names.get(1)));
    }
    push(global(module, name));
  }

  /** Returns the topmost string on the stack, most likely the key of the current value. */
  private String nearestName() {
    for (int i = stack.size() - 1; i >= 0 && i > stack.size() - 16; i--) {
      if (stack.get(i) instanceof String name) {
        return " (for " + quoted(name) + ")";
      }
    }
    return "";
  }

  /**
   * Applies the attributes that follow an object: the metadata of an OrderedDict, and those of
   * inert values.
   */
  private void build(Object state) {
    if (!(top() instanceof Map<?, ?>) && !(top() instanceof Opaque)) {
      throw in.wrong("an OrderedDict to have attributes", kind(top()));
    }
  }

  private String unquoted(String text) {
    int last = text.length() - 1;
    if (last < 1
        || text.charAt(0) != text.charAt(last)
        || "'\"".indexOf(text.charAt(0)) < 0
        || text.indexOf('\\') >= 0) {
      throw in.wrong("text in quotes without escapes", quoted(text));
    }
    return text.substring(1, last);
  }

  private String unescaped(String text) {
    if (text.indexOf('\\') >= 0) {
      throw in.wrong("text without escapes", quoted(text));
    }
    return text;
  }
}
