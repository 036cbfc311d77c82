package dev.jneox.train;

/**
 * States what a run may do that it refuses by default, because progress could be lost or damage go
 * unseen.
 *
 * @param restart begins anew although the folder to save in has checkpoints
 * @param skipDamaged goes on from the newest whole checkpoint where the one to go on from is
 *     damaged
 * @param noVerify goes on from a checkpoint without comparing it with its manifest
 */
public record Resume(boolean restart, boolean skipDamaged, boolean noVerify) {
  /** Refuses all of it. */
  public static final Resume DEFAULT = new Resume(false, false, false);

  /** Begins anew. */
  public static final Resume RESTART = new Resume(true, false, false);
}
