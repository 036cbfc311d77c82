package dev.jneox.infer;

/** Says why a request ended. */
public enum FinishReason {
  /** The model drew an id that ends texts. */
  END_OF_TEXT("end of text"),
  /** One of the request's stop ids was drawn. */
  STOP_TOKEN("stop token"),
  /** A stop string was found in the text; the engine, which knows ids only, never gives this. */
  STOP_STRING("stop string"),
  /** The request's {@link TokenConstraint} allows no further token. */
  CONSTRAINT("the text is whole"),
  /** {@link GenerationRequest#maxTokens} were drawn. */
  MAX_TOKENS("as many tokens as asked for"),
  /** No position of the model's context is left. */
  CONTEXT_FULL("the model's context is full"),
  /** The caller ended it, or the engine was closed or failed. */
  CANCELLED("cancelled"),
  /** The reader stopped reading while others waited for the memory: see {@link Engine.Readers}. */
  STALLED("its reader stopped reading");

  private final String description;

  FinishReason(String description) {
    this.description = description;
  }

  /** Returns the reason in words, for people. */
  public String description() {
    return description;
  }

  /** Whether the last token says that the text ends, and is no part of it. */
  boolean marked() {
    return this == END_OF_TEXT || this == STOP_TOKEN;
  }
}
