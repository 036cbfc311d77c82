package dev.jneox.infer;

/**
 * Computes how fast texts can be written at best: a step reads all weights once, and the keys and
 * values of each sequence.
 *
 * @param sequences written at once
 * @param weightBytes that a step reads
 * @param keyValueBytes that a step reads, of all sequences
 */
public record DecodeLimit(int sequences, long weightBytes, double keyValueBytes) {
  /**
   * Counts the bytes of the mean step.
   *
   * @param prompt tokens of each prompt
   * @param fresh tokens written after each
   */
  public static DecodeLimit of(
      PackedModel model, KvPrecision kv, int sequences, int prompt, int fresh) {
    long position = model.spec().keysAndValuesPerPosition() * kv.bytes();
    return new DecodeLimit(
        sequences, model.stepBytes(), sequences * (double) position * (prompt + fresh / 2.0));
  }

  /**
   * Returns tokens per second of all sequences together.
   *
   * @param readRate bytes/s of memory ({@link dev.jneox.kernel.MemoryRate})
   */
  public double tokensPerSecond(double readRate) {
    return sequences * readRate / (weightBytes + keyValueBytes);
  }
}
