package dev.jneox.template;

import dev.jneox.template.Expression.Arguments;
import dev.jneox.template.Statement.Function;
import dev.jneox.template.Statement.Target;
import java.time.Clock;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Runs the statements of a template once, and writes their text. */
final class Evaluator {
  /** How a body ended. */
  private enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  /** Is the values of names within a body; names of the bodies around it are seen too. */
  private static final class Scope {
    private final @Nullable Scope around;
    private final Map<String, Object> values = new HashMap<>(4);

    Scope(@Nullable Scope around) {
      this.around = around;
    }

    @Nullable Object find(String name) {
      for (Scope scope = this; scope != null; scope = scope.around) {
        Object value = scope.values.get(name);
        if (value != null) {
          return value;
        }
      }
      return null;
    }
  }

  /** Is an object whose members a template may set. */
  record Namespace(Dict members) {}

  private final Limits limits;
  private final Budget budget;
  private final Values values;
  private final Methods methods;
  private final Clock clock;
  private final Dialect dialect;
  private final Map<String, Object> functions = new HashMap<>();
  private StringBuilder out = new StringBuilder();
  private int depth;
  private int line = 1;

  Evaluator(Limits limits, Clock clock, Dialect dialect) {
    this.limits = limits;
    this.clock = clock;
    this.dialect = dialect;
    this.budget = new Budget(limits);
    this.values = new Values(budget, dialect);
    this.methods = new Methods(this, values, budget);
    functions.put("range", (Callable) Evaluator::range);
    functions.put("dict", (Callable) args -> dict("dict", args));
    functions.put("namespace", (Callable) args -> new Namespace(dict("namespace", args)));
    functions.put("cycler", (Callable) Cycler::new);
    functions.put("joiner", (Callable) Evaluator::joiner);
    functions.put(
        "lipsum",
        (Callable)
            _ -> {
              throw TemplateFault.expected("a function of chat templates", "lipsum");
            });
    if (dialect == Dialect.CHAT) {
      functions.put("raise_exception", (Callable) this::raise);
      functions.put("strftime_now", (Callable) this::now);
    }
  }

  Dialect dialect() {
    return dialect;
  }

  Values values() {
    return values;
  }

  Budget budget() {
    return budget;
  }

  Methods methods() {
    return methods;
  }

  /** Returns the line that is being run. */
  int line() {
    return line;
  }

  /** Runs a template. */
  String render(List<Statement> body, Map<String, Object> variables) {
    Scope context = new Scope(null);
    context.values.putAll(functions);
    context.values.putAll(variables);
    run(body, new Scope(context));
    return out.toString();
  }

  private void enter() {
    budget.step();
    if (++depth > Limits.DEPTH) {
      throw TemplateFault.expected(
          "at most " + Limits.DEPTH + " nested evaluations", "a template that goes deeper");
    }
  }

  void checkLength(long length) {
    if (length > limits.output()) {
      budget.text(length);
    }
  }

  private void write(String text) {
    budget.text(text.length());
    checkLength((long) out.length() + text.length());
    out.append(text);
  }

  /** Runs a body and returns its text. */
  private String text(List<Statement> body, Scope scope) {
    StringBuilder around = out;
    out = new StringBuilder();
    run(body, scope);
    String text = out.toString();
    out = around;
    return text;
  }

  private Flow run(List<Statement> body, Scope scope) {
    for (Statement statement : body) {
      enter();
      Flow flow = run(statement, scope);
      depth--;
      if (flow != Flow.NEXT) {
        return flow;
      }
    }
    return Flow.NEXT;
  }

  private Flow run(Statement statement, Scope scope) {
    switch (statement) {
      case Statement.Data data -> write(data.text());
      case Statement.Output output -> {
        line = output.line();
        write(values.str(evaluate(output.value(), scope)));
      }
      case Statement.If branch -> {
        return branch(branch, scope);
      }
      case Statement.For loop -> {
        return loop(loop, scope);
      }
      case Statement.Set set -> {
        line = set.line();
        assign(set.target(), evaluate(set.value(), scope), scope);
      }
      case Statement.SetBlock set -> {
        String text = text(set.body(), new Scope(scope));
        line = set.line();
        Object value = set.filter().isPresent() ? filtered(set.filter().get(), text, scope) : text;
        assign(set.target(), value, scope);
      }
      case Statement.Macro macro ->
          scope.values.put(macro.function().name(), new Macro(macro.function(), scope));
      case Statement.CallBlock call -> {
        line = call.line();
        Macro caller = new Macro(call.caller(), scope);
        write(values.str(call(call.call(), scope, caller)));
      }
      case Statement.FilterBlock block -> {
        String text = text(block.body(), new Scope(scope));
        line = block.line();
        write(values.str(filtered(block.filter(), text, scope)));
      }
      case Statement.With with -> {
        line = with.line();
        Scope inner = new Scope(scope);
        List<Object> given = with.values().stream().map(value -> evaluate(value, scope)).toList();
        for (int i = 0; i < given.size(); i++) {
          assign(with.targets().get(i), given.get(i), inner);
        }
        return run(with.body(), inner);
      }
      case Statement.Generation block -> write(text(block.body(), new Scope(scope)));
      case Statement.Break _ -> {
        return Flow.BREAK;
      }
      case Statement.Continue _ -> {
        return Flow.CONTINUE;
      }
    }
    return Flow.NEXT;
  }

  private Flow branch(Statement.If branch, Scope scope) {
    line = branch.line();
    for (int i = 0; i < branch.tests().size(); i++) {
      if (values.truth(evaluate(branch.tests().get(i), scope))) {
        return run(branch.bodies().get(i), scope);
      }
    }
    return run(branch.otherwise(), scope);
  }

  private Flow loop(Statement.For loop, Scope scope) {
    line = loop.line();
    Object iterated = evaluate(loop.values(), scope);
    Iterator<Object> elements = values.iterate(iterated);
    long length = -1;
    if (loop.test().isPresent()) {
      Expression test = loop.test().get();
      elements =
          Filters.kept(
              this,
              elements,
              element -> {
                Scope inner = new Scope(scope);
                assign(loop.target(), element, inner);
                return values.truth(evaluate(test, inner));
              });
    } else if (!(iterated instanceof Generator || iterated instanceof Loop)) {
      length = values.length(iterated);
    }
    Loop state = new Loop(elements, length, values);
    boolean whole = false;
    while (state.hasNext()) {
      budget.step();
      Scope inner = new Scope(scope);
      Object element = state.next();
      inner.values.put("loop", state);
      assign(loop.target(), element, inner);
      Flow flow = run(loop.body(), inner);
      if (flow == Flow.BREAK) {
        break;
      }
      whole |= flow == Flow.NEXT;
    }
    // As in jinja2, where a body that is left early counts as none.
    return whole ? Flow.NEXT : run(loop.otherwise(), new Scope(scope));
  }

  private void assign(Target target, Object value, Scope scope) {
    switch (target) {
      case Target.Variable variable -> scope.values.put(variable.name(), value);
      case Target.Member member -> {
        Object namespace = scope.find(member.namespace());
        if (!(namespace instanceof Namespace(Dict members))) {
          throw TemplateFault.expected(
              "a namespace to set '" + member.name() + "' of",
              namespace == null ? "nothing" : Values.type(namespace));
        }
        members.put(member.name(), value);
      }
      case Target.Several several -> {
        List<Object> parts = values.list(value);
        if (parts.size() != several.targets().size()) {
          throw TemplateFault.expected(
              several.targets().size() + " values to assign", parts.size() + " of them");
        }
        for (int i = 0; i < parts.size(); i++) {
          assign(several.targets().get(i), parts.get(i), scope);
        }
      }
    }
  }

  private Object evaluate(Expression expression, Scope scope) {
    enter();
    Object value = value(expression, scope);
    depth--;
    return value;
  }

  private Object value(Expression expression, Scope scope) {
    return switch (expression) {
      case Expression.Constant constant -> constant.value();
      case Expression.Name name -> {
        Object value = scope.find(name.name());
        yield value == null ? new Undefined("'" + name.name() + "' is undefined") : value;
      }
      case Expression.Attribute attribute -> {
        Object of = evaluate(attribute.of(), scope);
        line = attribute.line();
        yield attribute(of, attribute.name());
      }
      case Expression.Item item -> {
        Object of = evaluate(item.of(), scope);
        Object key = evaluate(item.key(), scope);
        line = item.line();
        yield item(of, key);
      }
      case Expression.Call call -> call(call, scope, null);
      case Expression.Filter filter -> {
        // The first filter of a block has its value from the block.
        Object of = evaluate(filter.of().orElseThrow(), scope);
        yield filter(filter, of, scope);
      }
      case Expression.Test test -> {
        Object of = evaluate(test.of(), scope);
        Args args = arguments(test.arguments(), scope);
        line = test.line();
        yield Tests.holds(this, test.name(), of, args);
      }
      case Expression.Logical logical -> {
        Object left = evaluate(logical.left(), scope);
        yield values.truth(left) == logical.and() ? evaluate(logical.right(), scope) : left;
      }
      case Expression.Unary unary -> {
        Object of = evaluate(unary.value(), scope);
        line = unary.line();
        if (of instanceof Undefined undefined && !unary.operator().equals("not")) {
          throw undefined.fault();
        }
        yield values.unary(unary.operator(), of);
      }
      case Expression.Binary binary -> {
        Object left = evaluate(binary.left(), scope);
        Object right = evaluate(binary.right(), scope);
        line = binary.line();
        yield values.binary(binary.operator(), left, right);
      }
      case Expression.Concatenation concatenation -> concatenated(concatenation, scope);
      case Expression.Comparison comparison -> compared(comparison, scope);
      case Expression.Conditional conditional -> conditional(conditional, scope);
      case Expression.Sequence sequence -> sequence(sequence, scope);
      case Expression.Mapping mapping -> mapping(mapping, scope);
      case Expression.Slice slice ->
          new Values.Slice(
              part(slice.start(), scope), part(slice.stop(), scope), part(slice.step(), scope));
    };
  }

  private @Nullable Object part(Optional<Expression> part, Scope scope) {
    return part.isPresent() ? evaluate(part.get(), scope) : null;
  }

  private Object concatenated(Expression.Concatenation concatenation, Scope scope) {
    StringBuilder text = new StringBuilder();
    for (Expression part : concatenation.parts()) {
      text.append(values.str(evaluate(part, scope)));
      budget.text(text.length());
    }
    return text.toString();
  }

  private Object compared(Expression.Comparison comparison, Scope scope) {
    Object left = evaluate(comparison.first(), scope);
    for (int i = 0; i < comparison.operators().size(); i++) {
      Object right = evaluate(comparison.others().get(i), scope);
      line = comparison.line();
      if (!compare(comparison.operators().get(i), left, right)) {
        return false;
      }
      left = right;
    }
    return true;
  }

  boolean compare(String operator, Object left, Object right) {
    return switch (operator) {
      case "==" -> values.equal(left, right);
      case "!=" -> !values.equal(left, right);
      case "in" -> values.contains(right, left);
      case "not in" -> !values.contains(right, left);
      default -> {
        if (left instanceof Undefined undefined) {
          throw undefined.fault();
        }
        if (right instanceof Undefined undefined) {
          throw undefined.fault();
        }
        yield values.ordered(operator, left, right);
      }
    };
  }

  private Object conditional(Expression.Conditional conditional, Scope scope) {
    if (values.truth(evaluate(conditional.test(), scope))) {
      return evaluate(conditional.value(), scope);
    }
    return conditional.otherwise().isPresent()
        ? evaluate(conditional.otherwise().get(), scope)
        : new Undefined("the condition is false and there is no else");
  }

  private Object sequence(Expression.Sequence sequence, Scope scope) {
    List<Object> elements = new ArrayList<>(sequence.elements().size());
    for (Expression element : sequence.elements()) {
      elements.add(evaluate(element, scope));
    }
    return sequence.tuple() ? new Tuple(elements, false) : elements;
  }

  private Object mapping(Expression.Mapping mapping, Scope scope) {
    Dict dict = new Dict();
    for (int i = 0; i < mapping.keys().size(); i++) {
      Object key = evaluate(mapping.keys().get(i), scope);
      dict.put(key, evaluate(mapping.values().get(i), scope));
    }
    return dict;
  }

  /** Applies filters to the text of a block. */
  private Object filtered(Expression expression, Object text, Scope scope) {
    if (!(expression instanceof Expression.Filter filter)) {
      throw new IllegalStateException(String.valueOf(expression));
    }
    Object of = filter.of().isPresent() ? filtered(filter.of().get(), text, scope) : text;
    return filter(filter, of, scope);
  }

  private Object filter(Expression.Filter filter, Object of, Scope scope) {
    Args args = arguments(filter.arguments(), scope);
    line = filter.line();
    return Filters.apply(this, filter.name(), of, args);
  }

  /** Returns a method or attribute of a value; null where it has none. */
  @Nullable Object member(Object of, String name) {
    return methods.member(of, name);
  }

  /** Returns what {@code of.name} is: an attribute, else the value under a key. */
  Object attribute(Object of, String name) {
    if (of instanceof Undefined undefined) {
      throw undefined.fault();
    }
    Object found = methods.member(of, name);
    if (found == null && of instanceof Dict dict) {
      found = dict.get(name);
    }
    return found == null
        ? new Undefined(Values.type(of) + " has no attribute '" + name + "'")
        : found;
  }

  /** Returns what {@code of[key]} is: the value under a key, else an attribute. */
  Object item(Object of, Object key) {
    Object found = values.item(of, key);
    if (found == null && key instanceof Values.Slice) {
      throw TemplateFault.expected("text or a list to slice, by integers", Values.type(of));
    }
    if (found == null && Values.isText(key)) {
      found = methods.member(of, Values.text(key, ""));
    }
    return found == null
        ? new Undefined(Values.type(of) + " has no element " + values.repr(key))
        : found;
  }

  private Object call(Expression.Call call, Scope scope, @Nullable Macro caller) {
    Object function = evaluate(call.function(), scope);
    Args args = arguments(call.arguments(), scope);
    line = call.line();
    if (caller != null) {
      Map<String, Object> named = new LinkedHashMap<>(args.named());
      named.put("caller", caller);
      args = new Args(args.positional(), named);
    }
    return switch (function) {
      case Callable callable -> callable.call(args);
      case Undefined undefined -> throw undefined.fault();
      default -> throw TemplateFault.expected("a function to call", Values.type(function));
    };
  }

  private Args arguments(Arguments arguments, Scope scope) {
    if (arguments == Arguments.NONE) {
      return Args.NONE;
    }
    List<Object> positional = new ArrayList<>();
    for (Expression each : arguments.positional()) {
      positional.add(evaluate(each, scope));
    }
    Map<String, Object> named = new LinkedHashMap<>();
    for (int i = 0; i < arguments.names().size(); i++) {
      named.put(arguments.names().get(i), evaluate(arguments.named().get(i), scope));
    }
    if (arguments.more().isPresent()) {
      positional.addAll(values.list(evaluate(arguments.more().get(), scope)));
    }
    if (arguments.moreNamed().isPresent()) {
      Object more = evaluate(arguments.moreNamed().get(), scope);
      if (!(more instanceof Dict dict)) {
        throw TemplateFault.expected("a dict behind **", Values.type(more));
      }
      named(dict)
          .named()
          .forEach(
              (name, value) -> {
                if (named.put(name, value) != null) {
                  throw TemplateFault.expected("the argument '" + name + "' once", "two");
                }
              });
    }
    return new Args(positional, named);
  }

  /** Takes a dict as named arguments. */
  static Args named(Dict dict) {
    Map<String, Object> named = new LinkedHashMap<>();
    for (Dict.Entry entry : dict.entries()) {
      named.put(Values.text(entry.key(), "the name of an argument"), entry.value());
    }
    return new Args(List.of(), named);
  }

  /** Is a macro, or the body of a call block, with the names around it. */
  final class Macro implements Callable {
    private final Function function;
    private final Scope around;

    Macro(Function function, Scope around) {
      this.function = function;
      this.around = around;
    }

    @Nullable Object member(String name) {
      return switch (name) {
        case "name" -> function.name();
        case "arguments" -> new Tuple(List.copyOf(function.parameters()), false);
        case "catch_kwargs" -> function.usesKwargs();
        case "catch_varargs" -> function.usesVarargs();
        case "caller" -> function.usesCaller();
        default -> null;
      };
    }

    @Override
    public Object call(Args args) {
      enter();
      Scope scope = new Scope(around);
      Map<String, Object> named = new LinkedHashMap<>(args.named());
      List<String> parameters = function.parameters();
      if (function.usesCaller()) {
        Object caller = named.remove("caller");
        scope.values.put(
            "caller", caller == null ? new Undefined("the macro has no caller") : caller);
      }
      int optional = parameters.size() - function.defaults().size();
      for (int i = 0; i < parameters.size(); i++) {
        String name = parameters.get(i);
        Object value = i < args.positional().size() ? args.positional().get(i) : named.remove(name);
        if (value == null) {
          value =
              i >= optional
                  ? evaluate(function.defaults().get(i - optional), scope)
                  : new Undefined("the parameter '" + name + "' has no value");
        }
        scope.values.put(name, value);
      }
      surplus(args, named, scope);
      String text = text(function.body(), scope);
      depth--;
      return text;
    }

    private void surplus(Args args, Map<String, Object> named, Scope scope) {
      int parameters = function.parameters().size();
      int given = args.positional().size();
      String name = "macro '" + function.name() + "'";
      if (function.usesKwargs()) {
        Dict dict = new Dict();
        named.forEach(dict::put);
        scope.values.put("kwargs", dict);
      } else if (!named.isEmpty()) {
        throw TemplateFault.expected(
            "arguments of " + name + " among " + function.parameters(),
            "'" + named.keySet().iterator().next() + "'");
      }
      if (function.usesVarargs()) {
        scope.values.put(
            "varargs",
            new Tuple(args.positional().subList(Math.min(given, parameters), given), false));
      } else if (given > parameters) {
        throw TemplateFault.expected(
            "at most " + parameters + " arguments of " + name, String.valueOf(given));
      }
    }
  }

  /** Is a function that goes through values in turn. */
  static final class Cycler {
    private final List<Object> values;
    private int at;

    Cycler(Args args) {
      if (args.positional().isEmpty() || !args.named().isEmpty()) {
        throw TemplateFault.expected("values for cycler", "none, or names");
      }
      values = args.positional();
    }

    @Nullable Object member(String name) {
      return switch (name) {
        case "current" -> values.get(at);
        case "next" ->
            (Callable)
                _ -> {
                  Object value = values.get(at);
                  at = (at + 1) % values.size();
                  return value;
                };
        case "reset" ->
            (Callable)
                _ -> {
                  at = 0;
                  return None.NONE;
                };
        default -> null;
      };
    }
  }

  private static Object joiner(Args args) {
    Object between = args.bind("joiner", "sep").get(0, ", ");
    boolean[] used = new boolean[1];
    return (Callable)
        more -> {
          more.bind("a joiner");
          if (used[0]) {
            return between;
          }
          used[0] = true;
          return "";
        };
  }

  private static Object range(Args args) {
    Args.Bound bound = args.bind("range", "start", "stop", "step");
    if (!args.named().isEmpty()) {
      throw TemplateFault.expected("no named arguments of range", args.named().keySet().toString());
    }
    return args.positional().size() == 1
        ? new Range(0, bound.integer(0), 1)
        : new Range(bound.integer(0), bound.integer(1), bound.integer(2, 1));
  }

  private Dict dict(String name, Args args) {
    if (args.positional().size() > 1) {
      throw TemplateFault.expected(
          "at most one value for " + name, args.positional().size() + " of them");
    }
    Dict dict = new Dict();
    for (Object from : args.positional()) {
      if (from instanceof Dict other) {
        other.entries().forEach(entry -> dict.put(entry.key(), entry.value()));
      } else {
        for (Object pair : values.list(from)) {
          List<Object> both = values.list(pair);
          if (both.size() != 2) {
            throw TemplateFault.expected("pairs for " + name, both.size() + " values");
          }
          dict.put(both.get(0), both.get(1));
        }
      }
      budget.steps(dict.size());
    }
    args.named().forEach(dict::put);
    return dict;
  }

  private Object raise(Args args) {
    String message = values.str(args.bind("raise_exception", "message").get(0));
    throw new TemplateFault(message);
  }

  private Object now(Args args) {
    String format =
        Values.text(args.bind("strftime_now", "format").get(0), "the format of strftime_now");
    String text = Strftime.format(LocalDateTime.now(clock), format);
    budget.text(text.length());
    return text;
  }
}
