package dev.jneox.model;

import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * Holds how the authors of a model want its tokens drawn, where they say so. A chat model mostly
 * does, a base model mostly does not.
 *
 * @param temperature 0 for the likeliest token, 1 for the model's own distribution; empty where
 *     nothing is said or tokens are not drawn
 * @param topK draw from so many of the likeliest tokens; 0 for all
 * @param topP draw from the likeliest tokens of this probability together, up to 1
 * @param repetitionPenalty above 1 makes tokens of the text less likely
 */
public record SamplingDefaults(
    OptionalDouble temperature,
    OptionalInt topK,
    OptionalDouble topP,
    OptionalDouble repetitionPenalty) {
  /** Says nothing. */
  public static final SamplingDefaults NONE =
      new SamplingDefaults(
          OptionalDouble.empty(),
          OptionalInt.empty(),
          OptionalDouble.empty(),
          OptionalDouble.empty());
}
