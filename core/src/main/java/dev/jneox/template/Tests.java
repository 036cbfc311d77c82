package dev.jneox.template;

import java.util.Map;

/** Has the tests of Jinja: what may stand behind {@code is}. */
final class Tests {
  private interface Test {
    boolean holds(Evaluator evaluator, Object value, Args args);
  }

  private static final Map<String, Test> ALL =
      Map.ofEntries(
          Map.entry("defined", (_, value, args) -> none(args, !(value instanceof Undefined))),
          Map.entry("undefined", (_, value, args) -> none(args, value instanceof Undefined)),
          Map.entry("none", (_, value, args) -> none(args, value == None.NONE)),
          Map.entry("boolean", (_, value, args) -> none(args, value instanceof Boolean)),
          Map.entry("true", (_, value, args) -> none(args, value.equals(true))),
          Map.entry("false", (_, value, args) -> none(args, value.equals(false))),
          Map.entry(
              "integer",
              (_, value, args) ->
                  none(args, Numbers.isInteger(value) && !(value instanceof Boolean))),
          Map.entry("float", (_, value, args) -> none(args, value instanceof Double)),
          Map.entry("number", (_, value, args) -> none(args, Numbers.isNumber(value))),
          Map.entry("string", (_, value, args) -> none(args, Values.isText(value))),
          Map.entry("mapping", (_, value, args) -> none(args, value instanceof Dict)),
          Map.entry("sequence", (_, value, args) -> none(args, isSequence(value))),
          Map.entry("iterable", (_, value, args) -> none(args, isIterable(value))),
          Map.entry(
              "callable",
              (_, value, args) ->
                  none(args, value instanceof Callable || value instanceof Undefined)),
          Map.entry("escaped", (_, value, args) -> none(args, value instanceof Markup)),
          Map.entry("odd", (e, value, args) -> none(args, isRemainder(e, value, 2L, 1L))),
          Map.entry("even", (e, value, args) -> none(args, isRemainder(e, value, 2L, 0L))),
          Map.entry(
              "divisibleby",
              (e, value, args) ->
                  isRemainder(e, value, args.bind("divisibleby", "num").get(0), 0L)),
          Map.entry("lower", (e, value, args) -> none(args, isCase(e, value, false))),
          Map.entry("upper", (e, value, args) -> none(args, isCase(e, value, true))),
          Map.entry("in", (e, value, args) -> e.values().contains(other(args, "in"), value)),
          Map.entry("sameas", (_, value, args) -> isSame(value, other(args, "sameas"))),
          Map.entry("filter", (_, value, args) -> none(args, Filters.has(value))),
          Map.entry("test", (_, value, args) -> none(args, has(value))),
          Map.entry("eq", (e, value, args) -> compare(e, "==", value, args)),
          Map.entry("equalto", (e, value, args) -> compare(e, "==", value, args)),
          Map.entry("==", (e, value, args) -> compare(e, "==", value, args)),
          Map.entry("ne", (e, value, args) -> compare(e, "!=", value, args)),
          Map.entry("!=", (e, value, args) -> compare(e, "!=", value, args)),
          Map.entry("lt", (e, value, args) -> compare(e, "<", value, args)),
          Map.entry("lessthan", (e, value, args) -> compare(e, "<", value, args)),
          Map.entry("<", (e, value, args) -> compare(e, "<", value, args)),
          Map.entry("le", (e, value, args) -> compare(e, "<=", value, args)),
          Map.entry("<=", (e, value, args) -> compare(e, "<=", value, args)),
          Map.entry("gt", (e, value, args) -> compare(e, ">", value, args)),
          Map.entry("greaterthan", (e, value, args) -> compare(e, ">", value, args)),
          Map.entry(">", (e, value, args) -> compare(e, ">", value, args)),
          Map.entry("ge", (e, value, args) -> compare(e, ">=", value, args)),
          Map.entry(">=", (e, value, args) -> compare(e, ">=", value, args)));

  private Tests() {}

  static boolean holds(Evaluator evaluator, String name, Object value, Args args) {
    Test test = ALL.get(name);
    if (test == null) {
      throw TemplateFault.expected("a test such as defined, none or string", "'" + name + "'");
    }
    return test.holds(evaluator, value, args);
  }

  static boolean has(Object name) {
    return name instanceof String text && ALL.containsKey(text);
  }

  /** Checks that a test has no arguments. */
  private static boolean none(Args args, boolean result) {
    args.bind("this test");
    return result;
  }

  private static Object other(Args args, String name) {
    return args.bind(name, "other").get(0);
  }

  private static boolean compare(Evaluator evaluator, String operator, Object value, Args args) {
    if (!args.named().isEmpty()) {
      throw TemplateFault.expected(
          "no named arguments of a comparison", args.named().keySet().toString());
    }
    return evaluator.compare(operator, value, other(args, operator));
  }

  private static boolean isSequence(Object value) {
    return Values.isText(value)
        || value instanceof java.util.List<?>
        || value instanceof Tuple
        || value instanceof Dict
        || value instanceof Undefined;
  }

  private static boolean isIterable(Object value) {
    return isSequence(value)
        || value instanceof View
        || value instanceof Generator
        || value instanceof Loop;
  }

  private static boolean isRemainder(Evaluator evaluator, Object value, Object by, Object rest) {
    return evaluator.values().equal(evaluator.values().binary("%", value, by), rest);
  }

  private static boolean isCase(Evaluator evaluator, Object value, boolean upper) {
    String text = evaluator.values().str(value);
    evaluator.budget().read(text.length());
    return Methods.isCase(text, upper);
  }

  /** Compares by identity; equal numbers and texts are the same object, as they mostly are. */
  private static boolean isSame(Object value, Object other) {
    return value == other
        || value.getClass() == other.getClass()
            && (value instanceof Boolean
                || value instanceof Long
                || value instanceof Double
                || value instanceof String)
            && value.equals(other);
  }
}
