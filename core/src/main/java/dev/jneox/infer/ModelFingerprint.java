package dev.jneox.infer;

import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.QuantisedMatrix;
import dev.jneox.weights.StoredTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * Tells models apart whose keys and values differ: by their description, the precision, and the
 * contents of every tensor. Reads all weights once.
 */
final class ModelFingerprint {
  private static final int CHUNK = 1 << 20;

  private ModelFingerprint() {}

  /** Returns 32 bytes. */
  static byte[] of(ModelWeights weights, Precision precision) {
    StringBuilder facts = new StringBuilder();
    facts.append(weights.spec()).append('\n').append(precision).append('\n');
    for (StoredTensor tensor : weights.tensors()) {
      facts
          .append(tensor.expression().name())
          .append(' ')
          .append(tensor.type())
          .append(' ')
          .append(tensor.expression().elements())
          .append(' ')
          .append(checksum(tensor))
          .append('\n');
    }
    try {
      return MessageDigest.getInstance("SHA-256")
          .digest(facts.toString().getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static long checksum(StoredTensor tensor) {
    CRC32C sum = new CRC32C();
    Optional<QuantisedMatrix> quantised = tensor.quantised();
    try (Arena arena = Arena.ofShared()) {
      if (quantised.isPresent()) {
        QuantisedMatrix matrix = quantised.get();
        MemorySegment row = arena.allocate(matrix.rowBytes());
        for (int r = 0; r < matrix.out(); r++) {
          matrix.blocks(r, row, 0);
          update(sum, row);
        }
      } else {
        Optional<MappedTensor> inPlace = tensor.inPlace();
        update(sum, inPlace.isPresent() ? inPlace.get().data() : tensor.read(arena).data());
      }
    }
    return sum.getValue();
  }

  private static void update(CRC32C sum, MemorySegment data) {
    for (long at = 0; at < data.byteSize(); at += CHUNK) {
      sum.update(data.asSlice(at, Math.min(CHUNK, data.byteSize() - at)).asByteBuffer());
    }
  }
}
