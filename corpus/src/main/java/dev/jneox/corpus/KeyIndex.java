package dev.jneox.corpus;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.stream.Stream;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.jspecify.annotations.Nullable;

/**
 * Is what a step of deduplication compares, of all documents that reached it, kept for later
 * builds: a line that says how the keys are made, then keys of 128 bits (two numbers of 64,
 * little-endian), ascending.
 *
 * @param step name of the step
 * @param how the keys are made
 * @param number of the step among those of its name, from 1
 * @param earlier output folders of the builds whose documents count as seen
 * @param write whether this build leaves an index of its own
 */
record KeyIndex(String step, String how, int number, List<String> earlier, boolean write)
    implements Serializable {
  private static final int BYTES = 16;

  /** Keys that one task reads. */
  private static final long PIECE = 1_000_000;

  /** Reads the options {@code index} and {@code write_index}. */
  static KeyIndex of(String step, String how, Settings options) {
    return new KeyIndex(
        step,
        how,
        1,
        options.texts("index", List.of()).stream()
            .map(path -> Settings.resolved(options.folder(), path))
            .toList(),
        options.flag("write_index", true));
  }

  KeyIndex numbered(int number) {
    return new KeyIndex(step, how, number, earlier, write);
  }

  private String line() {
    return "keys of " + step + ": " + how + "\n";
  }

  private Path file(Path out) {
    return out.resolve(step + (number == 1 ? "" : "-" + number) + ".index");
  }

  /** Returns the folder for the parts that tasks write. */
  Path parts(Path stages) {
    return stages.resolve(step + "-" + number + ".keys");
  }

  /** Says what is compared with, for the datasheet; empty where it is this corpus alone. */
  String describe() {
    return earlier.isEmpty() ? "" : ", also of those of " + String.join(", ", earlier);
  }

  /**
   * Is a part of an index that one task reads.
   *
   * @param path of the file
   * @param from byte of its first key
   * @param keys in it
   */
  record Piece(String path, long from, long keys) implements Serializable {
    /** Returns rows of {@link Rows#BANDS} with the id of earlier documents. */
    Iterator<Row> rows() {
      Path file = Path.of(path);
      try {
        InputStream stream = Files.newInputStream(file);
        stream.skipNBytes(from);
        InputStream in = new BufferedInputStream(stream, 1 << 16);
        return new Iterator<>() {
          private long left = keys;

          @Override
          public boolean hasNext() {
            return left > 0;
          }

          @Override
          public Row next() {
            if (left == 0) {
              throw new NoSuchElementException();
            }
            try {
              ByteBuffer key = ByteBuffer.wrap(in.readNBytes(BYTES)).order(ByteOrder.LITTLE_ENDIAN);
              if (--left == 0) {
                in.close();
              }
              return RowFactory.create(key.getLong(), key.getLong(), Rows.EARLIER);
            } catch (IOException e) {
              throw StorageException.of(file, "cannot be read", e);
            }
          }
        };
      } catch (IOException e) {
        throw StorageException.of(file, "cannot be read", e);
      }
    }
  }

  /**
   * Finds the indexes of the earlier builds.
   *
   * @throws InputException for one that is missing, or whose keys are made otherwise
   */
  List<Piece> pieces() {
    List<Piece> pieces = new ArrayList<>();
    for (String out : earlier) {
      Path file = file(Path.of(out));
      byte[] line = line().getBytes(StandardCharsets.UTF_8);
      if (!Files.isRegularFile(file)) {
        throw new InputException(
            file
                + ": no such file: index names the folder of an earlier corpus build with "
                + step);
      }
      try (SeekableByteChannel channel = Files.newByteChannel(file);
          InputStream in = Files.newInputStream(file)) {
        byte[] found = in.readNBytes(line.length);
        long keys = (channel.size() - line.length) / BYTES;
        if (!java.util.Arrays.equals(found, line) || line.length + BYTES * keys != channel.size()) {
          String text = new String(found, StandardCharsets.ISO_8859_1);
          throw new InputException(
              file
                  + ": expected "
                  + line().strip()
                  + ", found "
                  + (text.startsWith("keys of ")
                      ? text.substring(0, (text + "\n").indexOf('\n'))
                          + ", or a file that is cut off"
                      : "another file"));
        }
        for (long at = 0; at < keys; at += PIECE) {
          pieces.add(
              new Piece(file.toString(), line.length + BYTES * at, Math.min(PIECE, keys - at)));
        }
      } catch (IOException e) {
        throw StorageException.of(file, "cannot be read", e);
      }
    }
    return pieces;
  }

  /** Joins the parts that tasks wrote into the index of a build. */
  void join(Path parts, Path out) throws IOException {
    List<Path> files;
    try (Stream<Path> list = Files.list(parts)) {
      files =
          list.filter(path -> !String.valueOf(path.getFileName()).startsWith("."))
              .sorted()
              .toList();
    }
    try (AtomicFile file = new AtomicFile(file(out))) {
      try (OutputStream stream = Files.newOutputStream(file.path())) {
        stream.write(line().getBytes(StandardCharsets.UTF_8));
        for (Path part : files) {
          Files.copy(part, stream);
        }
      }
      file.commit();
    }
  }

  /**
   * Writes the keys of a task, ascending, as a file that appears when it is whole. It is named by
   * its first key, so that files in the order of their names are keys in order.
   */
  static final class Writer {
    private final Path folder;
    private final ByteBuffer key = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private @Nullable AtomicFile file;
    private @Nullable OutputStream out;

    Writer(Path folder) {
      this.folder = folder;
    }

    void add(long k1, long k2) {
      try {
        OutputStream stream = out;
        if (stream == null) {
          AtomicFile begun = new AtomicFile(folder.resolve("%016x".formatted(k1 ^ Long.MIN_VALUE)));
          stream = new BufferedOutputStream(Files.newOutputStream(begun.path()), 1 << 16);
          file = begun;
          out = stream;
        }
        key.putLong(0, k1).putLong(8, k2);
        stream.write(key.array());
      } catch (IOException e) {
        throw StorageException.of(folder, "cannot be written", e);
      }
    }

    void end() {
      OutputStream stream = out;
      AtomicFile begun = file;
      if (stream == null || begun == null) {
        return;
      }
      try (begun) {
        stream.close();
        begun.commit();
        out = null;
        file = null;
      } catch (IOException e) {
        throw StorageException.of(folder, "cannot be written", e);
      }
    }
  }
}
