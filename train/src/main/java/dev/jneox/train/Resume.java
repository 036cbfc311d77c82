package dev.jneox.train;

import java.util.OptionalLong;

/**
 * Permits a run what it refuses by default, because steps could be lost or damage stay unnoticed.
 *
 * @param restart whether to begin at step 0 although the folder to save in has checkpoints
 * @param skipDamaged whether to resume from the newest whole checkpoint where the one to resume
 *     from is damaged; a run that goes on in its own folder always may
 * @param noVerify whether to resume from a checkpoint without comparing it with its manifest
 * @param since number of the first save of this run, where a supervisor has restarted it: it goes
 *     on from the newest whole checkpoint from that save on, and where there is none begins as
 *     before
 */
public record Resume(boolean restart, boolean skipDamaged, boolean noVerify, OptionalLong since) {
  /** Permits nothing. */
  public static final Resume DEFAULT = new Resume(false, false, false);

  /** Permits to begin at step 0. */
  public static final Resume RESTART = new Resume(true, false, false);

  /** Permits what a run may be permitted that no supervisor has restarted. */
  public Resume(boolean restart, boolean skipDamaged, boolean noVerify) {
    this(restart, skipDamaged, noVerify, OptionalLong.empty());
  }
}
