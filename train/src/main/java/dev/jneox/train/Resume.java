package dev.jneox.train;

/**
 * Permits a run what it refuses by default, because steps could be lost or damage stay unnoticed.
 *
 * @param restart whether to begin at step 0 although the folder to save in has checkpoints
 * @param skipDamaged whether to resume from the newest whole checkpoint where the one to resume
 *     from is damaged
 * @param noVerify whether to resume from a checkpoint without comparing it with its manifest
 */
public record Resume(boolean restart, boolean skipDamaged, boolean noVerify) {
  /** Permits nothing. */
  public static final Resume DEFAULT = new Resume(false, false, false);

  /** Permits to begin at step 0. */
  public static final Resume RESTART = new Resume(true, false, false);
}
