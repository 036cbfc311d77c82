package dev.jneox.data;

import static dev.jneox.data.ZstdEntropy.LONG;
import static dev.jneox.data.ZstdEntropy.damaged;

import dev.jneox.data.ZstdEntropy.Entry;
import dev.jneox.data.ZstdEntropy.Huffman;
import dev.jneox.data.ZstdEntropy.Shares;
import java.io.IOException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Decodes the compressed blocks of a zstd frame (RFC 8878, section 3.1.1.3). A block has literals,
 * and sequences of a number of literals to copy, a match length and an offset. Tables, tree and
 * recent offsets persist from block to block.
 */
final class ZstdBlock {
  /** Up to this length a loop of eight bytes is faster than the JDK's copy. */
  private static final int SHORT = 64;

  /** Is the FSE table of one of the three parts of a sequence. */
  private record Table(int log, long[] entries) {}

  /** The three tables of a block. */
  private record Tables(Table literals, Table matches, Table offsets) {}

  /**
   * Holds the constants of such a part: values of its symbols, their added bits, the predefined
   * table.
   */
  private record Part(int[] values, byte[] extra, int mostLog, Table standard) {
    static Part of(int first, byte[] extra, int mostLog, int log, short[] shares) {
      int[] values = new int[extra.length];
      values[0] = first;
      for (int s = 1; s < values.length; s++) {
        values[s] = values[s - 1] + (1 << extra[s - 1]);
      }
      long[] table = new Shares(log, shares, 0).table(values, extra);
      return new Part(values, extra, mostLog, new Table(log, table));
    }

    Table single(int symbol) throws IOException {
      if (symbol >= values.length) {
        throw damaged("symbol " + symbol + ", more than " + (values.length - 1));
      }
      return new Table(0, new long[] {Entry.of(values[symbol], extra[symbol], 0, 0)});
    }
  }

  private static final Part LITERALS =
      Part.of(
          0,
          extraBits(16, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
          9,
          6,
          new short[] {
            4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1,
            1, 1, 1, -1, -1, -1, -1
          });
  private static final Part MATCHES =
      Part.of(
          3,
          extraBits(32, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
          9,
          6,
          new short[] {
            1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1
          });
  private static final Part OFFSETS =
      Part.of(
          1,
          extraBits(
              1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
              24, 25, 26, 27, 28, 29, 30, 31),
          8,
          5,
          new short[] {
            1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1,
            -1
          });

  /** Builds the added bits: none for the first {@code zeros} symbols, then as given. */
  private static byte[] extraBits(int zeros, int... more) {
    byte[] bits = new byte[zeros + more.length];
    for (int i = 0; i < more.length; i++) {
      bits[zeros + i] = (byte) more[i];
    }
    return bits;
  }

  private final ZstdWindow window;
  private final byte[] decoded = new byte[ZstdWindow.BLOCK + ZstdEntropy.SLACK];

  private @Nullable Huffman tree; // null for none yet, as the tables
  private @Nullable Table literalTable;
  private @Nullable Table matchTable;
  private @Nullable Table offsetTable;
  private long offset1;
  private long offset2;
  private long offset3;

  /** The array that holds the literals of this block. */
  private byte[] literals = decoded;

  private int literal;
  private int literalEnd;

  /** Where the next part of the block begins. */
  private int cursor;

  ZstdBlock(ZstdWindow window) {
    this.window = window;
  }

  /** Begins a frame. */
  void begin() {
    tree = null;
    literalTable = null;
    matchTable = null;
    offsetTable = null;
    offset1 = 1;
    offset2 = 4;
    offset3 = 8;
  }

  /**
   * Decodes {@code buffer[from..to)} to the end of the window, which has room for a block.
   *
   * @param buffer with {@link ZstdEntropy#SLACK} bytes before and behind the block
   * @param most bytes that the block may give
   */
  void decode(byte[] buffer, int from, int to, int most) throws IOException {
    cursor = from;
    readLiterals(buffer, to, most);
    int count = sequences(buffer, to);
    int limit = window.end() + most;
    int at = window.end();
    if (count > 0) {
      int modes = next(buffer, to);
      if ((modes & 3) != 0) {
        throw damaged("reserved bits of a block are set");
      }
      Table forLiterals = table(LITERALS, modes >> 6, literalTable, buffer, to);
      Table forOffsets = table(OFFSETS, modes >> 4 & 3, offsetTable, buffer, to);
      Table forMatches = table(MATCHES, modes >> 2 & 3, matchTable, buffer, to);
      literalTable = forLiterals;
      offsetTable = forOffsets;
      matchTable = forMatches;
      at = execute(new Tables(forLiterals, forMatches, forOffsets), count, buffer, to, at, limit);
    } else if (cursor != to) {
      throw damaged("a block without sequences goes on");
    }
    int rest = literalEnd - literal;
    if (rest > limit - at) {
      throw damaged("a block of more than " + most + " bytes");
    }
    System.arraycopy(literals, literal, window.array(), at, rest);
    window.end(at + rest);
  }

  /** Returns the next byte of the block. */
  private int next(byte[] buffer, int to) throws IOException {
    if (cursor >= to) {
      throw damaged("a block that is too short");
    }
    return buffer[cursor++] & 0xFF;
  }

  private int sequences(byte[] buffer, int to) throws IOException {
    int first = next(buffer, to);
    if (first < 128) {
      return first;
    }
    int second = next(buffer, to);
    return first < 255 ? (first - 128 << 8) + second : second + (next(buffer, to) << 8) + 0x7F00;
  }

  private Table table(Part part, int mode, @Nullable Table before, byte[] buffer, int to)
      throws IOException {
    switch (mode) {
      case 0:
        return part.standard;
      case 1:
        return part.single(next(buffer, to));
      case 2:
        Shares shares = Shares.read(buffer, cursor, to, part.values.length - 1, part.mostLog);
        cursor = shares.end();
        return new Table(shares.log(), shares.table(part.values, part.extra));
      default:
        if (before == null) {
          throw damaged("a table is repeated that was not given");
        }
        return before;
    }
  }

  private void readLiterals(byte[] buffer, int to, int most) throws IOException {
    int first = next(buffer, to);
    int type = first & 3;
    int format = first >> 2 & 3;
    boolean coded = type >= 2;
    int bytes = coded ? 3 + Math.max(0, format - 1) : format == 1 ? 2 : format == 3 ? 3 : 1;
    long header = first;
    for (int i = 1; i < bytes; i++) {
      header |= (long) next(buffer, to) << 8 * i;
    }
    int width = bytes == 3 ? 10 : bytes == 4 ? 14 : 18;
    int size =
        coded ? (int) (header >> 4) & (1 << width) - 1 : (int) (header >> (bytes == 1 ? 3 : 4));
    int stored = coded ? (int) (header >> 4 + width) : type == 0 ? size : 1;
    if (size > most || stored > to - cursor) {
      throw damaged("literals that are longer than their block");
    }
    int end = cursor + stored;
    literals = decoded;
    literal = 0;
    literalEnd = size;
    switch (type) {
      case 0 -> {
        literals = buffer;
        literal = cursor;
        literalEnd = end;
      }
      case 1 -> Arrays.fill(decoded, 0, size, buffer[cursor]);
      default -> {
        Huffman code = tree;
        if (type == 2) {
          code = Huffman.read(buffer, cursor, end);
          cursor = code.end();
          tree = code;
        } else if (code == null) {
          throw damaged("a Huffman tree is repeated that was not given");
        }
        if (format == 0) {
          code.decode(buffer, cursor, end, decoded, 0, size);
        } else {
          decodeFour(code, buffer, end, size);
        }
      }
    }
    cursor = end;
  }

  /** Decodes four streams; the first three state their length. */
  private void decodeFour(Huffman tree, byte[] buffer, int end, int size) throws IOException {
    int[] starts = new int[5];
    starts[0] = cursor + 6;
    for (int s = 0; s < 3; s++) {
      starts[s + 1] = starts[s] + next(buffer, end) + (next(buffer, end) << 8);
    }
    starts[4] = end;
    int each = (size + 3) / 4;
    if (starts[3] > end || 3 * each > size) {
      throw damaged("four streams of literals that are longer than their block");
    }
    for (int s = 0; s < 4; s++) {
      int from = s * each;
      tree.decode(buffer, starts[s], starts[s + 1], decoded, from, s == 3 ? size : from + each);
    }
  }

  /** Executes the sequences; returns where their output ends. */
  private int execute(Tables tables, int count, byte[] buffer, int to, int start, int limit)
      throws IOException {
    int from = cursor;
    long[] literalEntries = tables.literals.entries;
    long[] matchEntries = tables.matches.entries;
    long[] offsetEntries = tables.offsets.entries;
    byte[] out = window.array();
    byte[] literals = this.literals;
    int literal = this.literal;
    int at = start;
    long left = ZstdEntropy.length(buffer, from, to);
    int logs = tables.literals.log + tables.offsets.log + tables.matches.log;
    if (left < logs) {
      throw damaged("sequences that are cut short");
    }
    long word = ZstdEntropy.bits(buffer, from, left);
    int literalState = top(word, tables.literals.log);
    word <<= tables.literals.log;
    int offsetState = top(word, tables.offsets.log);
    word <<= tables.offsets.log;
    int matchState = top(word, tables.matches.log);
    left -= logs;

    for (int i = count; i > 0; i--) {
      long literalEntry = literalEntries[literalState];
      long matchEntry = matchEntries[matchState];
      long offsetEntry = offsetEntries[offsetState];
      int offsetBits = Entry.extra(offsetEntry);
      int matchBits = Entry.extra(matchEntry);
      int literalBits = Entry.extra(literalEntry);
      int stateBits =
          i == 1 ? 0 : Entry.bits(literalEntry) + Entry.bits(matchEntry) + Entry.bits(offsetEntry);
      int bits = offsetBits + matchBits + literalBits + stateBits;
      if (left < bits) {
        throw damaged("sequences that are cut short");
      }
      word = ZstdEntropy.bits(buffer, from, left);
      long code = (Entry.value(offsetEntry) & 0xFFFF_FFFFL) + top(word, offsetBits);
      word = bits > 56 ? ZstdEntropy.bits(buffer, from, left - offsetBits) : word << offsetBits;
      int match = Entry.value(matchEntry) + top(word, matchBits);
      word <<= matchBits;
      int literalCount = Entry.value(literalEntry) + top(word, literalBits);
      word <<= literalBits;
      left -= bits;
      if (i > 1) {
        word = bits > 56 ? ZstdEntropy.bits(buffer, from, left + stateBits) : word;
        literalState = Entry.next(literalEntry) + top(word, Entry.bits(literalEntry));
        word <<= Entry.bits(literalEntry);
        matchState = Entry.next(matchEntry) + top(word, Entry.bits(matchEntry));
        word <<= Entry.bits(matchEntry);
        offsetState = Entry.next(offsetEntry) + top(word, Entry.bits(offsetEntry));
      }

      long offset = offset(code, literalCount);
      if (literalCount > literalEnd - literal || literalCount + match > limit - at) {
        throw damaged("sequences that are longer than their block");
      }
      if (literalCount <= SHORT) {
        for (int k = 0; k < literalCount; k += 8) {
          LONG.set(out, at + k, (long) LONG.get(literals, literal + k));
        }
      } else {
        System.arraycopy(literals, literal, out, at, literalCount);
      }
      literal += literalCount;
      at += literalCount;
      if (offset > window.reach(at)) {
        throw damaged("an offset of " + offset + " bytes before the start of the window");
      }
      if (offset > at) {
        window.copyFar(offset, at, match);
      } else {
        copy(out, at - (int) offset, at, match);
      }
      at += match;
    }
    if (left != 0) {
      throw damaged("sequences that leave bits");
    }
    this.literal = literal;
    return at;
  }

  /** Returns the top {@code n} bits, 0 to 31. */
  private static int top(long word, int n) {
    return (int) (word >>> 1 >>> 63 - n);
  }

  /** Resolves an offset code: one of the last three offsets, or a new one. */
  private long offset(long code, int literalCount) throws IOException {
    if (code > 3) {
      offset3 = offset2;
      offset2 = offset1;
      offset1 = code - 3;
      return offset1;
    }
    int which = (int) code - (literalCount == 0 ? 0 : 1);
    if (which == 0) {
      return offset1;
    }
    long offset = which == 1 ? offset2 : which == 2 ? offset3 : offset1 - 1;
    if (offset == 0) {
      throw damaged("an offset of 0 bytes");
    }
    offset3 = which == 1 ? offset3 : offset2;
    offset2 = offset1;
    offset1 = offset;
    return offset;
  }

  /** Copies within the array; source and target may overlap. */
  private static void copy(byte[] out, int from, int at, int n) {
    int distance = at - from;
    if (distance < 8) {
      // Once a few periods are there, whole periods of eight bytes or more are copied.
      int periods = distance * Math.ceilDiv(8, distance);
      int head = Math.min(n, periods);
      for (int k = 0; k < head; k++) {
        out[at + k] = out[from + k];
      }
      for (int k = head; k < n; k += 8) {
        LONG.set(out, at + k, (long) LONG.get(out, at + k - periods));
      }
    } else if (n <= SHORT || n > distance) {
      for (int k = 0; k < n; k += 8) {
        LONG.set(out, at + k, (long) LONG.get(out, from + k));
      }
    } else {
      System.arraycopy(out, from, out, at, n);
    }
  }
}
