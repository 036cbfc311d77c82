package dev.jneox.data;

import static dev.jneox.data.ZstdEntropy.damaged;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Decompresses zstd frames (RFC 8878) that follow each other, in Java alone. Skippable frames are
 * passed over, checksums and stated sizes are checked. Windows reach up to 2 GiB, as {@code zstd
 * --long=31} writes them; memory is the smaller of window and content, of which 16 MB at most are
 * on the heap. Dictionaries and the formats before zstd 0.8 are refused.
 */
public final class ZstdInputStream extends InputStream {
  private static final int MAGIC = 0xFD2FB528;
  private static final int SKIPPABLE = 0x184D2A50; // and the 15 numbers behind
  private static final long LARGEST_WINDOW = 1L << 31;

  private final InputStream in;
  private final ZstdWindow window = new ZstdWindow();
  private final ZstdBlock block = new ZstdBlock(window);
  private final byte[] buffer = new byte[ZstdWindow.BLOCK + 2 * ZstdEntropy.SLACK];
  private int given; // of the window's array, to the caller
  private boolean inFrame;
  private int mostPerBlock;
  private long stated; // bytes of the frame's content, or -1
  private @Nullable Xxh64 checksum; // null for none

  /** Reads the frames of {@code in}, which closing this closes. */
  public ZstdInputStream(InputStream in) {
    this.in = new BufferedInputStream(in, 1 << 16);
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
  }

  @Override
  public int read(byte[] target, int from, int n) throws IOException {
    if (n == 0) {
      return 0;
    }
    while (given == window.end()) {
      if (!inFrame && !beginFrame()) {
        return -1;
      }
      if (inFrame) {
        readBlock();
      }
    }
    int piece = Math.min(n, window.end() - given);
    System.arraycopy(window.array(), given, target, from, piece);
    given += piece;
    return piece;
  }

  /** Reads the header of a frame or skips a skippable one; returns false at the end of the file. */
  private boolean beginFrame() throws IOException {
    int n = in.readNBytes(buffer, 0, 4);
    if (n == 0) {
      return false;
    }
    int magic = (int) little(require(n, 4));
    if ((magic & ~15) == SKIPPABLE) {
      try {
        in.skipNBytes(number(4));
      } catch (EOFException e) {
        throw cut();
      }
      return true;
    }
    if (magic != MAGIC) {
      throw damaged("a frame begins with 0x%08x instead of 0x%08x".formatted(magic, MAGIC));
    }
    int descriptor = (int) number(1);
    boolean single = (descriptor & 0x20) != 0;
    if ((descriptor & 0x08) != 0) {
      throw damaged("a reserved bit of a frame's header is set");
    }
    int shape = single ? 0 : (int) number(1);
    long base = 1L << 10 + (shape >> 3);
    long size = base + base / 8 * (shape & 7);
    long dictionary = number(new int[] {0, 1, 2, 4}[descriptor & 3]);
    if (dictionary != 0) {
      throw new IOException(
          "zstd frame that needs dictionary " + dictionary + ": compress it without one");
    }
    int sizeBytes = new int[] {single ? 1 : 0, 2, 4, 8}[descriptor >> 6];
    stated = sizeBytes == 0 ? -1 : number(sizeBytes) + (sizeBytes == 2 ? 256 : 0);
    size = single ? stated : size;
    if (Long.compareUnsigned(size, LARGEST_WINDOW) > 0) {
      throw new IOException(
          "zstd frame with a window of "
              + Long.toUnsignedString(size)
              + " bytes: expected at most 2^31 (zstd --long=31)");
    }
    window.begin(size);
    block.begin();
    given = 0;
    mostPerBlock = (int) Math.min(size, ZstdWindow.BLOCK);
    checksum = (descriptor & 0x04) == 0 ? null : new Xxh64();
    inFrame = true;
    return true;
  }

  private void readBlock() throws IOException {
    int header = (int) number(3);
    int size = header >>> 3;
    if (size > mostPerBlock) {
      throw damaged("a block of " + size + " bytes, more than " + mostPerBlock);
    }
    window.reserve();
    int start = window.end();
    given = start;
    switch (header >> 1 & 3) {
      case 0 -> {
        require(in.readNBytes(window.array(), start, size), size);
        window.end(start + size);
      }
      case 1 -> {
        Arrays.fill(window.array(), start, start + size, (byte) number(1));
        window.end(start + size);
      }
      case 2 -> {
        require(in.readNBytes(buffer, ZstdEntropy.SLACK, size), size);
        block.decode(buffer, ZstdEntropy.SLACK, ZstdEntropy.SLACK + size, mostPerBlock);
      }
      default -> throw damaged("a block of a reserved type");
    }
    if (checksum != null) {
      checksum.update(window.array(), start, window.end());
    }
    if ((header & 1) == 1) {
      endFrame();
    }
  }

  private void endFrame() throws IOException {
    inFrame = false;
    if (stated >= 0 && stated != window.total()) {
      throw damaged("a frame of " + window.total() + " bytes that says it has " + stated);
    }
    if (checksum != null) {
      int expected = (int) number(4);
      int found = (int) checksum.value();
      if (found != expected) {
        throw damaged("checksum 0x%08x, expected 0x%08x".formatted(found, expected));
      }
    }
  }

  /** Reads a little-endian number of 0 to 8 bytes. */
  private long number(int bytes) throws IOException {
    return little(require(in.readNBytes(buffer, 0, bytes), bytes));
  }

  private long little(int bytes) {
    long number = 0;
    for (int i = 0; i < bytes; i++) {
      number |= (buffer[i] & 0xFFL) << 8 * i;
    }
    return number;
  }

  private static int require(int found, int needed) throws IOException {
    if (found < needed) {
      throw cut();
    }
    return needed;
  }

  private static IOException cut() {
    return new EOFException("the file ends within a zstd frame");
  }

  @Override
  public void close() throws IOException {
    window.close();
    in.close();
  }
}
