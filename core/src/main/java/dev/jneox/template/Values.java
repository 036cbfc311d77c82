package dev.jneox.template;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Does with values what Python does: truth, equality, order, text, elements, operators. A value is
 * {@link None}, a Boolean, Long, BigInteger, Double, String, {@link Markup}, List, {@link Tuple},
 * {@link Range}, {@link Dict}, {@link View}, {@link Generator}, {@link Undefined}, {@link
 * Callable}, or an object of {@link Evaluator}.
 */
final class Values {
  private final Budget budget;
  private final boolean strict;

  Values(Budget budget, Dialect dialect) {
    this.budget = budget;
    this.strict = dialect == Dialect.TEXT;
  }

  /** Returns what stands for a missing value; a fault where the dialect allows none. */
  private <T> T lenient(Undefined missing, T instead) {
    if (strict) {
      throw missing.fault();
    }
    return instead;
  }

  /**
   * Takes a value of a program: null, a Boolean, a number, a String, a List or a Map with text
   * keys.
   *
   * @throws TemplateFault for any other, or one of too many levels
   */
  static Object of(@Nullable Object value, int depth) {
    requireShallow(depth);
    return switch (value) {
      case null -> None.NONE;
      case Boolean flag -> flag;
      case String text -> text;
      case Double real -> real;
      case Float real -> (double) real;
      case Long number -> number;
      case Integer number -> (long) number;
      case Short number -> (long) number;
      case Byte number -> (long) number;
      case BigInteger big -> Numbers.integer(big);
      case List<?> list -> {
        List<Object> made = new ArrayList<>(list.size());
        for (Object element : list) {
          made.add(of(element, depth + 1));
        }
        yield made;
      }
      case Map<?, ?> map -> {
        Dict dict = new Dict();
        for (Map.Entry<?, ?> entry : map.entrySet()) {
          if (!(entry.getKey() instanceof String key)) {
            throw TemplateFault.expected("texts as the keys of a map", shown(entry.getKey()));
          }
          dict.put(key, of(entry.getValue(), depth + 1));
        }
        yield dict;
      }
      default ->
          throw TemplateFault.expected(
              "values of JSON: null, booleans, numbers, texts, lists and maps", shown(value));
    };
  }

  private static String shown(@Nullable Object value) {
    return value == null ? "null" : value.getClass().getName();
  }

  private static void requireShallow(int depth) {
    if (depth > Limits.VALUE_DEPTH) {
      throw TemplateFault.expected(
          "values of at most " + Limits.VALUE_DEPTH + " levels", "a deeper one");
    }
  }

  /** Names the type of a value for a message. */
  static String type(Object value) {
    return switch (value) {
      case None _ -> "none";
      case Boolean _ -> "a boolean";
      case Long _, BigInteger _ -> "an integer";
      case Double _ -> "a float";
      case String _, Markup _ -> "text";
      case Range _ -> "a range";
      case List<?> _ -> "a list";
      case Tuple _ -> "a tuple";
      case Dict _ -> "a dict";
      case View _ -> "a view of a dict";
      case Generator _ -> "a generator";
      case Undefined undefined -> "nothing: " + undefined.why();
      case Callable _ -> "a function";
      default -> "an object";
    };
  }

  static boolean isList(Object value) {
    return value instanceof List<?> && !(value instanceof Range);
  }

  static boolean isText(Object value) {
    return value instanceof String || value instanceof Markup;
  }

  /** Returns the text of a String or {@link Markup}. */
  static String text(Object value, String what) {
    return switch (value) {
      case String text -> text;
      case Markup markup -> markup.text();
      case Undefined undefined -> throw undefined.fault();
      default -> throw TemplateFault.expected("text as " + what, type(value));
    };
  }

  @SuppressWarnings("unchecked") // all lists among the values have these elements
  static List<Object> elements(List<?> list) {
    return (List<Object>) list;
  }

  boolean truth(Object value) {
    return switch (value) {
      case None _ -> false;
      case Undefined missing -> lenient(missing, false);
      case Boolean flag -> flag;
      case Long number -> number != 0;
      case Double real -> real != 0;
      case String text -> !text.isEmpty();
      case Markup markup -> !markup.text().isEmpty();
      case List<?> list -> !list.isEmpty();
      case Tuple tuple -> !tuple.elements().isEmpty();
      case Dict dict -> dict.size() > 0;
      case View view -> !view.elements().isEmpty();
      default -> true;
    };
  }

  boolean equal(Object left, Object right) {
    return equal(left, right, 0);
  }

  private boolean equal(Object left, Object right, int depth) {
    budget.step();
    requireShallow(depth);
    if (left instanceof Undefined missing) {
      return lenient(missing, right instanceof Undefined);
    }
    if (right instanceof Undefined missing) {
      return lenient(missing, false);
    }
    if (left == right) {
      return !(left instanceof Double real && real.isNaN());
    }
    if (Numbers.isNumber(left) && Numbers.isNumber(right)) {
      Integer order = Numbers.compare(left, right);
      return order != null && order == 0;
    }
    if (isText(left) && isText(right)) {
      String a = text(left, "");
      budget.read(a.length());
      return a.equals(text(right, ""));
    }
    return switch (left) {
      case Range range ->
          right instanceof Range other
              && range.size() == other.size()
              && (range.isEmpty()
                  || range.get(0).equals(other.get(0))
                      && (range.size() == 1 || range.step == other.step));
      case List<?> list -> isList(right) && equal(elements(list), elements((List<?>) right), depth);
      case Tuple tuple ->
          right instanceof Tuple other && equal(tuple.elements(), other.elements(), depth);
      case Dict dict -> right instanceof Dict other && equal(dict, other, depth);
      case View view ->
          right instanceof View other
              && view.name().equals(other.name())
              && !view.name().equals("values")
              && equalSets(view, other);
      default -> false;
    };
  }

  private boolean equal(List<Object> left, List<Object> right, int depth) {
    if (left.size() != right.size()) {
      return false;
    }
    for (int i = 0; i < left.size(); i++) {
      if (left.get(i) != right.get(i) && !equal(left.get(i), right.get(i), depth + 1)) {
        return false;
      }
    }
    return true;
  }

  private boolean equal(Dict left, Dict right, int depth) {
    if (left.size() != right.size()) {
      return false;
    }
    for (Dict.Entry entry : left.entries()) {
      Object other = right.get(entry.key());
      if (other == null || entry.value() != other && !equal(entry.value(), other, depth + 1)) {
        return false;
      }
    }
    return true;
  }

  private boolean equalSets(View left, View right) {
    if (left.elements().size() != right.elements().size()) {
      return false;
    }
    for (Object element : left.elements()) {
      if (!contains(right.elements(), element)) {
        return false;
      }
    }
    return true;
  }

  /** Returns whether {@code left < right}, or another comparison. */
  boolean ordered(String operator, Object left, Object right) {
    return ordered(operator, left, right, 0);
  }

  private boolean ordered(String operator, Object left, Object right, int depth) {
    budget.step();
    requireShallow(depth);
    Integer order;
    if (Numbers.isNumber(left) && Numbers.isNumber(right)) {
      order = Numbers.compare(left, right);
    } else if (isText(left) && isText(right)) {
      budget.read(Math.min(text(left, "").length(), text(right, "").length()));
      order = Text.compare(text(left, ""), text(right, ""));
    } else if (isList(left) && isList(right)) {
      return ordered(operator, elements((List<?>) left), elements((List<?>) right), depth);
    } else if (left instanceof Tuple a && right instanceof Tuple b) {
      return ordered(operator, a.elements(), b.elements(), depth);
    } else {
      throw TemplateFault.expected(
          "two values that have an order for " + operator, type(left) + " and " + type(right));
    }
    return order != null && holds(operator, order);
  }

  private static boolean holds(String operator, int order) {
    return switch (operator) {
      case "<" -> order < 0;
      case "<=" -> order <= 0;
      case ">" -> order > 0;
      default -> order >= 0;
    };
  }

  private boolean ordered(String operator, List<Object> left, List<Object> right, int depth) {
    for (int i = 0; i < Math.min(left.size(), right.size()); i++) {
      if (!equal(left.get(i), right.get(i), depth + 1)) {
        return ordered(operator, left.get(i), right.get(i), depth + 1);
      }
    }
    return holds(operator, Integer.compare(left.size(), right.size()));
  }

  boolean contains(Object container, Object value) {
    switch (container) {
      case String text -> {
        String part = text(value, "what is looked for in a text");
        budget.search(text.length(), part.length());
        return text.contains(part);
      }
      case Markup markup -> {
        return contains(markup.text(), value);
      }
      case Dict dict -> {
        return dict.contains(value);
      }
      case Undefined missing -> {
        return lenient(missing, false);
      }
      default -> {
        Iterator<Object> elements = iterate(container);
        while (elements.hasNext()) {
          Object element = elements.next();
          if (element == value || equal(value, element)) {
            return true;
          }
        }
        return false;
      }
    }
  }

  /** Returns the elements of a value; those of a generator are then gone. */
  Iterator<Object> iterate(Object value) {
    return switch (value) {
      case List<?> list -> elements(list).iterator();
      case Tuple tuple -> tuple.elements().iterator();
      case String text -> {
        budget.steps(text.length());
        yield Text.characters(text).iterator();
      }
      case Markup markup -> iterate(markup.text());
      case Dict dict -> dict.keys().iterator();
      case View view -> view.elements().iterator();
      case Generator generator -> generator.elements();
      case Loop loop -> loop.pairs();
      case Undefined missing -> lenient(missing, List.of().iterator());
      default -> throw TemplateFault.expected("a list or another value with elements", type(value));
    };
  }

  List<Object> list(Object value) {
    List<Object> list = new ArrayList<>();
    for (Iterator<Object> elements = iterate(value); elements.hasNext(); ) {
      budget.step();
      list.add(elements.next());
    }
    return list;
  }

  long length(Object value) {
    return switch (value) {
      case String text -> {
        budget.read(text.length());
        yield Text.length(text);
      }
      case Markup markup -> Text.length(markup.text());
      case List<?> list -> list.size();
      case Tuple tuple -> tuple.elements().size();
      case Dict dict -> dict.size();
      case View view -> view.elements().size();
      case Loop loop -> loop.length();
      case Undefined missing -> lenient(missing, 0L);
      default -> throw TemplateFault.expected("a value with a length", type(value));
    };
  }

  /** Returns Python's str() of a value. */
  String str(Object value) {
    return switch (value) {
      case String text -> text;
      case Markup markup -> markup.text();
      case Undefined missing -> lenient(missing, "");
      default -> repr(value);
    };
  }

  String repr(Object value) {
    StringBuilder out = new StringBuilder();
    repr(value, out, 0);
    return out.toString();
  }

  private void repr(Object value, StringBuilder out, int depth) {
    requireShallow(depth);
    int from = out.length();
    switch (value) {
      case None _ -> out.append("None");
      case Boolean flag -> out.append(flag ? "True" : "False");
      case Long number -> out.append(number);
      case BigInteger big -> out.append(big);
      case Double real -> out.append(Numbers.text(real));
      case String text -> {
        budget.text(text.length());
        out.append(Text.quoted(text));
      }
      case Markup markup -> out.append("Markup(").append(Text.quoted(markup.text())).append(')');
      case Range range -> out.append(range);
      case List<?> list -> several("[", elements(list), "]", out, depth);
      case Tuple tuple ->
          several("(", tuple.elements(), tuple.elements().size() == 1 ? ",)" : ")", out, depth);
      case View view -> several("dict_" + view.name() + "([", view.elements(), "])", out, depth);
      case Dict dict -> dict(dict, out, depth);
      case Undefined _ -> out.append("Undefined");
      case Evaluator.Namespace namespace -> {
        out.append("<Namespace ");
        repr(namespace.members(), out, depth + 1);
        out.append('>');
      }
      case Generator _ -> out.append("<generator object>");
      case Callable _ -> out.append("<function>");
      default -> out.append("<object>");
    }
    if (out.length() - from < 64) {
      budget.text(out.length() - from);
    }
  }

  private void several(
      String open, List<Object> values, String close, StringBuilder out, int depth) {
    out.append(open);
    for (int i = 0; i < values.size(); i++) {
      if (i > 0) {
        out.append(", ");
      }
      repr(values.get(i), out, depth + 1);
    }
    out.append(close);
  }

  private void dict(Dict dict, StringBuilder out, int depth) {
    out.append('{');
    String between = "";
    for (Dict.Entry entry : dict.entries()) {
      out.append(between);
      repr(entry.key(), out, depth + 1);
      out.append(": ");
      repr(entry.value(), out, depth + 1);
      between = ", ";
    }
    out.append('}');
  }

  Object unary(String operator, Object value) {
    if (operator.equals("not")) {
      return !truth(value);
    }
    if (!Numbers.isNumber(value)) {
      throw TemplateFault.expected("a number behind " + operator, type(value));
    }
    return operator.equals("-") ? Numbers.negate(value) : Numbers.negate(Numbers.negate(value));
  }

  Object binary(String operator, Object left, Object right) {
    if (left instanceof Undefined undefined) {
      throw undefined.fault();
    }
    if (operator.equals("%") && isText(left)) {
      String text = new Formats(this, budget).percent(text(left, ""), right);
      return left instanceof Markup ? new Markup(text) : text;
    }
    if (right instanceof Undefined undefined) {
      throw undefined.fault();
    }
    if (Numbers.isNumber(left) && Numbers.isNumber(right)) {
      return switch (operator) {
        case "+" -> Numbers.add(left, right);
        case "-" -> Numbers.subtract(left, right);
        case "*" -> Numbers.multiply(left, right);
        case "/" -> Numbers.divide(left, right);
        case "//" -> Numbers.floorDivide(left, right);
        case "%" -> Numbers.modulo(left, right);
        default -> Numbers.power(left, right);
      };
    }
    Object result =
        switch (operator) {
          case "+" -> added(left, right);
          case "*" -> Numbers.isInteger(left) ? repeated(right, left) : repeated(left, right);
          default -> null;
        };
    if (result == null) {
      throw TemplateFault.expected(
          "two values that " + operator + " takes", type(left) + " and " + type(right));
    }
    return result;
  }

  private @Nullable Object added(Object left, Object right) {
    if (isText(left) && isText(right)) {
      String a = text(left, "");
      String b = text(right, "");
      budget.text((long) a.length() + b.length());
      if (left instanceof Markup || right instanceof Markup) {
        return new Markup(escaped(left) + escaped(right));
      }
      return a + b;
    }
    if (isList(left) && isList(right)) {
      return joined(elements((List<?>) left), elements((List<?>) right));
    }
    if (left instanceof Tuple a && right instanceof Tuple b) {
      return new Tuple(joined(a.elements(), b.elements()), false);
    }
    return null;
  }

  private static String escaped(Object text) {
    return text instanceof Markup markup ? markup.text() : Markup.escape((String) text).text();
  }

  private List<Object> joined(List<Object> left, List<Object> right) {
    budget.steps((long) left.size() + right.size());
    List<Object> joined = new ArrayList<>(left.size() + right.size());
    joined.addAll(left);
    joined.addAll(right);
    return joined;
  }

  private @Nullable Object repeated(Object value, Object times) {
    if (!Numbers.isInteger(times)) {
      return null;
    }
    long count = Math.clamp(Numbers.index(times, ""), 0, Integer.MAX_VALUE);
    return switch (value) {
      case String text -> repeated(text, count);
      case Markup markup -> new Markup(repeated(markup.text(), count));
      case Range _ -> null;
      case List<?> list -> repeated(elements(list), count);
      case Tuple tuple -> new Tuple(repeated(tuple.elements(), count), false);
      default -> null;
    };
  }

  private String repeated(String text, long count) {
    budget.text(text.length() * count);
    return text.repeat(text.isEmpty() ? 0 : (int) count);
  }

  private List<Object> repeated(List<Object> list, long count) {
    budget.steps(list.size() * count);
    List<Object> repeated = new ArrayList<>();
    for (long i = 0; i < count && !list.isEmpty(); i++) {
      repeated.addAll(list);
    }
    return repeated;
  }

  /** Is part of a value: {@code [start:stop:step]}, where null stands for what is left out. */
  record Slice(@Nullable Object start, @Nullable Object stop, @Nullable Object step) {}

  /** Returns the element under a key or an index; null where there is none. */
  @Nullable Object item(Object of, Object key) {
    switch (of) {
      case Undefined undefined -> throw undefined.fault();
      case Dict dict -> {
        return isKey(key) ? dict.get(key) : null;
      }
      case String text -> {
        budget.read(text.length());
        if (key instanceof Slice slice) {
          return slice(text, slice);
        }
        int at = index(key, Text.length(text));
        return at < 0 ? null : Text.part(text, at, at + 1);
      }
      case Markup markup -> {
        Object part = item(markup.text(), key);
        return part == null ? null : new Markup((String) part);
      }
      case List<?> list -> {
        return item(elements(list), key);
      }
      case Tuple tuple -> {
        Object part = item(tuple.elements(), key);
        return part != null && key instanceof Slice
            ? new Tuple(elements((List<?>) part), false)
            : part;
      }
      default -> {
        return null;
      }
    }
  }

  private static boolean isKey(Object key) {
    return !(isList(key) || key instanceof Dict || key instanceof Slice);
  }

  private @Nullable Object item(List<Object> list, Object key) {
    if (key instanceof Slice slice) {
      int[] places = places(slice, list.size());
      if (places == null) {
        return null;
      }
      budget.steps(places.length);
      if (list instanceof Range range) {
        return slice(range, places, slice);
      }
      List<Object> part = new ArrayList<>(places.length);
      for (int place : places) {
        part.add(list.get(place));
      }
      return part;
    }
    int at = index(key, list.size());
    return at < 0 ? null : list.get(at);
  }

  private static Range slice(Range range, int[] places, Slice slice) {
    long step = slice.step == null || slice.step == None.NONE ? 1 : Numbers.index(slice.step, "");
    if (places.length == 0) {
      return new Range(range.start, range.start, 1);
    }
    long first = range.start + places[0] * range.step;
    long by = range.step * Math.clamp(step, -200_000, 200_000);
    return new Range(first, first + by * places.length, by);
  }

  private static int index(Object key, int size) {
    if (!(key instanceof Long || key instanceof Boolean)) {
      return -1;
    }
    long at = Numbers.index(key, "");
    at = at < 0 ? at + size : at;
    return at >= 0 && at < size ? (int) at : -1;
  }

  private @Nullable Object slice(String text, Slice slice) {
    boolean plain = slice.step == null || slice.step.equals(None.NONE) || slice.step.equals(1L);
    int size = Text.length(text);
    if (plain) {
      int[] bounds = bounds(slice, size, 1);
      return bounds == null ? null : Text.part(text, bounds[0], bounds[1]);
    }
    int[] places = places(slice, size);
    if (places == null) {
      return null;
    }
    budget.steps(places.length);
    int[] points = text.codePoints().toArray();
    StringBuilder part = new StringBuilder();
    for (int place : places) {
      part.appendCodePoint(points[place]);
    }
    return part.toString();
  }

  private static int @Nullable [] places(Slice slice, int size) {
    Object by = slice.step == null || slice.step.equals(None.NONE) ? (Object) 1L : slice.step;
    if (!Numbers.isInteger(by)) {
      return null;
    }
    long step = Numbers.index(by, "");
    if (step == 0) {
      throw TemplateFault.expected("a step of a slice other than 0", "0");
    }
    int[] bounds = bounds(slice, size, step);
    if (bounds == null) {
      return null;
    }
    long span = step > 0 ? (long) bounds[1] - bounds[0] : (long) bounds[0] - bounds[1];
    long stride = step == Long.MIN_VALUE ? Long.MAX_VALUE : Math.abs(step);
    int count = span <= 0 ? 0 : (int) ((span - 1) / stride + 1);
    int[] places = new int[count];
    for (int i = 0; i < count; i++) {
      places[i] = (int) (bounds[0] + i * step);
    }
    return places;
  }

  private static int @Nullable [] bounds(Slice slice, int size, long step) {
    int[] bounds = step > 0 ? new int[] {0, size} : new int[] {size - 1, -1};
    Object[] ends = {
      slice.start == null ? None.NONE : slice.start, slice.stop == null ? None.NONE : slice.stop
    };
    for (int i = 0; i < 2; i++) {
      if (ends[i] == None.NONE) {
        continue;
      }
      if (!Numbers.isInteger(ends[i])) {
        return null;
      }
      long end = Numbers.index(ends[i], "");
      end = end < 0 ? end + size : end;
      bounds[i] = step > 0 ? Math.clamp(end, 0, size) : Math.clamp(end, -1, size - 1);
    }
    return bounds;
  }

  /** Sorts as Python does: stable, by {@code <} alone. */
  List<Object> sorted(List<Object> values, Function<Object, Object> key, boolean reverse) {
    record Keyed(Object key, Object value) {}
    List<Keyed> keyed = new ArrayList<>(values.size());
    values.forEach(value -> keyed.add(new Keyed(key.apply(value), value)));
    Keyed[] from = keyed.toArray(Keyed[]::new);
    Keyed[] to = new Keyed[from.length];
    for (int run = 1; run < from.length; run *= 2) {
      for (int start = 0; start < from.length; start += 2 * run) {
        int middle = Math.min(start + run, from.length);
        int end = Math.min(start + 2 * run, from.length);
        int a = start;
        int b = middle;
        for (int i = start; i < end; i++) {
          boolean second =
              a == middle
                  || b < end
                      && (reverse
                          ? ordered("<", from[a].key, from[b].key)
                          : ordered("<", from[b].key, from[a].key));
          to[i] = second ? from[b++] : from[a++];
        }
      }
      Keyed[] other = from;
      from = to;
      to = other;
    }
    List<Object> sorted = new ArrayList<>(from.length);
    for (Keyed each : from) {
      sorted.add(each.value);
    }
    return sorted;
  }
}
