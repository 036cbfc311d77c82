package dev.jneox.cli;

import dev.jneox.infer.FinishReason;
import dev.jneox.io.JneoxException;
import java.util.function.Consumer;

/** Writes the model's turns of a {@link Conversation}: a model of this process or of a server. */
interface ReplModel {
  /** The text of one turn, piece by piece. For one thread; any may cancel. */
  interface TurnStream extends AutoCloseable {
    /**
     * Waits for the next piece; false when the turn has ended.
     *
     * @throws JneoxException when the model cannot write
     */
    boolean hasNext();

    /** Returns the next piece; nothing where the turn was cancelled meanwhile. */
    String next();

    /** Says why the turn ended, once it has. */
    FinishReason reason();

    /** Ends the turn where it is. */
    void cancel();

    @Override
    void close();
  }

  /**
   * Begins the model's turn, from as much of the end of the text as it can read.
   *
   * @param turn counts turns from 0: each draws by a seed of its own
   * @param note takes a line for a person
   * @throws JneoxException when the model cannot write
   */
  TurnStream start(Conversation conversation, long turn, Consumer<String> note);

  /** Returns the most tokens of a turn. */
  int maxTokens();
}
