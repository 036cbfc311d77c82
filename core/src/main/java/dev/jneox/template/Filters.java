package dev.jneox.template;

import dev.jneox.io.InputException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Has the filters of Jinja: what may stand behind {@code |}. */
final class Filters {
  private interface Filter {
    Object apply(Evaluator evaluator, Object value, Args args);
  }

  private static final Map<String, Filter> ALL =
      Map.ofEntries(
          Map.entry("abs", (_, value, args) -> abs(value, args)),
          Map.entry("attr", Filters::attr),
          Map.entry("batch", Filters::batch),
          Map.entry("capitalize", (e, value, args) -> cased(e, value, args, "capitalize")),
          Map.entry("center", Filters::center),
          Map.entry("count", Filters::length),
          Map.entry("d", Filters::orDefault),
          Map.entry("default", Filters::orDefault),
          Map.entry("dictsort", Filters::dictsort),
          Map.entry("e", Filters::escape),
          Map.entry("escape", Filters::escape),
          Map.entry("first", Filters::first),
          Map.entry("float", Filters::toFloat),
          Map.entry("forceescape", Filters::forceEscape),
          Map.entry("format", Filters::format),
          Map.entry("groupby", Filters::groupby),
          Map.entry("indent", Filters::indent),
          Map.entry("int", Filters::toInt),
          Map.entry("items", Filters::items),
          Map.entry("join", Filters::join),
          Map.entry("last", Filters::last),
          Map.entry("length", Filters::length),
          Map.entry("list", Filters::list),
          Map.entry("lower", (e, value, args) -> cased(e, value, args, "lower")),
          Map.entry("map", Filters::map),
          Map.entry("max", (e, value, args) -> extreme(e, value, args, "max")),
          Map.entry("min", (e, value, args) -> extreme(e, value, args, "min")),
          Map.entry("regex_replace", Filters::regexReplace),
          Map.entry("reject", (e, value, args) -> select(e, value, args, false, false)),
          Map.entry("rejectattr", (e, value, args) -> select(e, value, args, false, true)),
          Map.entry("replace", Filters::replace),
          Map.entry("reverse", Filters::reverse),
          Map.entry("round", Filters::round),
          Map.entry("safe", Filters::safe),
          Map.entry("select", (e, value, args) -> select(e, value, args, true, false)),
          Map.entry("selectattr", (e, value, args) -> select(e, value, args, true, true)),
          Map.entry("slice", Filters::slice),
          Map.entry("sort", Filters::sort),
          Map.entry("string", Filters::string),
          Map.entry("sum", Filters::sum),
          Map.entry("title", (e, value, args) -> cased(e, value, args, "title")),
          Map.entry("tojson", (e, value, args) -> JsonText.of(e.values(), e.budget(), value, args)),
          Map.entry("trim", Filters::trim),
          Map.entry("truncate", Filters::truncate),
          Map.entry("unique", Filters::unique),
          Map.entry("upper", (e, value, args) -> cased(e, value, args, "upper")),
          Map.entry("urlencode", Filters::urlencode),
          Map.entry("wordcount", Filters::wordcount));

  private Filters() {}

  static boolean has(Object name) {
    return name instanceof String text && ALL.containsKey(text);
  }

  static Object apply(Evaluator evaluator, String name, Object value, Args args) {
    Filter filter = ALL.get(name);
    // A pattern may take time without bound: not for templates that come with a model.
    boolean absent = name.equals("regex_replace") && evaluator.dialect() == Dialect.CHAT;
    if (filter == null || absent) {
      throw TemplateFault.expected("a filter such as trim, join or tojson", "'" + name + "'");
    }
    return filter.apply(evaluator, value, args);
  }

  /** Returns the text of a value, still marked as safe where it was. */
  private static Object soft(Evaluator e, Object value) {
    return Values.isText(value) ? value : e.values().str(value);
  }

  private static Object onText(Evaluator e, Object value, Function<String, String> change) {
    Object soft = soft(e, value);
    String text = Values.text(soft, "");
    e.budget().text(text.length());
    String changed = change.apply(text);
    return soft instanceof Markup ? new Markup(changed) : changed;
  }

  private static Object abs(Object value, Args args) {
    args.bind("abs");
    if (value instanceof Undefined undefined) {
      throw undefined.fault();
    }
    if (!Numbers.isNumber(value)) {
      throw TemplateFault.expected("a number for abs", Values.type(value));
    }
    return Numbers.abs(value);
  }

  private static Object attr(Evaluator e, Object value, Args args) {
    String name = Values.text(args.bind("attr", "name").get(0), "the name of an attribute");
    if (value instanceof Undefined undefined) {
      throw undefined.fault();
    }
    Object found = e.member(value, name);
    return found == null ? new Undefined("there is no attribute '" + name + "'") : found;
  }

  private static Object cased(Evaluator e, Object value, Args args, String how) {
    args.bind(how);
    return onText(e, value, text -> how.equals("title") ? title(text) : Methods.cased(text, how));
  }

  /** Begins words with a capital; words end at blanks, hyphens and opening brackets. */
  private static String title(String text) {
    StringBuilder out = new StringBuilder();
    int from = 0;
    for (int i = 0; i <= text.length(); i++) {
      boolean between = i < text.length() && isBetween(text.codePointAt(i));
      if (i == text.length() || between) {
        out.append(capital(text.substring(from, i)));
        if (between) {
          out.append(text.charAt(i));
        }
        from = i + 1;
      }
    }
    return out.toString();
  }

  private static boolean isBetween(int c) {
    return "-({[<".indexOf(c) >= 0 || Text.isSpace(c);
  }

  private static String capital(String word) {
    if (word.isEmpty()) {
      return word;
    }
    int first = Character.charCount(word.codePointAt(0));
    return word.substring(0, first).toUpperCase(Locale.ROOT)
        + word.substring(first).toLowerCase(Locale.ROOT);
  }

  private static Object center(Evaluator e, Object value, Args args) {
    long width = args.bind("center", "width").integer(0, 80);
    return onText(
        e, value, text -> new Formats(e.values(), e.budget()).aligned(text, '^', width, null));
  }

  private static Object length(Evaluator e, Object value, Args args) {
    args.bind("length");
    return e.values().length(value);
  }

  private static Object orDefault(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("default", "default_value", "boolean");
    boolean absent =
        value instanceof Undefined
            || e.values().truth(bound.get(1, false)) && !e.values().truth(value);
    return absent ? bound.get(0, "") : value;
  }

  private static Object dictsort(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("dictsort", "case_sensitive", "by", "reverse");
    boolean sensitive = e.values().truth(bound.get(0, false));
    String by = Values.text(bound.get(1, "key"), "what dictsort sorts by");
    if (!by.equals("key") && !by.equals("value")) {
      throw TemplateFault.expected("dictsort by 'key' or 'value'", "'" + by + "'");
    }
    if (value instanceof Undefined undefined) {
      throw undefined.fault();
    }
    if (!(value instanceof Dict dict)) {
      throw TemplateFault.expected("a dict for dictsort", Values.type(value));
    }
    int at = by.equals("key") ? 0 : 1;
    return e.values()
        .sorted(
            dict.items(),
            item -> folded(((Tuple) item).elements().get(at), sensitive),
            e.values().truth(bound.get(2, false)));
  }

  private static Object folded(Object value, boolean sensitive) {
    return !sensitive && Values.isText(value)
        ? Values.text(value, "").toLowerCase(Locale.ROOT)
        : value;
  }

  private static Object escape(Evaluator e, Object value, Args args) {
    args.bind("escape");
    return value instanceof Markup ? value : escaped(e, e.values().str(value));
  }

  private static Object forceEscape(Evaluator e, Object value, Args args) {
    args.bind("forceescape");
    return escaped(e, e.values().str(value));
  }

  private static Markup escaped(Evaluator e, String text) {
    e.budget().text(5L * text.length());
    return Markup.escape(text);
  }

  private static Object safe(Evaluator e, Object value, Args args) {
    args.bind("safe");
    return new Markup(e.values().str(value));
  }

  private static Object first(Evaluator e, Object value, Args args) {
    args.bind("first");
    Iterator<Object> elements = e.values().iterate(value);
    return elements.hasNext() ? elements.next() : new Undefined("the sequence is empty");
  }

  private static Object last(Evaluator e, Object value, Args args) {
    args.bind("last");
    List<Object> elements = reversible(e, value);
    if (elements == null) {
      throw TemplateFault.expected("a value that is read backwards for last", Values.type(value));
    }
    if (elements.isEmpty()) {
      return new Undefined("the sequence is empty");
    }
    return value instanceof Markup ? new Markup((String) elements.getLast()) : elements.getLast();
  }

  private static @Nullable List<Object> reversible(Evaluator e, Object value) {
    return switch (value) {
      case Generator _, Loop _ -> null;
      case View view -> view.elements();
      default -> e.values().list(value);
    };
  }

  private static Object reverse(Evaluator e, Object value, Args args) {
    args.bind("reverse");
    if (value instanceof Markup markup) {
      return new Markup(new StringBuilder(markup.text()).reverse().toString());
    }
    if (value instanceof String text) {
      e.budget().text(text.length());
      return new StringBuilder(text).reverse().toString();
    }
    List<Object> elements = reversible(e, value);
    return elements == null
        ? new ArrayList<>(e.values().list(value).reversed())
        : new Generator(elements.reversed().iterator());
  }

  private static Object toFloat(Evaluator e, Object value, Args args) {
    Object absent = args.bind("float", "default").get(0, 0.0);
    if (value instanceof Undefined undefined) {
      throw undefined.fault();
    }
    Double real = real(e, value);
    return real == null ? absent : real;
  }

  private static @Nullable Double real(Evaluator e, Object value) {
    if (Values.isText(value)) {
      String text = Values.text(value, "");
      e.budget().read(text.length());
      return Numbers.parseReal(text);
    }
    return Numbers.isNumber(value) ? (Double) Numbers.real(value) : null;
  }

  private static Object toInt(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("int", "default", "base");
    Object absent = bound.get(0, 0L);
    if (value instanceof Undefined undefined) {
      throw undefined.fault();
    }
    if (Numbers.isInteger(value)) {
      return Numbers.add(value, 0L);
    }
    if (Values.isText(value)) {
      String text = Values.text(value, "");
      e.budget().read(text.length());
      Object whole = Numbers.parseInteger(text, bound.integer(1, 10));
      if (whole != null) {
        return whole;
      }
    } else if (value instanceof Double real && real.isInfinite()) {
      throw TemplateFault.expected("a finite number for int", "infinity");
    }
    Double real = real(e, value);
    Object whole = real == null ? null : Numbers.truncated(real);
    return whole == null ? absent : whole;
  }

  private static Object format(Evaluator e, Object value, Args args) {
    if (!args.positional().isEmpty() && !args.named().isEmpty()) {
      throw TemplateFault.expected("values of format with names or without", "both");
    }
    Object given;
    if (args.named().isEmpty()) {
      given = new Tuple(args.positional(), false);
    } else {
      Dict dict = new Dict();
      args.named().forEach(dict::put);
      given = dict;
    }
    return e.values().binary("%", soft(e, value), given);
  }

  /** Reads the path of an attribute, {@code a.b.0}, from each value. */
  private static Function<Object, Object> path(
      Evaluator e, Object attribute, @Nullable Object absent) {
    List<Object> parts = new ArrayList<>();
    if (Values.isText(attribute)) {
      for (String part : Values.text(attribute, "").split("\\.", -1)) {
        boolean number = part.matches("[0-9]{1,9}");
        parts.add(number ? (Object) Long.parseLong(part) : part);
      }
    } else if (attribute != None.NONE) {
      parts.add(attribute);
    }
    return value -> {
      Object at = value;
      for (Object part : parts) {
        e.budget().step();
        at = e.item(at, part);
        if (absent != null && at instanceof Undefined) {
          at = absent;
        }
      }
      return at;
    };
  }

  private static Object groupby(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("groupby", "attribute", "default", "case_sensitive");
    Object absent = bound.get(1, None.NONE);
    Function<Object, Object> path = path(e, bound.get(0), absent == None.NONE ? null : absent);
    boolean sensitive = e.values().truth(bound.get(2, false));
    List<Object> groups = new ArrayList<>();
    List<Object> group = new ArrayList<>();
    Object before = null;
    Function<Object, Object> key = each -> folded(path.apply(each), sensitive);
    for (Object each : e.values().sorted(e.values().list(value), key, false)) {
      Object now = key.apply(each);
      if (before == null || !e.values().equal(before, now)) {
        group = new ArrayList<>();
        Object shown = sensitive ? now : path.apply(each);
        groups.add(new Tuple(List.of(shown, group), true));
      }
      before = now;
      group.add(each);
    }
    return groups;
  }

  private static Object sort(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("sort", "reverse", "case_sensitive", "attribute");
    boolean sensitive = e.values().truth(bound.get(1, false));
    Object attribute = bound.get(2, None.NONE);
    List<Function<Object, Object>> paths = new ArrayList<>();
    if (Values.isText(attribute)) {
      for (String each : Values.text(attribute, "").split(",", -1)) {
        paths.add(path(e, each, null));
      }
    } else {
      paths.add(path(e, attribute, null));
    }
    return e.values()
        .sorted(
            e.values().list(value),
            each -> {
              List<Object> keys = new ArrayList<>();
              paths.forEach(path -> keys.add(folded(path.apply(each), sensitive)));
              return keys;
            },
            e.values().truth(bound.get(0, false)));
  }

  private static Object unique(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("unique", "case_sensitive", "attribute");
    boolean sensitive = e.values().truth(bound.get(0, false));
    Function<Object, Object> path = path(e, bound.get(1, None.NONE), null);
    Set<Object> seen = new HashSet<>();
    return filtered(
        e, value, each -> seen.add(Numbers.hashable(folded(path.apply(each), sensitive), 0)));
  }

  private static Object extreme(Evaluator e, Object value, Args args, String which) {
    Args.Bound bound = args.bind(which, "case_sensitive", "attribute");
    boolean sensitive = e.values().truth(bound.get(0, false));
    Function<Object, Object> path = path(e, bound.get(1, None.NONE), null);
    Object best = null;
    Object bestKey = None.NONE;
    for (Object each : e.values().list(value)) {
      Object key = folded(path.apply(each), sensitive);
      if (best == null || e.values().ordered(which.equals("max") ? ">" : "<", key, bestKey)) {
        best = each;
        bestKey = key;
      }
    }
    return best == null ? new Undefined("the sequence is empty") : best;
  }

  private static Object sum(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("sum", "attribute", "start");
    Function<Object, Object> path = path(e, bound.get(0, None.NONE), null);
    Object sum = bound.get(1, 0L);
    if (Values.isText(sum)) {
      throw TemplateFault.expected("no text as the start of a sum", "text");
    }
    for (Object each : e.values().list(value)) {
      sum = e.values().binary("+", sum, path.apply(each));
    }
    return sum;
  }

  private static Object list(Evaluator e, Object value, Args args) {
    args.bind("list");
    return e.values().list(value);
  }

  private static Object string(Evaluator e, Object value, Args args) {
    args.bind("string");
    return soft(e, value);
  }

  private static Object items(Evaluator e, Object value, Args args) {
    args.bind("items");
    return switch (value) {
      case Undefined _ -> new Generator(List.of().iterator());
      case Dict dict -> {
        e.budget().steps(dict.size());
        yield new Generator(dict.items().iterator());
      }
      // As the generator there, it fails when it is read.
      default ->
          lazy(
              () -> {
                throw TemplateFault.expected("a dict for items", Values.type(value));
              });
    };
  }

  private static Object join(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("join", "d", "attribute");
    Object attribute = bound.get(1, None.NONE);
    Function<Object, Object> path = path(e, attribute, null);
    String between = e.values().str(bound.get(0, ""));
    StringBuilder out = new StringBuilder();
    String before = "";
    for (Iterator<Object> all = e.values().iterate(value); all.hasNext(); before = between) {
      String part = e.values().str(path.apply(all.next()));
      e.budget().text(before.length() + (long) part.length());
      e.budget().step();
      out.append(before).append(part);
      e.checkLength(out.length());
    }
    return out.toString();
  }

  private interface Start {
    Iterator<Object> start();
  }

  /** Makes a generator that begins its work when it is first read. */
  private static Generator lazy(Start start) {
    return new Generator(
        new Iterator<>() {
          private @Nullable Iterator<Object> elements;

          private Iterator<Object> elements() {
            if (elements == null) {
              elements = start.start();
            }
            return elements;
          }

          @Override
          public boolean hasNext() {
            return elements().hasNext();
          }

          @Override
          public Object next() {
            return elements().next();
          }
        });
  }

  private static Generator filtered(Evaluator e, Object value, Predicate<Object> kept) {
    return lazy(() -> kept(e, e.values().iterate(value), kept));
  }

  /** Reads the elements for which a condition holds, one at a time. */
  static Iterator<Object> kept(Evaluator e, Iterator<Object> all, Predicate<Object> kept) {
    return new Iterator<>() {
      private @Nullable Object next;

      @Override
      public boolean hasNext() {
        while (next == null && all.hasNext()) {
          e.budget().step();
          Object each = all.next();
          next = kept.test(each) ? each : null;
        }
        return next != null;
      }

      @Override
      public Object next() {
        if (!hasNext() || next == null) {
          throw new NoSuchElementException();
        }
        Object found = next;
        next = null;
        return found;
      }
    };
  }

  private static Args rest(Args args, int from) {
    return new Args(args.positional().subList(from, args.positional().size()), args.named());
  }

  private static Object map(Evaluator e, Object value, Args args) {
    return lazy(
        () -> {
          if (!e.values().truth(value)) {
            return List.of().iterator();
          }
          Function<Object, Object> change = mapping(e, args);
          Iterator<Object> all = e.values().iterate(value);
          return new Iterator<>() {
            @Override
            public boolean hasNext() {
              return all.hasNext();
            }

            @Override
            public Object next() {
              e.budget().step();
              return change.apply(all.next());
            }
          };
        });
  }

  private static Function<Object, Object> mapping(Evaluator e, Args args) {
    if (args.positional().isEmpty() && args.named().containsKey("attribute")) {
      Map<String, Object> named = new LinkedHashMap<>(args.named());
      Object attribute = Objects.requireNonNull(named.remove("attribute"));
      Object absent = named.remove("default");
      if (!named.isEmpty()) {
        throw TemplateFault.expected("attribute and default for map", named.keySet().toString());
      }
      return path(e, attribute, absent == None.NONE ? null : absent);
    }
    if (args.positional().isEmpty()) {
      throw TemplateFault.expected("a filter or an attribute for map", "neither");
    }
    String name = Values.text(args.positional().getFirst(), "the filter of map");
    Args rest = rest(args, 1);
    return each -> apply(e, name, each, rest);
  }

  private static Object select(
      Evaluator e, Object value, Args args, boolean wanted, boolean attribute) {
    return lazy(
        () -> {
          if (!e.values().truth(value)) {
            return List.of().iterator();
          }
          int at = attribute ? 1 : 0;
          if (attribute && args.positional().isEmpty()) {
            throw TemplateFault.expected("the name of an attribute to select by", "none");
          }
          Function<Object, Object> path =
              attribute ? path(e, args.positional().getFirst(), null) : each -> each;
          Predicate<Object> test;
          if (args.positional().size() > at) {
            String name = Values.text(args.positional().get(at), "the test to select by");
            Args rest = rest(args, at + 1);
            test = each -> Tests.holds(e, name, path.apply(each), rest);
          } else {
            test = each -> e.values().truth(path.apply(each));
          }
          return kept(e, e.values().iterate(value), each -> test.test(each) == wanted);
        });
  }

  private static Object replace(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("replace", "old", "new", "count");
    Object count = bound.get(2, None.NONE);
    String text = e.values().str(value);
    e.budget().text(text.length());
    return e.methods()
        .replaced(
            text,
            e.values().str(bound.get(0)),
            e.values().str(bound.get(1)),
            count == None.NONE ? -1 : Numbers.index(count, "the count of replace"));
  }

  private static Object regexReplace(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("regex_replace", "pattern", "repl", "count");
    String text = Values.text(value, "what regex_replace changes");
    String changed;
    try {
      changed =
          PythonRegex.compile(Values.text(bound.get(0), "the pattern of regex_replace"))
              .sub(
                  Values.text(bound.get(1), "the replacement of regex_replace"),
                  text,
                  (int) bound.integer(2, 0));
    } catch (InputException failure) {
      throw new TemplateFault(String.valueOf(failure.getMessage()));
    }
    e.budget().text(changed.length());
    return changed;
  }

  private static Object round(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("round", "precision", "method");
    long precision = bound.integer(0, 0);
    String method = Values.text(bound.get(1, "common"), "the method of round");
    if (value instanceof Undefined undefined) {
      throw undefined.fault();
    }
    if (!Numbers.isNumber(value)) {
      throw TemplateFault.expected("a number for round", Values.type(value));
    }
    switch (method) {
      case "common" -> {
        return Numbers.round(value, precision);
      }
      case "ceil", "floor" -> {
        Object scale = Numbers.power(10L, precision);
        Object scaled = Numbers.multiply(value, scale);
        if (scaled instanceof Double real) {
          Object whole =
              Numbers.truncated(method.equals("ceil") ? Math.ceil(real) : Math.floor(real));
          if (whole == null) {
            throw TemplateFault.expected("a finite number for round", Numbers.text(real));
          }
          scaled = whole;
        }
        return Numbers.divide(scaled, scale);
      }
      default -> throw TemplateFault.expected("round by common, ceil or floor", "'" + method + "'");
    }
  }

  private static Object slice(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("slice", "slices", "fill_with");
    return lazy(
        () -> {
          List<Object> all = e.values().list(value);
          long slices = bound.integer(0);
          Object fill = bound.get(1, None.NONE);
          if (slices == 0) {
            throw TemplateFault.expected("a number of slices other than 0", "0");
          }
          e.budget().steps(slices);
          List<Object> made = new ArrayList<>();
          int each = (int) (all.size() / slices);
          long longer = all.size() % slices;
          int at = 0;
          for (long i = 0; i < slices; i++) {
            int end = at + each + (i < longer ? 1 : 0);
            List<Object> part = new ArrayList<>(all.subList(at, end));
            if (fill != None.NONE && i >= longer) {
              part.add(fill);
            }
            made.add(part);
            at = end;
          }
          return made.iterator();
        });
  }

  private static Object batch(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("batch", "linecount", "fill_with");
    return lazy(
        () -> {
          Object count = bound.get(0);
          Object fill = bound.get(1, None.NONE);
          List<Object> made = new ArrayList<>();
          List<Object> part = new ArrayList<>();
          for (Object each : e.values().list(value)) {
            if (e.values().equal((long) part.size(), count)) {
              made.add(part);
              part = new ArrayList<>();
            }
            part.add(each);
          }
          if (!part.isEmpty()) {
            long lack =
                fill == None.NONE ? 0 : Numbers.index(count, "the length of a batch") - part.size();
            e.budget().steps(lack);
            for (long i = 0; i < lack; i++) {
              part.add(fill);
            }
            made.add(part);
          }
          return made.iterator();
        });
  }

  private static Object indent(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("indent", "width", "first", "blank");
    Object width = bound.get(0, 4L);
    String by =
        Values.isText(width)
            ? Values.text(width, "")
            : (String) e.values().binary("*", " ", Numbers.index(width, "the width of indent"));
    boolean first = e.values().truth(bound.get(1, false));
    boolean blank = e.values().truth(bound.get(2, false));
    boolean marked = value instanceof Markup;
    if (value instanceof Undefined undefined) {
      throw undefined.fault();
    }
    String text = Values.text(value, "what indent indents");
    List<Object> lines = Text.lines(text + "\n", false);
    e.budget().text(text.length() + (long) by.length() * lines.size());
    StringBuilder out = new StringBuilder(first ? by : "");
    for (int i = 0; i < lines.size(); i++) {
      String line = (String) lines.get(i);
      if (i > 0) {
        out.append('\n').append(blank || !line.isEmpty() ? by : "");
      }
      out.append(line);
    }
    return marked ? new Markup(out.toString()) : out.toString();
  }

  private static Object trim(Evaluator e, Object value, Args args) {
    Object chars = args.bind("trim", "chars").get(0, None.NONE);
    return onText(
        e,
        value,
        text -> {
          if (chars == None.NONE) {
            return Text.strip(text);
          }
          String set = Values.text(chars, "the characters to trim");
          e.budget().search(text.length() + (long) set.length(), set.length());
          return Text.strip(text, set, true, true);
        });
  }

  private static Object truncate(Evaluator e, Object value, Args args) {
    Args.Bound bound = args.bind("truncate", "length", "killwords", "end", "leeway");
    long length = bound.integer(0, 255);
    String end = Values.text(bound.get(2, "..."), "the end of truncate");
    Object leeway = bound.get(3, None.NONE);
    long over = leeway == None.NONE ? 5 : Numbers.index(leeway, "the leeway of truncate");
    if (length < Text.length(end) || over < 0) {
      throw TemplateFault.expected(
          "a length of truncate of at least " + Text.length(end), String.valueOf(length));
    }
    if (!Values.isText(value)) {
      if (e.values().length(value) <= length + over) {
        return value;
      }
      throw TemplateFault.expected("text for truncate", Values.type(value));
    }
    return onText(
        e,
        value,
        text -> {
          if (Text.length(text) <= length + over) {
            return text;
          }
          String kept = Text.part(text, 0, (int) length - Text.length(end));
          int blank = kept.lastIndexOf(' ');
          boolean cut = e.values().truth(bound.get(1, false));
          return (cut || blank < 0 ? kept : kept.substring(0, blank)) + end;
        });
  }

  private static Object urlencode(Evaluator e, Object value, Args args) {
    args.bind("urlencode");
    boolean several = !Values.isText(value) && (Tests.holds(e, "iterable", value, Args.NONE));
    if (!several) {
      return quoted(e, value, false);
    }
    StringBuilder out = new StringBuilder();
    List<Object> all = value instanceof Dict dict ? dict.items() : e.values().list(value);
    for (Object each : all) {
      List<Object> pair = e.values().list(each);
      if (pair.size() != 2) {
        throw TemplateFault.expected("pairs for urlencode", pair.size() + " values");
      }
      out.append(out.isEmpty() ? "" : "&")
          .append(quoted(e, pair.get(0), true))
          .append('=')
          .append(quoted(e, pair.get(1), true));
      e.budget().text(out.length());
    }
    return out.toString();
  }

  private static String quoted(Evaluator e, Object value, boolean query) {
    String text = e.values().str(value);
    e.budget().text(9L * text.length());
    StringBuilder out = new StringBuilder();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) (b & 0xff);
      boolean plain =
          c < 0x80
              && (Character.isLetterOrDigit(c) || "_.-~".indexOf(c) >= 0 || c == '/' && !query);
      if (plain) {
        out.append(c);
      } else if (c == ' ' && query) {
        out.append('+');
      } else {
        out.append("%%%02X".formatted((int) c));
      }
    }
    return out.toString();
  }

  private static Object wordcount(Evaluator e, Object value, Args args) {
    args.bind("wordcount");
    String text = Values.text(soft(e, value), "");
    e.budget().read(text.length());
    long count = 0;
    boolean before = false;
    for (int i = 0; i < text.length(); i += Character.charCount(text.codePointAt(i))) {
      int c = text.codePointAt(i);
      boolean word = Character.isLetterOrDigit(c) || c == '_';
      count += word && !before ? 1 : 0;
      before = word;
    }
    return count;
  }
}
