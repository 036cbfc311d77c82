package dev.jneox.eval;

import java.util.List;

/** Asks a model for one thing that a task needs of it. */
public sealed interface Request {
  /**
   * Asks for the log-likelihood of a continuation, and whether the model would write it greedily.
   *
   * @param context may be empty: the continuation then begins a document
   */
  record Loglikelihood(String context, String continuation) implements Request {}

  /** Asks for the log-likelihood of a whole text of any length, from its beginning on. */
  record Rolling(String text) implements Request {}

  /** Asks for a text that goes on from a context. */
  record Generate(String context, Sampling sampling) implements Request {}

  /**
   * Says how a text is drawn, and where it ends.
   *
   * @param until texts that end it; they are no part of it
   * @param maxTokens most tokens
   * @param temperature 0 for the likeliest token each time
   * @param topP the likeliest tokens that have this probability together; 1 for all
   * @param topK the likeliest tokens; 0 for all
   */
  record Sampling(List<String> until, int maxTokens, double temperature, double topP, int topK) {
    /** Copies the texts. */
    public Sampling {
      until = List.copyOf(until);
    }
  }
}
