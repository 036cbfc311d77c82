package dev.jneox.template;

import java.util.List;
import java.util.Optional;

/** Is a statement of a template; {@link Evaluator} runs it. */
sealed interface Statement {
  record Data(String text) implements Statement {}

  record Output(Expression value, int line) implements Statement {}

  /** A condition for each body; without one for {@code else}. */
  record If(
      List<Expression> tests, List<List<Statement>> bodies, List<Statement> otherwise, int line)
      implements Statement {}

  record For(
      Target target,
      Expression values,
      Optional<Expression> test,
      List<Statement> body,
      List<Statement> otherwise,
      int line)
      implements Statement {}

  record Set(Target target, Expression value, int line) implements Statement {}

  /**
   * @param filter of the body's text
   */
  record SetBlock(Target target, Optional<Expression> filter, List<Statement> body, int line)
      implements Statement {}

  record Macro(Function function, int line) implements Statement {}

  record CallBlock(Expression.Call call, Function caller, int line) implements Statement {}

  record FilterBlock(Expression filter, List<Statement> body, int line) implements Statement {}

  record With(List<Target> targets, List<Expression> values, List<Statement> body, int line)
      implements Statement {}

  /** A body with names of its own. */
  record Generation(List<Statement> body) implements Statement {}

  record Break() implements Statement {}

  record Continue() implements Statement {}

  /**
   * What a macro or the body of a call is.
   *
   * @param defaults of the last parameters
   * @param usesCaller whether the body names {@code caller}
   * @param usesVarargs whether it names {@code varargs}, and takes more arguments therefore
   * @param usesKwargs whether it names {@code kwargs}
   */
  record Function(
      String name,
      List<String> parameters,
      List<Expression> defaults,
      List<Statement> body,
      boolean usesCaller,
      boolean usesVarargs,
      boolean usesKwargs) {}

  /** What a value is assigned to. */
  sealed interface Target {
    record Variable(String name) implements Target {}

    record Member(String namespace, String name) implements Target {}

    record Several(List<Target> targets) implements Target {}
  }
}
