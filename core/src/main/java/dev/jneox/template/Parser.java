package dev.jneox.template;

import dev.jneox.template.Expression.Arguments;
import dev.jneox.template.Lexer.LineFault;
import dev.jneox.template.Statement.Function;
import dev.jneox.template.Statement.Target;
import dev.jneox.template.Token.Kind;
import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Builds the tree of a template from its tokens, by recursive descent with jinja2's grammar. */
final class Parser {
  /** Tags of Jinja that chat templates do not have: they need other templates, or HTML. */
  private static final Set<String> REFUSED =
      Set.of("include", "import", "from", "extends", "block", "autoescape", "print", "do", "trans");

  /** Names that have a value in every template. */
  private static final Set<String> OWN =
      Set.of(
          "loop",
          "self",
          "caller",
          "varargs",
          "kwargs",
          "range",
          "dict",
          "namespace",
          "cycler",
          "joiner",
          "lipsum");

  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

  private final List<Token> tokens;
  private int at;
  private int depth;
  // Loops around the statement, within the same macro.
  private int loops;
  // An unknown filter or test is an error at once, unless in a branch that may not be taken.
  private int branches;
  private @Nullable LineFault unknown;
  // Operators of the tag so far.
  private int operators;
  // Names that each macro around the place uses.
  private final Deque<Set<String>> used = new ArrayDeque<>();
  // Names that the template itself gives a value: variables, macros and their parameters.
  private final Set<String> assigned = new HashSet<>();

  private Parser(List<Token> tokens) {
    this.tokens = tokens;
  }

  static List<Statement> parse(String template, Dialect dialect) {
    return parse(template, dialect, new HashSet<>());
  }

  /** Does the same, and adds to {@code given} the names that have to come from outside. */
  static List<Statement> parse(String template, Dialect dialect, Set<String> given) {
    Parser parser = new Parser(Lexer.tokens(template, dialect));
    Set<String> names = new HashSet<>();
    parser.used.push(names);
    List<Statement> body = parser.body(Set.of(), "");
    if (parser.unknown != null) {
      throw parser.unknown;
    }
    names.removeAll(parser.assigned);
    names.removeAll(OWN);
    given.addAll(names);
    return body;
  }

  private Token token() {
    return tokens.get(at);
  }

  private Token ahead() {
    return tokens.get(Math.min(at + 1, tokens.size() - 1));
  }

  private Token next() {
    Token token = tokens.get(at);
    if (at < tokens.size() - 1) {
      at++;
    }
    return token;
  }

  private int line() {
    return token().line();
  }

  private LineFault expected(String what) {
    return new LineFault(line(), "expected " + what + ", found " + token().shown());
  }

  private boolean skipOperator(String operator) {
    if (token().isOperator(operator)) {
      next();
      return true;
    }
    return false;
  }

  private boolean skipName(String name) {
    if (token().isName(name)) {
      next();
      return true;
    }
    return false;
  }

  private void expectOperator(String operator) {
    if (!skipOperator(operator)) {
      throw expected("'" + operator + "'");
    }
  }

  private void expectName(String name) {
    if (!skipName(name)) {
      throw expected("'" + name + "'");
    }
  }

  private String name() {
    if (!token().is(Kind.NAME)) {
      throw expected("a name");
    }
    return next().text();
  }

  private void expect(Kind kind, String mark) {
    if (!token().is(kind)) {
      throw expected(mark);
    }
    next();
  }

  private <T> T nested(Supplier<T> inner) {
    if (++depth > Limits.NESTING) {
      throw expected("at most " + Limits.NESTING + " levels of blocks and parentheses");
    }
    T made = inner.get();
    depth--;
    return made;
  }

  /** Reads statements up to a tag of one of the names, which stays; all without names. */
  private List<Statement> body(Set<String> ends, String opened) {
    return nested(
        () -> {
          List<Statement> body = new ArrayList<>();
          while (true) {
            Token token = token();
            operators = 0;
            switch (token.kind()) {
              case DATA -> body.add(new Statement.Data(next().text()));
              case VARIABLE_BEGIN -> {
                next();
                body.add(new Statement.Output(tuple(true, false), token.line()));
                expect(Kind.VARIABLE_END, "}}");
              }
              case BLOCK_BEGIN -> {
                if (ahead().is(Kind.NAME) && ends.contains(ahead().text())) {
                  next();
                  return body;
                }
                next();
                body.add(statement());
                expect(Kind.BLOCK_END, "%}");
              }
              default -> {
                if (!ends.isEmpty()) {
                  throw expected(
                      "{% " + String.join(" or ", new TreeSet<>(ends)) + " %} " + opened);
                }
                return body;
              }
            }
          }
        });
  }

  /** Reads a body to its end tag, of which the name is taken too. */
  private List<Statement> bodyTo(String end, int line) {
    expect(Kind.BLOCK_END, "%}");
    List<Statement> body = body(Set.of(end), "for the block of line " + line);
    next();
    return body;
  }

  private Statement statement() {
    int line = line();
    if (!token().is(Kind.NAME)) {
      throw expected("the name of a tag");
    }
    String tag = token().text();
    if (REFUSED.contains(tag)) {
      throw expected("a tag of chat templates, such as if, for or set");
    }
    return switch (tag) {
      case "if" -> ifs(line);
      case "for" -> loop(line);
      case "set" -> set(line);
      case "macro" -> macro(line);
      case "call" -> call(line);
      case "filter" -> filterBlock(line);
      case "with" -> with(line);
      case "generation" -> {
        next();
        int around = loops;
        loops = 0;
        List<Statement> body = bodyTo("endgeneration", line);
        loops = around;
        yield new Statement.Generation(body);
      }
      case "break", "continue" -> {
        if (loops == 0) {
          throw expected(tag + " within a loop");
        }
        next();
        yield tag.equals("break") ? new Statement.Break() : new Statement.Continue();
      }
      default -> throw expected("a tag such as if, for, set or macro, or the end of a block");
    };
  }

  private Statement ifs(int line) {
    List<Expression> tests = new ArrayList<>();
    List<List<Statement>> bodies = new ArrayList<>();
    String from = "for the if of line " + line;
    while (true) {
      next();
      tests.add(tuple(false, false));
      expect(Kind.BLOCK_END, "%}");
      branches++;
      bodies.add(body(Set.of("elif", "else", "endif"), from));
      branches--;
      if (token().isName("elif")) {
        continue;
      }
      List<Statement> otherwise = List.of();
      if (next().isName("else")) {
        branches++;
        expect(Kind.BLOCK_END, "%}");
        otherwise = body(Set.of("endif"), from);
        next();
        branches--;
      }
      return new Statement.If(tests, bodies, otherwise, line);
    }
  }

  private Statement loop(int line) {
    next();
    Target target = target(true, false);
    expectName("in");
    Expression values = tuple(false, false);
    Optional<Expression> test = skipName("if") ? Optional.of(expression()) : Optional.empty();
    if (token().isName("recursive")) {
      throw expected("no recursive loop: JNeoX has none");
    }
    expect(Kind.BLOCK_END, "%}");
    loops++;
    String from = "for the loop of line " + line;
    List<Statement> body = body(Set.of("endfor", "else"), from);
    loops--;
    List<Statement> otherwise = List.of();
    if (next().isName("else")) {
      expect(Kind.BLOCK_END, "%}");
      otherwise = body(Set.of("endfor"), from);
      next();
    }
    return new Statement.For(target, values, test, body, otherwise, line);
  }

  private Statement set(int line) {
    next();
    Target target = target(false, true);
    if (skipOperator("=")) {
      return new Statement.Set(target, tuple(true, false), line);
    }
    Optional<Expression> filter =
        token().isOperator("|") ? filters(Optional.empty()) : Optional.empty();
    return new Statement.SetBlock(target, filter, bodyTo("endset", line), line);
  }

  private Statement macro(int line) {
    next();
    String name = name();
    requireAssignable(name);
    return new Statement.Macro(function(name, true, "endmacro", line), line);
  }

  private Statement call(int line) {
    next();
    List<String> parameters = new ArrayList<>();
    List<Expression> defaults = new ArrayList<>();
    if (token().isOperator("(")) {
      signature(parameters, defaults);
    }
    if (!(expression() instanceof Expression.Call call)) {
      throw new LineFault(line, "expected a call behind 'call', found another expression");
    }
    return new Statement.CallBlock(
        call, function("caller", parameters, defaults, "endcall", line), line);
  }

  private Function function(String name, boolean signature, String end, int line) {
    List<String> parameters = new ArrayList<>();
    List<Expression> defaults = new ArrayList<>();
    if (signature) {
      signature(parameters, defaults);
    }
    return function(name, parameters, defaults, end, line);
  }

  private Function function(
      String name, List<String> parameters, List<Expression> defaults, String end, int line) {
    int around = loops;
    loops = 0;
    used.push(new HashSet<>());
    List<Statement> body = bodyTo(end, line);
    Set<String> names = used.pop();
    loops = around;
    names.removeAll(parameters);
    assigned.add(name);
    assigned.addAll(parameters);
    return new Function(
        name,
        parameters,
        defaults,
        body,
        names.contains("caller"),
        names.contains("varargs"),
        names.contains("kwargs"));
  }

  private void signature(List<String> parameters, List<Expression> defaults) {
    expectOperator("(");
    while (!token().isOperator(")")) {
      if (!parameters.isEmpty()) {
        expectOperator(",");
      }
      String name = name();
      requireAssignable(name);
      if (parameters.contains(name)) {
        throw new LineFault(line(), "expected each parameter once, found '" + name + "' again");
      }
      parameters.add(name);
      if (skipOperator("=")) {
        defaults.add(expression());
      } else if (!defaults.isEmpty()) {
        throw expected("a default for '" + name + "', which follows a parameter with one");
      }
    }
    next();
  }

  private Statement filterBlock(int line) {
    next();
    Expression filter = filters(Optional.empty()).orElseThrow(() -> expected("a filter"));
    return new Statement.FilterBlock(filter, bodyTo("endfilter", line), line);
  }

  private Statement with(int line) {
    next();
    List<Target> targets = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (!token().is(Kind.BLOCK_END)) {
      if (!targets.isEmpty()) {
        expectOperator(",");
      }
      targets.add(target(false, false));
      expectOperator("=");
      values.add(expression());
    }
    return new Statement.With(targets, values, bodyTo("endwith", line), line);
  }

  /** Reads what a value is assigned to: a name, a member of a namespace, or several. */
  private Target target(boolean loop, boolean namespace) {
    List<Target> targets = new ArrayList<>();
    boolean several = false;
    while (!(token().is(Kind.BLOCK_END)
        || token().isOperator("=")
        || loop && token().isName("in"))) {
      targets.add(oneTarget(namespace));
      if (!skipOperator(",")) {
        break;
      }
      several = true;
    }
    if (targets.isEmpty()) {
      throw expected("a name to assign to");
    }
    return several ? new Target.Several(targets) : targets.getFirst();
  }

  private Target oneTarget(boolean namespace) {
    if (skipOperator("(")) {
      List<Target> targets = new ArrayList<>();
      boolean several = false;
      while (!token().isOperator(")")) {
        targets.add(nested(() -> oneTarget(false)));
        if (!token().isOperator(")")) {
          expectOperator(",");
          several = true;
        }
      }
      next();
      return several || targets.isEmpty() ? new Target.Several(targets) : targets.getFirst();
    }
    String name = name();
    if (namespace && skipOperator(".")) {
      use(name);
      return new Target.Member(name, name());
    }
    requireAssignable(name);
    assigned.add(name);
    return new Target.Variable(name);
  }

  private void requireAssignable(String name) {
    if (Set.of("true", "false", "none", "True", "False", "None").contains(name)) {
      throw new LineFault(line(), "expected a name to assign to, found '" + name + "'");
    }
  }

  private void use(String name) {
    used.forEach(names -> names.add(name));
  }

  // Expressions, from the weakest operator to the strongest.

  /** Reads an expression, or several with commas between them, which are a tuple. */
  private Expression tuple(boolean conditional, boolean parentheses) {
    List<Expression> elements = new ArrayList<>();
    boolean tuple = false;
    while (!isTupleEnd()) {
      elements.add(conditional ? expression() : nested(this::or));
      if (!skipOperator(",")) {
        break;
      }
      tuple = true;
    }
    if (tuple || elements.isEmpty() && parentheses) {
      return new Expression.Sequence(elements, true);
    }
    if (elements.isEmpty()) {
      throw expected("an expression");
    }
    return elements.getFirst();
  }

  private boolean isTupleEnd() {
    return token().is(Kind.VARIABLE_END)
        || token().is(Kind.BLOCK_END)
        || token().isOperator(")")
        || token().isName("recursive");
  }

  private Expression expression() {
    return nested(this::conditional);
  }

  private Expression conditional() {
    LineFault before = unknown;
    Expression value = or();
    while (skipName("if")) {
      unknown = before;
      branches++;
      Expression test = or();
      Optional<Expression> otherwise =
          skipName("else") ? Optional.of(expression()) : Optional.empty();
      branches--;
      value = deep(new Expression.Conditional(test, value, otherwise));
    }
    return value;
  }

  /**
   * Counts an expression that holds the one before it: a long chain of operators is as deep as one
   * of parentheses. Chains in parentheses count for the whole.
   */
  private Expression deep(Expression made) {
    if (++operators > Limits.NESTING * 10) {
      throw expected("at most " + Limits.NESTING * 10 + " operators in a tag");
    }
    return made;
  }

  private Expression or() {
    Expression left = and();
    while (skipName("or")) {
      left = deep(new Expression.Logical(false, left, and()));
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (skipName("and")) {
      left = deep(new Expression.Logical(true, left, not()));
    }
    return left;
  }

  private Expression not() {
    int line = line();
    if (skipName("not")) {
      return new Expression.Unary("not", nested(this::not), line);
    }
    return comparison();
  }

  private Expression comparison() {
    int line = line();
    Expression first = sum();
    List<String> operators = new ArrayList<>();
    List<Expression> others = new ArrayList<>();
    while (true) {
      if (token().is(Kind.OPERATOR) && COMPARISONS.contains(token().text())) {
        operators.add(next().text());
      } else if (skipName("in")) {
        operators.add("in");
      } else if (token().isName("not") && ahead().isName("in")) {
        next();
        next();
        operators.add("not in");
      } else {
        return operators.isEmpty()
            ? first
            : new Expression.Comparison(first, operators, others, line);
      }
      others.add(sum());
    }
  }

  private Expression sum() {
    Expression left = concatenation();
    while (token().isOperator("+") || token().isOperator("-")) {
      Token operator = next();
      left = deep(new Expression.Binary(operator.text(), left, concatenation(), operator.line()));
    }
    return left;
  }

  private Expression concatenation() {
    Expression first = product();
    if (!token().isOperator("~")) {
      return first;
    }
    List<Expression> parts = new ArrayList<>(List.of(first));
    while (skipOperator("~")) {
      parts.add(product());
    }
    return new Expression.Concatenation(parts);
  }

  private Expression product() {
    Expression left = power();
    while (token().isOperator("*")
        || token().isOperator("/")
        || token().isOperator("//")
        || token().isOperator("%")) {
      Token operator = next();
      left = deep(new Expression.Binary(operator.text(), left, power(), operator.line()));
    }
    return left;
  }

  private Expression power() {
    Expression left = unary(true);
    while (token().isOperator("**")) {
      Token operator = next();
      left = deep(new Expression.Binary("**", left, unary(true), operator.line()));
    }
    return left;
  }

  private Expression unary(boolean filters) {
    int line = line();
    Expression value;
    if (token().isOperator("-") || token().isOperator("+")) {
      String operator = next().text();
      value = new Expression.Unary(operator, nested(() -> unary(false)), line);
    } else {
      value = primary();
    }
    value = postfix(value);
    return filters ? filtered(value) : value;
  }

  private Expression primary() {
    Token token = token();
    switch (token.kind()) {
      case NAME -> {
        next();
        return switch (token.text()) {
          case "true", "True" -> new Expression.Constant(true);
          case "false", "False" -> new Expression.Constant(false);
          case "none", "None" -> new Expression.Constant(None.NONE);
          default -> {
            use(token.text());
            yield new Expression.Name(token.text());
          }
        };
      }
      case STRING -> {
        StringBuilder text = new StringBuilder();
        while (token().is(Kind.STRING)) {
          text.append(next().text());
        }
        return new Expression.Constant(text.toString());
      }
      case INTEGER -> {
        next();
        return new Expression.Constant(integer(token));
      }
      case FLOAT -> {
        next();
        return new Expression.Constant(Double.parseDouble(token.text()));
      }
      default -> {
        if (skipOperator("(")) {
          Expression inner = tuple(true, true);
          expectOperator(")");
          return inner;
        }
        if (token.isOperator("[")) {
          return list();
        }
        if (token.isOperator("{")) {
          return mapping();
        }
        throw expected("an expression");
      }
    }
  }

  private static Object integer(Token token) {
    String text = token.text();
    int radix =
        text.length() < 2
            ? 10
            : switch (text.charAt(1)) {
              case 'x', 'X' -> 16;
              case 'o', 'O' -> 8;
              case 'b', 'B' -> 2;
              default -> 10;
            };
    String digits = radix == 10 ? text : text.substring(2);
    if (digits.length() > Limits.BITS / 4) {
      throw new LineFault(
          token.line(),
          "expected a number of at most " + Limits.BITS / 4 + " digits, found " + digits.length());
    }
    return Numbers.integer(new BigInteger(digits, radix));
  }

  private Expression list() {
    next();
    List<Expression> elements = new ArrayList<>();
    while (!token().isOperator("]")) {
      if (!elements.isEmpty()) {
        expectOperator(",");
        if (token().isOperator("]")) {
          break;
        }
      }
      elements.add(expression());
    }
    expectOperator("]");
    return new Expression.Sequence(elements, false);
  }

  private Expression mapping() {
    next();
    List<Expression> keys = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (!token().isOperator("}")) {
      if (!keys.isEmpty()) {
        expectOperator(",");
        if (token().isOperator("}")) {
          break;
        }
      }
      keys.add(expression());
      expectOperator(":");
      values.add(expression());
    }
    expectOperator("}");
    return new Expression.Mapping(keys, values);
  }

  private Expression postfix(Expression of) {
    Expression value = of;
    while (true) {
      int line = line();
      if (skipOperator(".")) {
        if (token().is(Kind.INTEGER)) {
          value = new Expression.Item(value, new Expression.Constant(integer(next())), line);
        } else {
          value = new Expression.Attribute(value, name(), line);
        }
      } else if (token().isOperator("[")) {
        value = new Expression.Item(value, subscript(), line);
      } else if (token().isOperator("(")) {
        value = new Expression.Call(value, arguments(), line);
      } else {
        return value;
      }
      deep(value);
    }
  }

  private Expression subscript() {
    next();
    List<Expression> keys = new ArrayList<>();
    while (!token().isOperator("]")) {
      if (!keys.isEmpty()) {
        expectOperator(",");
      }
      keys.add(sliceOrKey());
    }
    next();
    return keys.size() == 1 ? keys.getFirst() : new Expression.Sequence(keys, true);
  }

  private Expression sliceOrKey() {
    Optional<Expression> start = Optional.empty();
    if (!token().isOperator(":")) {
      Expression key = expression();
      if (!token().isOperator(":")) {
        return key;
      }
      start = Optional.of(key);
    }
    next();
    Optional<Expression> stop = part();
    Optional<Expression> step = skipOperator(":") ? part() : Optional.empty();
    return new Expression.Slice(start, stop, step);
  }

  private Optional<Expression> part() {
    return token().isOperator(":") || token().isOperator("]") || token().isOperator(",")
        ? Optional.empty()
        : Optional.of(expression());
  }

  private Arguments arguments() {
    expectOperator("(");
    List<Expression> positional = new ArrayList<>();
    List<String> names = new ArrayList<>();
    List<Expression> named = new ArrayList<>();
    Optional<Expression> more = Optional.empty();
    Optional<Expression> moreNamed = Optional.empty();
    boolean comma = false;
    while (!token().isOperator(")")) {
      if (comma) {
        expectOperator(",");
        if (token().isOperator(")")) {
          break;
        }
      }
      if (token().isOperator("*") && more.isEmpty() && moreNamed.isEmpty()) {
        next();
        more = Optional.of(expression());
      } else if (token().isOperator("**") && moreNamed.isEmpty()) {
        next();
        moreNamed = Optional.of(expression());
      } else if (token().is(Kind.NAME) && ahead().isOperator("=") && moreNamed.isEmpty()) {
        String name = name();
        if (names.contains(name)) {
          throw expected("each argument once, and '" + name + "' is there");
        }
        next();
        names.add(name);
        named.add(expression());
      } else if (more.isEmpty() && moreNamed.isEmpty() && names.isEmpty()) {
        positional.add(expression());
      } else {
        throw expected("a named argument, because one came before");
      }
      comma = true;
    }
    next();
    return new Arguments(positional, names, named, more, moreNamed);
  }

  private Expression filtered(Expression of) {
    Expression value = of;
    while (true) {
      int line = line();
      if (token().isOperator("|")) {
        value = filters(Optional.of(value)).orElseThrow();
      } else if (token().isName("is")) {
        value = test(value);
      } else if (token().isOperator("(")) {
        value = deep(new Expression.Call(value, arguments(), line));
      } else {
        return value;
      }
    }
  }

  /** Reads filters; in a filter block and a set block the first has no value before it. */
  private Optional<Expression> filters(Optional<Expression> of) {
    Optional<Expression> value = of;
    boolean inline = of.isEmpty() && !token().isOperator("|");
    while (inline || token().isOperator("|")) {
      if (!inline) {
        next();
      }
      inline = false;
      int line = line();
      String name = dotted();
      require(Filters.has(name), "a filter such as trim, join or tojson", name, line);
      Arguments arguments = token().isOperator("(") ? arguments() : Arguments.NONE;
      value = Optional.of(deep(new Expression.Filter(value, name, arguments, line)));
    }
    return value;
  }

  /** Keeps the error for an unknown name until it is clear whether it is in a branch. */
  private void require(boolean known, String expected, String name, int line) {
    if (!known && branches == 0 && unknown == null) {
      unknown = new LineFault(line, "expected " + expected + ", found '" + name + "'");
    }
  }

  private String dotted() {
    StringBuilder name = new StringBuilder(name());
    while (skipOperator(".")) {
      name.append('.').append(name());
    }
    return name.toString();
  }

  private Expression test(Expression of) {
    int line = line();
    next();
    boolean negated = skipName("not");
    String name = dotted();
    require(Tests.has(name), "a test such as defined, none or string", name, line);
    Arguments arguments = Arguments.NONE;
    if (token().isOperator("(")) {
      arguments = arguments();
    } else if (isArgument()) {
      if (token().isName("is")) {
        throw expected("one test, because tests make no chain");
      }
      arguments =
          new Arguments(
              List.of(nested(() -> postfix(primary()))),
              List.of(),
              List.of(),
              Optional.empty(),
              Optional.empty());
    }
    Expression test = deep(new Expression.Test(of, name, arguments, line));
    return negated ? new Expression.Unary("not", test, line) : test;
  }

  private boolean isArgument() {
    return switch (token().kind()) {
      case NAME -> !(token().isName("else") || token().isName("or") || token().isName("and"));
      case STRING, INTEGER, FLOAT -> true;
      default -> token().isOperator("[") || token().isOperator("{");
    };
  }
}
