package dev.jneox.eval;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes JSON as Python's {@code json.dumps(value, indent=2, ensure_ascii=False)}: for hashes. */
final class PythonJson {
  private PythonJson() {}

  static String indented(@Nullable Object value) {
    StringBuilder out = new StringBuilder();
    write(value, 0, out);
    return out.toString();
  }

  private static void write(@Nullable Object value, int depth, StringBuilder out) {
    switch (value) {
      case null -> out.append("null");
      case Boolean flag -> out.append(flag);
      case String text -> quoted(text, out);
      case List<?> list -> {
        out.append('[');
        for (Iterator<?> each = list.iterator(); each.hasNext(); ) {
          line(depth + 1, out);
          write(each.next(), depth + 1, out);
          out.append(each.hasNext() ? "," : "");
        }
        end(list.isEmpty(), depth, out).append(']');
      }
      case Map<?, ?> map -> {
        out.append('{');
        for (Iterator<? extends Map.Entry<?, ?>> each = map.entrySet().iterator();
            each.hasNext(); ) {
          Map.Entry<?, ?> entry = each.next();
          line(depth + 1, out);
          quoted(String.valueOf(entry.getKey()), out);
          out.append(": ");
          write(entry.getValue(), depth + 1, out);
          out.append(each.hasNext() ? "," : "");
        }
        end(map.isEmpty(), depth, out).append('}');
      }
      default -> out.append(PythonText.of(value));
    }
  }

  private static void line(int depth, StringBuilder out) {
    out.append('\n').append("  ".repeat(depth));
  }

  private static StringBuilder end(boolean empty, int depth, StringBuilder out) {
    if (!empty) {
      line(depth, out);
    }
    return out;
  }

  private static void quoted(String text, StringBuilder out) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"', '\\' -> out.append('\\').append(c);
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\b' -> out.append("\\b");
        case '\f' -> out.append("\\f");
        default -> {
          if (c < 0x20) {
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
