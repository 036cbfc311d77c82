package dev.jneox.fuzz;

import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;

/**
 * Code that reads files from elsewhere.
 *
 * @param name of folders and reports
 * @param seeds good inputs that are changed; made on first use
 * @param reading reads the files and uses what it has read
 * @param repair makes files of an input agree with each other again, so that a change gets behind a
 *     checksum; applied to half of the inputs
 * @param writes whether it may leave files in the folder, such as a cache
 */
public record Reader(
    String name, Supplier<List<Input>> seeds, Reading reading, Repair repair, boolean writes) {
  /** The most bytes of heap for an input of some kilobytes. */
  static final long MOST_BYTES = 64 << 20;

  /** Makes the seeds once. */
  public Reader {
    Supplier<List<Input>> made = seeds;
    AtomicReference<List<Input>> kept = new AtomicReference<>();
    seeds =
        () -> {
          if (kept.get() == null) {
            kept.set(List.copyOf(made.get()));
          }
          return kept.get();
        };
  }

  /** Reads the files of a folder; throws what the reader throws. */
  public interface Reading {
    void read(Path folder) throws Exception;
  }

  /** Changes an input that was changed. */
  public interface Repair {
    Input repaired(Input input);
  }

  /** A reader of the whole folder. */
  public static Reader of(String name, Reading reading, Supplier<List<Input>> seeds) {
    return new Reader(name, seeds, reading, input -> input, false);
  }

  /** A reader of one file of the folder. */
  public static Reader ofFile(
      String name, String file, Reading reading, Supplier<List<Input>> seeds) {
    return of(name, folder -> reading.read(folder.resolve(file)), seeds);
  }

  public Reader repairedBy(Repair made) {
    return new Reader(name, seeds, reading, made, writes);
  }

  /** One that may leave files. */
  public Reader thatWrites() {
    return new Reader(name, seeds, reading, repair, true);
  }

  /** Reads every value of every tensor, and the tokenizer's text. */
  public static void use(StoredModel model) {
    model.spec().parameterCount();
    try (Arena arena = Arena.ofShared()) {
      for (StoredTensor tensor : model.tensors()) {
        touch(tensor.read(arena).data());
      }
    }
    model.tokenizerJson();
    model.sampling();
    model.chatTemplates();
  }

  /** Reads bytes of a tensor: a view beyond the mapped file would end the process here. */
  public static void touch(MemorySegment bytes) {
    long sum = 0;
    for (long at = 0; at < bytes.byteSize(); at += 512) {
      sum += bytes.get(ValueLayout.JAVA_BYTE, at);
    }
    if (bytes.byteSize() > 0) {
      sum += bytes.get(ValueLayout.JAVA_BYTE, bytes.byteSize() - 1);
    }
    touched = sum;
  }

  /** Keeps the compiler from leaving out the reading. */
  static volatile long touched;
}
