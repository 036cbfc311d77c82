package dev.jneox.template;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Holds the arguments of a call, and takes them by the place or the name of a parameter.
 *
 * @param positional in order
 * @param named by name, in order
 */
record Args(List<Object> positional, Map<String, Object> named) {
  static final Args NONE = new Args(List.of(), Map.of());

  static Args of(Object... positional) {
    return new Args(List.of(positional), Map.of());
  }

  /** The arguments of a function with known parameters. */
  record Bound(String function, List<String> parameters, Args args) {
    /** Returns an argument; null where the call has none. */
    @Nullable Object find(int parameter) {
      return parameter < args.positional.size()
          ? args.positional.get(parameter)
          : args.named.get(parameters.get(parameter));
    }

    Object get(int parameter, Object absent) {
      Object value = find(parameter);
      return value == null ? absent : value;
    }

    Object get(int parameter) {
      Object value = find(parameter);
      if (value == null) {
        throw TemplateFault.expected(
            "the argument '" + parameters.get(parameter) + "' of " + function, "none");
      }
      return value;
    }

    long integer(int parameter) {
      return Numbers.index(get(parameter), "the argument " + parameters.get(parameter));
    }

    long integer(int parameter, long absent) {
      return find(parameter) == null ? absent : integer(parameter);
    }
  }

  /** Matches the arguments with parameters; those of Python's that have no name begin with "/". */
  Bound bind(String function, String... parameters) {
    List<String> names = List.of(parameters);
    if (positional.size() > names.size()) {
      throw TemplateFault.expected(
          "at most " + names.size() + " arguments of " + function,
          String.valueOf(positional.size()));
    }
    for (String name : named.keySet()) {
      int at = names.indexOf(name);
      if (at < 0) {
        throw TemplateFault.expected(
            "arguments of " + function + " among " + names, "'" + name + "'");
      }
      if (at < positional.size()) {
        throw TemplateFault.expected("the argument '" + name + "' of " + function + " once", "two");
      }
    }
    return new Bound(function, names, this);
  }
}
