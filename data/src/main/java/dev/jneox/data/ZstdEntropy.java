package dev.jneox.data;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Reads the two entropy codes of zstd (RFC 8878, section 4): tables of finite state entropy (FSE)
 * and Huffman trees with the streams they code.
 *
 * <p>Coded streams are read backwards, from the highest set bit of their last byte. A stream is
 * addressed by the number of bits that are left; {@link #bits} gives the next ones. Buffers have
 * {@link #SLACK} bytes before and behind a stream, so that eight bytes can be loaded anywhere.
 */
final class ZstdEntropy {
  /** Bytes that must be readable before and behind a stream. */
  static final int SLACK = 8;

  /** The least bits that one load gives. */
  private static final int LOADED = 56;

  static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private static final int MOST_HUFFMAN_BITS = 11;
  private static final int MOST_WEIGHTS = 255;
  private static final int MOST_WEIGHT_LOG = 6;

  private ZstdEntropy() {}

  static IOException damaged(String what) {
    return new IOException("damaged zstd data: " + what);
  }

  /** Returns the bits of the stream {@code buffer[from..to)}, without the mark at its end. */
  static long length(byte[] buffer, int from, int to) throws IOException {
    if (from >= to || buffer[to - 1] == 0) {
      throw damaged("a coded stream without its end mark");
    }
    return 8L * (to - from) - Integer.numberOfLeadingZeros(buffer[to - 1] & 0xFF) + 23;
  }

  /**
   * Returns the next bits of a stream at the top of a long, at least 56 of them.
   *
   * @param from where the stream begins
   * @param left bits that are left, at least 0
   */
  static long bits(byte[] buffer, int from, long left) {
    return (long) LONG.get(buffer, from + (int) (left >>> 3) - 7) << 8 - (int) (left & 7);
  }

  /** Holds the shares of the symbols of an FSE table; -1 means less than one. */
  record Shares(int log, short[] shares, int end) {
    /**
     * Reads the description of a table.
     *
     * @param most largest symbol
     * @param mostLog largest logarithm of the table's size
     */
    static Shares read(byte[] buffer, int from, int to, int most, int mostLog) throws IOException {
      if (from >= to) {
        throw damaged("a table without its description");
      }
      int log = (buffer[from] & 15) + 5;
      if (log > mostLog) {
        throw damaged("a table of 2^" + log + " states, more than 2^" + mostLog);
      }
      short[] shares = new short[most + 1];
      int symbol = 0;
      int left = 1 << log;
      long bit = 4;
      while (left > 0) {
        if (symbol > most) {
          throw damaged("a table of more than " + (most + 1) + " symbols");
        }
        // A value of 0 to left + 1; the small ones take one bit less.
        int width = 32 - Integer.numberOfLeadingZeros(left + 1);
        int word = forward(buffer, from, to, bit);
        int small = (1 << width) - 1 - (left + 1);
        int value = word & (1 << width - 1) - 1;
        if (value < small) {
          bit += width - 1;
        } else {
          value = word & (1 << width) - 1;
          value -= value >= 1 << width - 1 ? small : 0;
          bit += width;
        }
        int share = value - 1;
        left -= Math.abs(share);
        shares[symbol++] = (short) share;
        if (share == 0) {
          int more;
          do {
            more = forward(buffer, from, to, bit) & 3;
            bit += 2;
            symbol += more;
          } while (more == 3 && symbol <= most);
        }
      }
      int end = from + (int) (bit + 7 >>> 3);
      if (left < 0 || end > to) {
        throw damaged("a table whose shares do not add up");
      }
      return new Shares(log, shares, end);
    }

    /** Returns the bits from {@code bit} on, at least 24 of them, zeros behind the end. */
    private static int forward(byte[] buffer, int from, int to, long bit) {
      int at = from + (int) (bit >>> 3);
      int word = 0;
      for (int i = 0; i < 4 && at + i < to; i++) {
        word |= (buffer[at + i] & 0xFF) << 8 * i;
      }
      return word >>> (int) (bit & 7);
    }

    /** Returns the symbol of each state; symbols with few states come last. */
    private byte[] spread() {
      int size = 1 << log;
      byte[] symbols = new byte[size];
      int high = size;
      for (int s = 0; s < shares.length; s++) {
        if (shares[s] == -1) {
          symbols[--high] = (byte) s;
        }
      }
      int step = (size >> 1) + (size >> 3) + 3;
      int at = 0;
      for (int s = 0; s < shares.length; s++) {
        for (int i = 0; i < shares[s]; i++) {
          symbols[at] = (byte) s;
          do {
            at = at + step & size - 1;
          } while (at >= high);
        }
      }
      return symbols;
    }

    /**
     * Makes a table of {@link Entry entries}, one for each state.
     *
     * @param values for each symbol the value it stands for
     * @param extra for each symbol the bits that are added to its value
     */
    long[] table(int[] values, byte[] extra) {
      byte[] symbols = spread();
      int[] next = new int[shares.length];
      for (int s = 0; s < next.length; s++) {
        next[s] = Math.abs(shares[s]);
      }
      long[] table = new long[symbols.length];
      for (int state = 0; state < table.length; state++) {
        int s = symbols[state] & 0xFF;
        int number = next[s]++;
        int bits = log - (31 - Integer.numberOfLeadingZeros(number));
        table[state] = Entry.of(values[s], extra[s], bits, (number << bits) - table.length);
      }
      return table;
    }
  }

  /** A state of an FSE table in a long: value, added bits, bits of the next state and its base. */
  static final class Entry {
    private Entry() {}

    /** Packs a state. */
    static long of(int value, int extra, int bits, int next) {
      return (long) value << 32 | (long) extra << 24 | (long) bits << 16 | next;
    }

    static int value(long entry) {
      return (int) (entry >>> 32);
    }

    static int extra(long entry) {
      return (int) (entry >>> 24) & 0xFF;
    }

    static int bits(long entry) {
      return (int) (entry >>> 16) & 0xFF;
    }

    static int next(long entry) {
      return (int) entry & 0xFFFF;
    }
  }

  /**
   * A Huffman code.
   *
   * @param log bits of the longest code
   * @param table for each {@code log} next bits the symbol (shifted by 8) and the bits it takes
   * @param end where the description ended
   */
  record Huffman(int log, short[] table, int end) {
    private static final int[] SYMBOLS = new int[MOST_WEIGHTS];

    static {
      Arrays.setAll(SYMBOLS, s -> s);
    }

    /** Reads the description of a tree. */
    static Huffman read(byte[] buffer, int from, int to) throws IOException {
      if (from >= to) {
        throw damaged("literals without their Huffman tree");
      }
      byte[] weights = new byte[MOST_WEIGHTS + 1];
      int header = buffer[from] & 0xFF;
      int count;
      int end;
      if (header < 128) {
        end = from + 1 + header;
        count = end > to ? 0 : codedWeights(buffer, from + 1, end, weights);
      } else {
        count = header - 127;
        end = from + 1 + (count + 1) / 2;
        for (int i = 0; i < count && end <= to; i++) {
          weights[i] = (byte) (buffer[from + 1 + i / 2] >> 4 * (1 - i % 2) & 15);
        }
      }
      if (end > to) {
        throw damaged("a Huffman tree that is cut short");
      }
      return of(weights, count, end);
    }

    /** Decodes the weights of the symbols, which two FSE states give alternately. */
    private static int codedWeights(byte[] buffer, int from, int to, byte[] weights)
        throws IOException {
      Shares shares = Shares.read(buffer, from, to, MOST_HUFFMAN_BITS + 1, MOST_WEIGHT_LOG);
      long[] table = shares.table(SYMBOLS, new byte[MOST_WEIGHTS]);
      int start = shares.end;
      long left = length(buffer, start, to) - 2L * shares.log;
      if (left < 0) {
        throw damaged("a Huffman tree that is cut short");
      }
      long word = bits(buffer, start, left + 2L * shares.log);
      int state = (int) (word >>> 64 - shares.log);
      int other = (int) (word << shares.log >>> 64 - shares.log);
      for (int count = 0; count + 2 <= MOST_WEIGHTS; ) {
        long entry = table[state];
        weights[count++] = (byte) Entry.value(entry);
        int width = Entry.bits(entry);
        if (left < width) {
          weights[count++] = (byte) Entry.value(table[other]);
          return count;
        }
        state = other;
        other = Entry.next(entry);
        if (width > 0) {
          other += (int) (bits(buffer, start, left) >>> 64 - width);
          left -= width;
        }
      }
      throw damaged("a Huffman tree of more than " + MOST_WEIGHTS + " weights");
    }

    /** Builds a code. The last symbol gets the weight that completes the sum. */
    private static Huffman of(byte[] weights, int count, int end) throws IOException {
      int[] ranks = new int[MOST_HUFFMAN_BITS + 2];
      int sum = 0;
      for (int i = 0; i < count; i++) {
        if (weights[i] > MOST_HUFFMAN_BITS) {
          throw damaged("a Huffman code of more than " + MOST_HUFFMAN_BITS + " bits");
        }
        sum += 1 << weights[i] >> 1;
        ranks[weights[i]]++;
      }
      int log = 32 - Integer.numberOfLeadingZeros(sum);
      int left = (1 << log) - sum;
      if (sum == 0 || log > MOST_HUFFMAN_BITS || Integer.bitCount(left) != 1) {
        throw damaged("a Huffman tree whose weights do not add up");
      }
      weights[count] = (byte) (32 - Integer.numberOfLeadingZeros(left));
      ranks[weights[count]]++;
      int start = 0;
      for (int weight = 1; weight <= log; weight++) {
        int next = start + (ranks[weight] << weight - 1);
        ranks[weight] = start;
        start = next;
      }
      short[] table = new short[1 << log];
      for (int s = 0; s <= count; s++) {
        int weight = weights[s];
        if (weight > 0) {
          int entries = 1 << weight - 1;
          short entry = (short) (s << 8 | log + 1 - weight);
          Arrays.fill(table, ranks[weight], ranks[weight] + entries, entry);
          ranks[weight] += entries;
        }
      }
      return new Huffman(log, table, end);
    }

    /** Decodes the whole stream {@code buffer[from..to)} to {@code target[at..end)}. */
    void decode(byte[] buffer, int from, int to, byte[] target, int at, int end)
        throws IOException {
      long left = length(buffer, from, to);
      int shift = 64 - log;
      int perLoad = LOADED / MOST_HUFFMAN_BITS;
      int i = at;
      for (; i + perLoad <= end && left >= 0; i += perLoad) {
        long word = bits(buffer, from, left);
        int taken = 0;
        for (int k = 0; k < perLoad; k++) {
          int entry = table[(int) (word >>> shift)];
          target[i + k] = (byte) (entry >> 8);
          word <<= entry; // by its low six bits, which are the length of the code
          taken += entry & 0xFF;
        }
        left -= taken;
      }
      for (; i < end && left >= 0; i++) {
        int entry = table[(int) (bits(buffer, from, left) >>> shift)];
        target[i] = (byte) (entry >> 8);
        left -= entry & 0xFF;
      }
      if (left != 0) {
        throw damaged("a Huffman stream of another length than its symbols");
      }
    }
  }
}
