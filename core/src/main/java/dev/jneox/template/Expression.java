package dev.jneox.template;

import java.util.List;
import java.util.Optional;

/** Is an expression of a template; {@link Evaluator} evaluates it. */
sealed interface Expression {
  /** A value as it is written. */
  record Constant(Object value) implements Expression {}

  record Name(String name) implements Expression {}

  record Sequence(List<Expression> elements, boolean tuple) implements Expression {}

  record Mapping(List<Expression> keys, List<Expression> values) implements Expression {}

  /** An operation on one value: {@code -}, {@code +} or {@code not}. */
  record Unary(String operator, Expression value, int line) implements Expression {}

  record Binary(String operator, Expression left, Expression right, int line)
      implements Expression {}

  /** {@code and}, or {@code or}: the value is one of the two. */
  record Logical(boolean and, Expression left, Expression right) implements Expression {}

  /** Texts of values, one after another. */
  record Concatenation(List<Expression> parts) implements Expression {}

  record Comparison(Expression first, List<String> operators, List<Expression> others, int line)
      implements Expression {}

  record Conditional(Expression test, Expression value, Optional<Expression> otherwise)
      implements Expression {}

  record Attribute(Expression of, String name, int line) implements Expression {}

  record Item(Expression of, Expression key, int line) implements Expression {}

  record Slice(Optional<Expression> start, Optional<Expression> stop, Optional<Expression> step)
      implements Expression {}

  record Call(Expression function, Arguments arguments, int line) implements Expression {}

  /**
   * @param of empty in a filter block, whose value is the block
   */
  record Filter(Optional<Expression> of, String name, Arguments arguments, int line)
      implements Expression {}

  record Test(Expression of, String name, Arguments arguments, int line) implements Expression {}

  /** The arguments of a call. */
  record Arguments(
      List<Expression> positional,
      List<String> names,
      List<Expression> named,
      Optional<Expression> more,
      Optional<Expression> moreNamed) {
    static final Arguments NONE =
        new Arguments(List.of(), List.of(), List.of(), Optional.empty(), Optional.empty());
  }
}
