package dev.jneox.infer;

import dev.jneox.model.Position;
import java.util.Arrays;

/**
 * Rotates single heads in place as {@link Position.Rotary} says, by cosines and sines of as many
 * positions as were needed yet.
 */
final class RotaryTable {
  private final Position.Rotary rotary;
  private final int pairs;
  private float[] cos = {};
  private float[] sin = {};
  private int positions;

  RotaryTable(Position.Rotary rotary) {
    this.rotary = rotary;
    this.pairs = rotary.dims() / 2;
  }

  /** Computes the angles of positions below {@code n}; not while others {@link #rotate}. */
  void ensure(int n) {
    if (n <= positions) {
      return;
    }
    int grown = Math.max(n, 2 * positions);
    cos = Arrays.copyOf(cos, Math.multiplyExact(grown, pairs));
    sin = Arrays.copyOf(sin, cos.length);
    for (int i = 0; i < pairs; i++) {
      for (int p = positions; p < grown; p++) {
        float angle = rotary.angle(p, i);
        cos[p * pairs + i] = (float) Math.cos(angle);
        sin[p * pairs + i] = (float) Math.sin(angle);
      }
    }
    positions = grown;
  }

  /** Rotates the head {@code x[at ...]} that stands at {@code position}. */
  void rotate(float[] x, int at, int position) {
    int angles = position * pairs;
    int step = rotary.interleaved() ? 2 : 1;
    int partner = rotary.interleaved() ? 1 : pairs;
    for (int i = 0; i < pairs; i++) {
      float c = cos[angles + i];
      float s = sin[angles + i];
      int first = at + i * step;
      float a = x[first];
      float b = x[first + partner];
      x[first] = a * c - b * s;
      x[first + partner] = b * c + a * s;
    }
  }
}
