package dev.jneox.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Has the methods and attributes of values: those of Python's str, list, tuple, dict and numbers.
 */
final class Methods {
  private static final Set<String> STRING =
      Set.of(
          "capitalize",
          "casefold",
          "center",
          "count",
          "encode",
          "endswith",
          "expandtabs",
          "find",
          "format",
          "format_map",
          "index",
          "isalnum",
          "isalpha",
          "isascii",
          "isdecimal",
          "isdigit",
          "isidentifier",
          "islower",
          "isnumeric",
          "isprintable",
          "isspace",
          "istitle",
          "isupper",
          "join",
          "ljust",
          "lower",
          "lstrip",
          "maketrans",
          "partition",
          "removeprefix",
          "removesuffix",
          "replace",
          "rfind",
          "rindex",
          "rjust",
          "rpartition",
          "rsplit",
          "rstrip",
          "split",
          "splitlines",
          "startswith",
          "strip",
          "swapcase",
          "title",
          "translate",
          "upper",
          "zfill");

  private static final Set<String> DICT =
      Set.of("copy", "fromkeys", "get", "items", "keys", "values");
  private static final Set<String> LIST = Set.of("copy", "count", "index");
  private static final Set<String> TUPLE = Set.of("count", "index");
  private static final Set<String> INTEGER =
      Set.of("as_integer_ratio", "bit_count", "bit_length", "conjugate", "from_bytes", "to_bytes");
  private static final Set<String> REAL =
      Set.of("as_integer_ratio", "conjugate", "fromhex", "hex", "is_integer");

  /** Methods that would change a value, which the sandbox forbids. */
  private static final Set<String> CHANGES_DICT =
      Set.of("clear", "pop", "popitem", "setdefault", "update");

  private static final Set<String> CHANGES_LIST =
      Set.of("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");

  private final Evaluator evaluator;
  private final Values values;
  private final Budget budget;

  Methods(Evaluator evaluator, Values values, Budget budget) {
    this.evaluator = evaluator;
    this.values = values;
    this.budget = budget;
  }

  /** Returns a method or attribute of a value; null where it has none of the name. */
  @Nullable Object member(Object of, String name) {
    return switch (of) {
      case String text -> STRING.contains(name) ? method(args -> string(text, name, args)) : null;
      case Markup markup ->
          STRING.contains(name) ? method(args -> marked(string(markup.text(), name, args))) : null;
      case Dict dict ->
          CHANGES_DICT.contains(name)
              ? forbidden(name)
              : DICT.contains(name) ? method(args -> dict(dict, name, args)) : null;
      case Range range -> range(range, name);
      case List<?> list ->
          CHANGES_LIST.contains(name)
              ? forbidden(name)
              : LIST.contains(name)
                  ? method(args -> list(Values.elements(list), name, args))
                  : null;
      case Tuple tuple ->
          tuple.group() && (name.equals("grouper") || name.equals("list"))
              ? tuple.elements().get(name.equals("list") ? 1 : 0)
              : TUPLE.contains(name) ? method(args -> list(tuple.elements(), name, args)) : null;
      case Loop loop -> loop.member(name);
      case Evaluator.Namespace namespace -> namespace.members().get(name);
      case Evaluator.Cycler cycler -> cycler.member(name);
      case Evaluator.Macro macro -> macro.member(name);
      case Double real -> number(real, name);
      default -> Numbers.isInteger(of) ? number(of, name) : null;
    };
  }

  private static Callable method(Callable method) {
    return method;
  }

  private static Undefined forbidden(String name) {
    return new Undefined("the method '" + name + "' changes its value, which no template may do");
  }

  private static Object marked(Object result) {
    return switch (result) {
      case String text -> new Markup(text);
      case List<?> list -> {
        List<Object> all = new ArrayList<>();
        list.forEach(element -> all.add(marked(element)));
        yield all;
      }
      case Tuple tuple -> new Tuple(Values.elements((List<?>) marked(tuple.elements())), false);
      default -> result;
    };
  }

  private @Nullable Object range(Range range, String name) {
    return switch (name) {
      case "start" -> range.start;
      case "stop" -> range.stop;
      case "step" -> range.step;
      default -> TUPLE.contains(name) ? method(args -> list(range, name, args)) : null;
    };
  }

  private static @Nullable Object number(Object of, String name) {
    boolean real = of instanceof Double;
    return switch (name) {
      case "real" -> of instanceof Boolean ? Numbers.add(of, 0L) : of;
      case "imag" -> real ? (Object) 0.0 : (Object) 0L;
      case "numerator" -> real ? null : Numbers.add(of, 0L);
      case "denominator" -> real ? null : (Object) 1L;
      default ->
          (real ? REAL : INTEGER).contains(name)
              ? (Callable) args -> numberMethod(of, name, args)
              : null;
    };
  }

  private static Object numberMethod(Object of, String name, Args args) {
    args.bind(name);
    return switch (name) {
      case "is_integer" -> {
        double real = Numbers.real(of);
        yield real == Math.rint(real) && !Double.isInfinite(real);
      }
      case "bit_length" -> (long) Numbers.big(of).abs().bitLength();
      case "conjugate" -> of;
      default -> throw unsupported(name);
    };
  }

  private static TemplateFault unsupported(String name) {
    return TemplateFault.expected("a method that JNeoX has", "'" + name + "'");
  }

  private Object dict(Dict dict, String name, Args args) {
    return switch (name) {
      case "get" -> {
        requirePositional(args, name);
        Args.Bound bound = args.bind(name, "key", "default");
        Object value = dict.get(bound.get(0));
        yield value == null ? bound.get(1, None.NONE) : value;
      }
      case "items", "keys", "values" -> {
        args.bind(name);
        budget.steps(dict.size());
        yield new View(
            name,
            name.equals("items")
                ? dict.items()
                : name.equals("keys") ? dict.keys() : dict.values());
      }
      case "copy" -> {
        args.bind(name);
        yield dict;
      }
      default -> throw unsupported(name);
    };
  }

  private Object list(List<Object> list, String name, Args args) {
    requirePositional(args, name);
    if (name.equals("copy")) {
      args.bind(name);
      return list;
    }
    Args.Bound bound =
        name.equals("count") ? args.bind(name, "value") : args.bind(name, "value", "start", "stop");
    Object value = bound.get(0);
    boolean index = name.equals("index");
    int from = index ? place(bound.integer(1, 0), list.size()) : 0;
    int to = index ? place(bound.integer(2, Long.MAX_VALUE), list.size()) : list.size();
    long count = 0;
    for (int i = from; i < to; i++) {
      if (list.get(i) == value || values.equal(list.get(i), value)) {
        if (index) {
          return (long) i;
        }
        count++;
      }
    }
    if (index) {
      throw TemplateFault.expected("a value of the list for index", "another");
    }
    return count;
  }

  private static void requirePositional(Args args, String name) {
    if (!args.named().isEmpty()) {
      throw TemplateFault.expected(
          "no named arguments of " + name, args.named().keySet().toString());
    }
  }

  private static int place(long index, int size) {
    return Math.clamp(index < 0 ? index + size : index, 0, size);
  }

  private Object string(String text, String name, Args args) {
    if (!name.equals("format")
        && !name.equals("split")
        && !name.equals("rsplit")
        && !name.equals("splitlines")
        && !name.equals("expandtabs")) {
      requirePositional(args, name);
    }
    budget.text(text.length());
    return switch (name) {
      case "upper", "lower", "casefold", "capitalize", "title", "swapcase" -> {
        args.bind(name);
        yield cased(text, name);
      }
      case "strip", "lstrip", "rstrip" -> stripped(text, name, args.bind(name, "chars"));
      case "split" -> split(text, args.bind(name, "sep", "maxsplit"), false);
      case "rsplit" -> split(text, args.bind(name, "sep", "maxsplit"), true);
      case "splitlines" ->
          Text.lines(text, values.truth(args.bind(name, "keepends").get(0, false)));
      case "startswith", "endswith" ->
          isAt(text, args.bind(name, "prefix", "start", "end"), name.equals("startswith"));
      case "find", "rfind", "index", "rindex", "count" ->
          found(text, name, args.bind(name, "sub", "start", "end"));
      case "replace" -> {
        Args.Bound bound = args.bind(name, "old", "new", "count");
        yield replaced(
            text,
            Values.text(bound.get(0), "what is replaced"),
            Values.text(bound.get(1), "what replaces it"),
            bound.integer(2, -1));
      }
      case "join" -> joined(text, values.list(args.bind(name, "iterable").get(0)));
      case "format" -> new Formats(values, budget).braces(text, args, this::field, 0);
      case "format_map" -> {
        Object map = args.bind(name, "mapping").get(0);
        if (!(map instanceof Dict dict)) {
          throw TemplateFault.expected("a dict for format_map", Values.type(map));
        }
        yield new Formats(values, budget).braces(text, Evaluator.named(dict), this::field, 0);
      }
      case "removeprefix" -> {
        String prefix = Values.text(args.bind(name, "prefix").get(0), "a prefix");
        yield text.startsWith(prefix) ? text.substring(prefix.length()) : text;
      }
      case "removesuffix" -> {
        String suffix = Values.text(args.bind(name, "suffix").get(0), "a suffix");
        yield text.endsWith(suffix) ? text.substring(0, text.length() - suffix.length()) : text;
      }
      case "partition", "rpartition" -> parted(text, name, args.bind(name, "sep"));
      case "center", "ljust", "rjust" -> {
        Args.Bound bound = args.bind(name, "width", "fillchar");
        char align = name.equals("center") ? '^' : name.equals("ljust") ? '<' : '>';
        yield new Formats(values, budget).aligned(text, align, bound.integer(0), bound.find(1));
      }
      case "zfill" -> {
        long width = args.bind(name, "width").integer(0);
        budget.text(Math.max(width, text.length()));
        boolean signed = text.startsWith("-") || text.startsWith("+");
        String zeros = "0".repeat((int) Math.max(0, width - Text.length(text)));
        yield signed ? text.charAt(0) + zeros + text.substring(1) : zeros + text;
      }
      case "expandtabs" -> expanded(text, args.bind(name, "tabsize").integer(0, 8));
      case "isalpha" -> all(text, args, name, Character::isLetter);
      case "isalnum" -> all(text, args, name, c -> Character.isLetter(c) || isNumeric(c));
      case "isdigit" -> all(text, args, name, c -> Character.isDigit(c) || isSuperscript(c));
      case "isdecimal" -> all(text, args, name, Character::isDigit);
      case "isnumeric" -> all(text, args, name, Methods::isNumeric);
      case "isspace" -> all(text, args, name, Text::isSpace);
      case "isascii" -> text.isEmpty() || all(text, args, name, c -> c < 0x80);
      case "isprintable" -> text.isEmpty() || all(text, args, name, Text::isPrintable);
      case "islower", "isupper" -> {
        args.bind(name);
        yield isCase(text, name.equals("isupper"));
      }
      case "istitle" -> {
        args.bind(name);
        yield isTitle(text);
      }
      default -> throw unsupported(name);
    };
  }

  private Object field(String name, Object of, boolean attribute) {
    if (attribute) {
      return evaluator.attribute(of, name);
    }
    boolean number =
        !name.isEmpty() && name.length() < 9 && name.chars().allMatch(c -> c >= '0' && c <= '9');
    return evaluator.item(of, number ? (Object) Long.parseLong(name) : name);
  }

  private interface Kind {
    boolean has(int c);
  }

  private static boolean all(String text, Args args, String name, Kind kind) {
    args.bind(name);
    return !text.isEmpty() && text.codePoints().allMatch(kind::has);
  }

  private static boolean isSuperscript(int c) {
    return c == 0xb2 || c == 0xb3 || c == 0xb9 || c >= 0x2070 && c <= 0x2089 && c != 0x2071;
  }

  private static boolean isNumeric(int c) {
    int type = Character.getType(c);
    return type == Character.DECIMAL_DIGIT_NUMBER
        || type == Character.LETTER_NUMBER
        || type == Character.OTHER_NUMBER;
  }

  static boolean isCase(String text, boolean upper) {
    boolean any = false;
    for (int c : text.codePoints().toArray()) {
      boolean is = upper ? Character.isUpperCase(c) : Character.isLowerCase(c);
      if (!is && Text.isCased(c)) {
        return false;
      }
      any |= is;
    }
    return any;
  }

  private static boolean isTitle(String text) {
    boolean any = false;
    boolean before = false;
    for (int c : text.codePoints().toArray()) {
      boolean starts = Character.isUpperCase(c) || Character.isTitleCase(c);
      if (starts && before || Character.isLowerCase(c) && !before) {
        return false;
      }
      before = Text.isCased(c);
      any |= before;
    }
    return any;
  }

  static String cased(String text, String how) {
    return switch (how) {
      case "upper" -> text.toUpperCase(Locale.ROOT);
      case "lower" -> text.toLowerCase(Locale.ROOT);
      case "casefold" -> text.toUpperCase(Locale.ROOT).toLowerCase(Locale.ROOT);
      case "capitalize" -> {
        if (text.isEmpty()) {
          yield text;
        }
        int first = Character.charCount(text.codePointAt(0));
        yield Text.titleCase(text.codePointAt(0)) + text.substring(first).toLowerCase(Locale.ROOT);
      }
      case "title" -> {
        StringBuilder out = new StringBuilder();
        boolean before = false;
        String lower = text.toLowerCase(Locale.ROOT);
        boolean same = lower.length() == text.length();
        for (int i = 0; i < text.length(); i += Character.charCount(text.codePointAt(i))) {
          int c = text.codePointAt(i);
          if (before) {
            out.append(
                same
                    ? Character.toString(lower.codePointAt(i))
                    : Character.toString(c).toLowerCase(Locale.ROOT));
          } else {
            out.append(Text.titleCase(c));
          }
          before = Text.isCased(c);
        }
        yield out.toString();
      }
      default -> {
        StringBuilder out = new StringBuilder();
        text.codePoints()
            .forEach(
                c -> {
                  String one = Character.toString(c);
                  out.append(
                      Character.isUpperCase(c)
                          ? one.toLowerCase(Locale.ROOT)
                          : Character.isLowerCase(c) ? one.toUpperCase(Locale.ROOT) : one);
                });
        yield out.toString();
      }
    };
  }

  private Object stripped(String text, String name, Args.Bound bound) {
    Object chars = bound.get(0, None.NONE);
    boolean start = !name.equals("rstrip");
    boolean end = !name.equals("lstrip");
    if (chars != None.NONE) {
      String set = Values.text(chars, "the characters to strip");
      budget.search(text.length() + (long) set.length(), set.length());
      return Text.strip(text, set, start, end);
    }
    String from = start ? Text.stripStart(text) : text;
    return end ? Text.stripEnd(from) : from;
  }

  private List<Object> split(String text, Args.Bound bound, boolean right) {
    Object separator = bound.get(0, None.NONE);
    long most = bound.integer(1, -1);
    most = most < 0 ? Long.MAX_VALUE : most;
    List<Object> parts =
        separator == None.NONE
            ? words(text, most, right)
            : pieces(text, Values.text(separator, "a separator"), most, right);
    budget.steps(parts.size());
    return parts;
  }

  private List<Object> pieces(String text, String separator, long most, boolean right) {
    if (separator.isEmpty()) {
      throw TemplateFault.expected("a separator of at least one character", "none");
    }
    budget.search(text.length(), separator.length());
    List<Object> parts = new ArrayList<>();
    if (right) {
      int to = text.length();
      int at;
      while (parts.size() < most
          && to >= separator.length()
          && (at = text.lastIndexOf(separator, to - separator.length())) >= 0) {
        parts.add(text.substring(at + separator.length(), to));
        to = at;
      }
      parts.add(text.substring(0, to));
      return parts.reversed();
    }
    int from = 0;
    int at;
    while (parts.size() < most && (at = text.indexOf(separator, from)) >= 0) {
      parts.add(text.substring(from, at));
      from = at + separator.length();
    }
    parts.add(text.substring(from));
    return parts;
  }

  private static List<Object> words(String text, long most, boolean right) {
    List<Object> words = new ArrayList<>();
    if (right) {
      String rest = Text.stripEnd(text);
      while (!rest.isEmpty() && words.size() < most) {
        int at = rest.length();
        while (at > 0 && !Text.isSpace(rest.codePointBefore(at))) {
          at -= Character.charCount(rest.codePointBefore(at));
        }
        words.add(rest.substring(at));
        int end = at;
        while (end > 0 && Text.isSpace(rest.codePointBefore(end))) {
          end -= Character.charCount(rest.codePointBefore(end));
        }
        rest = rest.substring(0, end);
      }
      if (!rest.isEmpty()) {
        words.add(rest);
      }
      return words.reversed();
    }
    int at = 0;
    while (true) {
      while (at < text.length() && Text.isSpace(text.codePointAt(at))) {
        at += Character.charCount(text.codePointAt(at));
      }
      if (at >= text.length()) {
        return words;
      }
      if (words.size() == most) {
        words.add(Text.stripEnd(text.substring(at)).isEmpty() ? "" : text.substring(at));
        return words;
      }
      int from = at;
      while (at < text.length() && !Text.isSpace(text.codePointAt(at))) {
        at += Character.charCount(text.codePointAt(at));
      }
      words.add(text.substring(from, at));
    }
  }

  private boolean isAt(String text, Args.Bound bound, boolean start) {
    int size = Text.length(text);
    long from = optional(bound, 1, 0);
    from = from < 0 ? Math.max(0, from + size) : from;
    int to = place(optional(bound, 2, Long.MAX_VALUE), size);
    if (from > to) {
      return false;
    }
    String part = Text.part(text, (int) from, to);
    Object given = bound.get(0);
    List<Object> all = given instanceof Tuple tuple ? tuple.elements() : List.of(given);
    for (Object each : all) {
      String affix = Values.text(each, "the start or end of a text");
      budget.read(affix.length());
      if (start ? part.startsWith(affix) : part.endsWith(affix)) {
        return true;
      }
    }
    return false;
  }

  private static long optional(Args.Bound bound, int parameter, long absent) {
    Object value = bound.get(parameter, None.NONE);
    return value == None.NONE ? absent : Numbers.index(value, "a place in a text");
  }

  private Object found(String text, String name, Args.Bound bound) {
    int size = Text.length(text);
    long first = optional(bound, 1, 0);
    long from = first < 0 ? Math.max(0, first + size) : first;
    int to = place(optional(bound, 2, Long.MAX_VALUE), size);
    String sub = Values.text(bound.get(0), "what is looked for");
    boolean within = from <= to;
    String part = within ? Text.part(text, (int) from, to) : "";
    budget.search(part.length(), sub.length());
    if (name.equals("count")) {
      return within ? count(part, sub) : 0L;
    }
    int at = !within ? -1 : name.startsWith("r") ? part.lastIndexOf(sub) : part.indexOf(sub);
    if (at < 0 && name.endsWith("index")) {
      throw TemplateFault.expected("a text that holds '" + sub + "' for " + name, "another");
    }
    return at < 0 ? -1L : from + part.codePointCount(0, at);
  }

  private static long count(String text, String sub) {
    if (sub.isEmpty()) {
      return Text.length(text) + 1L;
    }
    long count = 0;
    for (int at = text.indexOf(sub); at >= 0; at = text.indexOf(sub, at + sub.length())) {
      count++;
    }
    return count;
  }

  /** Replaces the first occurrences of a text, or all for a negative count. */
  String replaced(String text, String old, String by, long count) {
    if (count == 0) {
      return text;
    }
    long most = count < 0 ? Long.MAX_VALUE : count;
    budget.search(text.length(), old.length());
    StringBuilder out = new StringBuilder(text.length());
    if (old.isEmpty()) {
      long done = 0;
      for (int i = 0; i < text.length(); i += Character.charCount(text.codePointAt(i))) {
        if (done++ < most) {
          out.append(by);
        }
        out.appendCodePoint(text.codePointAt(i));
        budget.text(by.length() + 1L);
      }
      return out.append(done < most ? by : "").toString();
    }
    int from = 0;
    int at;
    for (long done = 0; done < most && (at = text.indexOf(old, from)) >= 0; done++) {
      budget.text((long) at - from + by.length());
      if (out.length() > Limits.DEFAULT.output()) {
        budget.text(out.length());
      }
      out.append(text, from, at).append(by);
      from = at + old.length();
    }
    budget.text((long) out.length() + text.length() - from);
    return out.append(text, from, text.length()).toString();
  }

  private String joined(String between, List<Object> parts) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < parts.size(); i++) {
      String part = Values.text(parts.get(i), "each part that is joined");
      budget.text((i > 0 ? between.length() : 0) + (long) part.length());
      out.append(i > 0 ? between : "").append(part);
    }
    budget.text(out.length());
    return out.toString();
  }

  private Tuple parted(String text, String name, Args.Bound bound) {
    String separator = Values.text(bound.get(0), "a separator");
    if (separator.isEmpty()) {
      throw TemplateFault.expected("a separator of at least one character", "none");
    }
    budget.search(text.length(), separator.length());
    boolean right = name.startsWith("r");
    int at = right ? text.lastIndexOf(separator) : text.indexOf(separator);
    if (at < 0) {
      return right ? Tuple.of("", "", text) : Tuple.of(text, "", "");
    }
    return Tuple.of(text.substring(0, at), separator, text.substring(at + separator.length()));
  }

  private String expanded(String text, long size) {
    StringBuilder out = new StringBuilder();
    long column = 0;
    for (int c : text.codePoints().toArray()) {
      if (c == '\t') {
        long blanks = size > 0 ? size - column % size : 0;
        budget.text(blanks);
        out.append(" ".repeat((int) blanks));
        column += blanks;
      } else {
        out.appendCodePoint(c);
        column = c == '\n' || c == '\r' ? 0 : column + 1;
      }
    }
    return out.toString();
  }
}
