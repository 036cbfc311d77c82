package dev.jneox.template;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Writes a value as Python's {@code json.dumps} does, without escapes for HTML. */
final class JsonText {
  private final Values values;
  private final Budget budget;
  private final boolean ascii;
  // Null where all is on one line.
  private final @Nullable String indent;
  private final String between;
  private final String afterKey;
  private final boolean sorted;
  private final StringBuilder out = new StringBuilder();
  private int counted;

  private JsonText(Values values, Budget budget, Args.Bound args) {
    this.values = values;
    this.budget = budget;
    this.ascii = values.truth(args.get(0, false));
    Object by = args.get(1, None.NONE);
    this.indent =
        by == None.NONE
            ? null
            : Values.isText(by)
                ? Values.text(by, "")
                : " ".repeat(width(Numbers.index(by, "indent")));
    Object separators = args.get(2, None.NONE);
    if (separators == None.NONE) {
      between = indent == null ? ", " : ",";
      afterKey = ": ";
    } else {
      List<Object> both = values.list(separators);
      if (both.size() != 2) {
        throw TemplateFault.expected("two separators", both.size() + " of them");
      }
      between = Values.text(both.get(0), "a separator");
      afterKey = Values.text(both.get(1), "a separator");
    }
    this.sorted = values.truth(args.get(3, false));
  }

  private static int width(long indent) {
    if (indent > 100) {
      throw TemplateFault.expected("an indent of at most 100", String.valueOf(indent));
    }
    return (int) Math.max(0, indent);
  }

  /** Writes a value by the arguments of the filter {@code tojson}. */
  static String of(Values values, Budget budget, Object value, Args args) {
    JsonText json =
        new JsonText(
            values,
            budget,
            args.bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys"));
    json.write(value, 0);
    json.count();
    return json.out.toString();
  }

  private void count() {
    budget.text(out.length() - counted);
    counted = out.length();
  }

  private void write(Object value, int depth) {
    if (depth > Limits.VALUE_DEPTH) {
      throw TemplateFault.expected(
          "values of at most " + Limits.VALUE_DEPTH + " levels for tojson", "a deeper one");
    }
    switch (value) {
      case None _ -> out.append("null");
      case Boolean flag -> out.append(flag);
      case Long number -> out.append(number);
      case BigInteger big -> out.append(big);
      case Double real -> out.append(real(real));
      case String text -> text(text);
      case Markup markup -> text(markup.text());
      case Range range -> throw refused(range);
      case List<?> list -> list(Values.elements(list), depth);
      case Tuple tuple -> list(tuple.elements(), depth);
      case Dict dict -> dict(dict, depth);
      default -> throw refused(value);
    }
    count();
  }

  private static TemplateFault refused(Object value) {
    return TemplateFault.expected("a value that JSON has for tojson", Values.type(value));
  }

  private static String real(double real) {
    return Double.isNaN(real)
        ? "NaN"
        : Double.isInfinite(real) ? real > 0 ? "Infinity" : "-Infinity" : Numbers.text(real);
  }

  private void list(List<Object> list, int depth) {
    if (list.isEmpty()) {
      out.append("[]");
      return;
    }
    out.append('[');
    for (int i = 0; i < list.size(); i++) {
      out.append(i > 0 ? between : "");
      line(depth + 1);
      write(list.get(i), depth + 1);
    }
    line(depth);
    out.append(']');
  }

  private void dict(Dict dict, int depth) {
    if (dict.size() == 0) {
      out.append("{}");
      return;
    }
    List<Dict.Entry> entries = new ArrayList<>();
    dict.entries().forEach(entries::add);
    if (sorted) {
      List<Object> all = new ArrayList<>(entries);
      entries.clear();
      values
          .sorted(all, entry -> ((Dict.Entry) entry).key(), false)
          .forEach(entry -> entries.add((Dict.Entry) entry));
    }
    out.append('{');
    for (int i = 0; i < entries.size(); i++) {
      out.append(i > 0 ? between : "");
      line(depth + 1);
      text(key(entries.get(i).key()));
      out.append(afterKey);
      write(entries.get(i).value(), depth + 1);
    }
    line(depth);
    out.append('}');
  }

  private static String key(Object key) {
    return switch (key) {
      case String text -> text;
      case Markup markup -> markup.text();
      case None _ -> "null";
      case Boolean flag -> String.valueOf(flag);
      case Long number -> String.valueOf(number);
      case BigInteger big -> String.valueOf(big);
      case Double number -> real(number);
      default -> throw TemplateFault.expected("text as a key for tojson", Values.type(key));
    };
  }

  private void line(int depth) {
    if (indent != null) {
      budget.text((long) indent.length() * depth);
      out.append('\n').append(indent.repeat(depth));
    }
  }

  private void text(String text) {
    budget.text(text.length());
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\b' -> out.append("\\b");
        case '\f' -> out.append("\\f");
        default -> {
          if (c < ' ' || ascii && c > '~') {
            out.append("\\u%04x".formatted((int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }
}
