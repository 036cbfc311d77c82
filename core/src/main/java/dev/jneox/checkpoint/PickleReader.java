package dev.jneox.checkpoint;

import static dev.jneox.checkpoint.JsonObject.quoted;

import dev.jneox.checkpoint.PickleValue.Function;
import dev.jneox.checkpoint.PickleValue.Opaque;
import dev.jneox.checkpoint.PickleValue.Storage;
import dev.jneox.checkpoint.PickleValue.StorageType;
import dev.jneox.checkpoint.PickleValue.StoredTensor;
import dev.jneox.checkpoint.PickleValue.Tuple;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads a Python pickle (protocols 0 to 5,
 * <a href="https://github.com/python/cpython/blob/main/Lib/pickletools.py">the opcodes</a>) as data and never as a program. What
 * it makes is dictionaries with plain keys (Map), lists and sets (List), {@link Tuple}s, text, numbers (Long, BigInteger, Double),
 * truth values, null, bytes, and the tensors that {@code torch.save} writes ({@link StoredTensor}). No class is looked up and
 * nothing is called. Any other global is refused by its name; a lenient reader keeps it, and whatever it would make, as an inert
 * {@link Opaque}.
 *
 * <p>Work and memory are bounded by the length of the pickle, at most {@link PickleInput#MAX_BYTES}, and by {@value #MAX_VALUES}
 * values. What is read may contain itself: a pickle can say so.
 */
final class PickleReader {
  static final int MAX_VALUES = 1 << 20;

  private static final int MAX_AXES = 64; // libtorch's own bound

  private final PickleInput in;
  private final boolean lenient;
  private final List<Object> stack = new ArrayList<>();
  private final List<Integer> marks = new ArrayList<>();
  private final Map<Long, Object> memo = new HashMap<>();
  private final Map<String, Storage> storages = new HashMap<>();
  private int values;

  /**
   * @param lenient keep what is neither plain nor a tensor as an inert value instead of refusing it
   */
  PickleReader(PickleInput in, boolean lenient) {
    this.in = in;
    this.lenient = lenient;
  }

  /** The value of the pickle. */
  Object read() {
    for (int opcode = in.opcode(); opcode != '.'; opcode = in.opcode()) {
      if (!plain(opcode) && !structure(opcode)) {
        throw in.wrong("an opcode of a pickle of data", String.format("0x%02x", opcode));
      }
    }
    return pop();
  }

  /** The storages that were referred to, by key. */
  Map<String, Storage> storages() {
    return storages;
  }

  /** Opcodes for values without parts. */
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

  /** Opcodes for what has parts, for the memo and for globals. */
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
      case 'R', 0x81 -> call(popped(2));
      case 0x92 -> call(popped(3));
      case 'b' -> build(pop());
      case 'Q' -> push(storage(pop()));
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

  private void push(Object value) {
    count();
    stack.add(value);
  }

  private void count() {
    if (++values > MAX_VALUES) {
      throw in.wrong("at most " + MAX_VALUES + " values in a pickle", "more");
    }
  }

  /** The first place on the stack that belongs to the innermost mark. */
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
      case Map<?, ?> map -> put(map, items);
      case Opaque inert -> {}
      case null, default -> throw in.wrong("a dictionary to set items of", kind(top()));
    }
  }

  @SuppressWarnings("unchecked")
  private void put(Map<?, ?> map, List<Object> items) {
    for (int i = 0; i < items.size(); i += 2) {
      // Only these have a hash that does not follow other values, which may be deep or lead back here.
      Object key = items.get(i);
      if (key instanceof String || key instanceof Long || key instanceof Boolean || key instanceof Double) {
        ((Map<Object, Object>) map).put(key, items.get(i + 1));
      } else if (!lenient) {
        throw in.wrong("text or a number as the key of a dictionary", kind(key));
      }
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
    PickleValue known = PickleValue.global(module, name);
    if (known != null) {
      return known;
    }
    String full = module + "." + name;
    if (!lenient) {
      throw in.wrong("tensors and plain values only", "the global " + quoted(full) + nearestName() + ", which is not loaded");
    }
    return new Opaque(JsonObject.shortened(full));
  }

  private void stackGlobal() {
    List<Object> names = popped(2);
    if (!(names.get(0) instanceof String module) || !(names.get(1) instanceof String name)) {
      throw in.wrong("module and name of a global as text", kind(names.get(0)) + " and " + kind(names.get(1)));
    }
    push(global(module, name));
  }

  /** The text below on the stack: most likely the key of what is being read. */
  private String nearestName() {
    for (int i = stack.size() - 1; i >= 0 && i > stack.size() - 16; i--) {
      if (stack.get(i) instanceof String name) {
        return " (for " + quoted(name) + ")";
      }
    }
    return "";
  }

  private void call(List<Object> parts) {
    if (parts.getFirst() instanceof Opaque inert) {
      push(inert);
      return;
    }
    if (!(parts.getFirst() instanceof Function function) || !(parts.get(1) instanceof Tuple arguments) || parts.size() > 2) {
      throw in.wrong("a tensor or an OrderedDict to be made of a tuple", kind(parts.getFirst()) + " of " + kind(parts.get(1)));
    }
    push(made(function, arguments.items()));
  }

  private Object made(Function function, List<Object> arguments) {
    Object first = arguments.isEmpty() ? null : arguments.getFirst();
    if (first instanceof Opaque inert) {
      return inert;
    }
    return switch (function) {
      case ORDERED_DICT -> ordered(first);
      case REBUILD_TENSOR -> tensor(arguments);
      case SIZE -> {
        if (first instanceof Tuple size) {
          yield size;
        }
        throw in.wrong("a tuple as a torch.Size", kind(first));
      }
      case REBUILD_PARAMETER -> {
        if (first instanceof StoredTensor) {
          yield first;
        }
        throw in.wrong("a tensor as a parameter" + nearestName(), kind(first));
      }
    };
  }

  /** Python 2 gives an OrderedDict its items as pairs, Python 3 sets them afterwards. */
  private Object ordered(Object pairs) {
    Map<Object, Object> map = new LinkedHashMap<>();
    if (pairs != null && !(pairs instanceof List<?>)) {
      throw in.wrong("pairs to make an OrderedDict of", kind(pairs));
    }
    for (Object pair : pairs instanceof List<?> list ? list : List.of()) {
      List<?> items = pair instanceof Tuple tuple ? tuple.items() : pair instanceof List<?> list ? list : List.of();
      if (items.size() != 2) {
        throw in.wrong("pairs to make an OrderedDict of", kind(pair));
      }
      count();
      put(map, new ArrayList<>(items));
    }
    return map;
  }

  private StoredTensor tensor(List<Object> arguments) {
    boolean good =
        arguments.size() >= 4
            && arguments.get(0) instanceof Storage
            && arguments.get(1) instanceof Long
            && arguments.get(2) instanceof Tuple
            && arguments.get(3) instanceof Tuple;
    if (!good) {
      List<String> kinds = arguments.stream().limit(4).map(PickleReader::kind).toList();
      throw in.wrong("a storage, an offset, a shape and strides" + nearestName(), String.join(", ", kinds));
    }
    return new StoredTensor(
        (Storage) arguments.get(0), (Long) arguments.get(1), numbers(arguments.get(2)), numbers(arguments.get(3)));
  }

  private long[] numbers(Object tuple) {
    List<Object> items = ((Tuple) tuple).items();
    if (items.size() > MAX_AXES) {
      throw in.wrong("a tensor of at most " + MAX_AXES + " axes" + nearestName(), String.valueOf(items.size()));
    }
    for (Object item : items) {
      if (!(item instanceof Long)) {
        throw in.wrong("whole numbers in shape and strides" + nearestName(), kind(item));
      }
    }
    return items.stream().mapToLong(item -> (Long) item).toArray();
  }

  /** Attributes that follow an object: an OrderedDict's metadata, and those of what is not looked at. */
  private void build(Object state) {
    if (!(top() instanceof Map<?, ?>) && !(top() instanceof Opaque)) {
      throw in.wrong("an OrderedDict to have attributes", kind(top()));
    }
  }

  /**
   * {@code ("storage", type, key, device, elements)}, and in old files a view {@code (its key, offset, elements)} or None.
   */
  private Object storage(Object id) {
    List<Object> parts = id instanceof Tuple tuple ? tuple.items() : List.of();
    boolean good =
        parts.size() >= 5
            && "storage".equals(parts.get(0))
            && parts.get(1) instanceof StorageType
            && parts.get(2) instanceof String
            && parts.get(4) instanceof Long;
    if (!good) {
      if (lenient) {
        return new Opaque("persistent id");
      }
      List<String> kinds = parts.stream().limit(6).map(PickleReader::kind).toList();
      throw in.wrong("the id of a storage: \"storage\", type, key, device, elements", String.join(", ", kinds));
    }
    String key = (String) parts.get(2);
    Dtype dtype = ((StorageType) parts.get(1)).dtype();
    storages.putIfAbsent(key, new Storage(key, dtype, 0, (Long) parts.get(4)));
    if (parts.size() == 5 || parts.get(5) == null) {
      return new Storage(key, dtype, 0, (Long) parts.get(4));
    }
    List<Object> view = parts.get(5) instanceof Tuple tuple ? tuple.items() : List.of();
    if (view.size() != 3 || !(view.get(1) instanceof Long offset) || !(view.get(2) instanceof Long elements)) {
      throw in.wrong("key, offset and elements of a view of storage " + quoted(key), kind(parts.get(5)));
    }
    return new Storage(key, dtype, offset, elements);
  }

  private String unquoted(String text) {
    int last = text.length() - 1;
    if (last < 1 || text.charAt(0) != text.charAt(last) || "'\"".indexOf(text.charAt(0)) < 0 || text.indexOf('\\') >= 0) {
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

  /** What a value is, without looking into it. */
  private static String kind(Object value) {
    return switch (value) {
      case null -> "None";
      case String text -> "the text " + quoted(text);
      case Boolean truth -> truth ? "True" : "False";
      case BigInteger number -> "an integer of " + number.bitLength() + " bits";
      case Number number -> "the number " + number;
      case byte[] bytes -> bytes.length + " bytes";
      case Tuple tuple -> tuple.toString();
      case Map<?, ?> map -> "a dictionary of " + map.size();
      case List<?> list -> "a list of " + list.size();
      case StorageType type -> "a storage type";
      case Storage storage -> "a storage";
      case StoredTensor tensor -> "a tensor";
      case Function function -> "the function " + function;
      case Opaque inert -> "the global " + quoted(inert.name());
      default -> throw new IllegalStateException(value.getClass().getName());
    };
  }
}
