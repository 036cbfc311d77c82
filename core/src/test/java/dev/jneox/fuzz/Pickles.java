package dev.jneox.fuzz;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** Changes the opcodes of pickles; the bytes after the last opcode stay. */
final class Pickles {
  private static final byte[][] WORDS = {
    bytes(']'),
    bytes('}'),
    bytes(')'),
    bytes('('),
    bytes('t'),
    bytes('u'),
    bytes('s'),
    bytes('a'),
    bytes('e'),
    bytes('R'),
    bytes('b'),
    bytes('Q'),
    bytes('2'),
    bytes('0'),
    bytes('1'),
    bytes('N'),
    bytes('K', 3),
    bytes('K', 0),
    bytes('h', 0),
    bytes('h', 1),
    bytes('q', 0),
    bytes('q', 1),
    bytes(0x85),
    bytes(0x86),
    bytes(0x87),
    bytes(0x88),
    bytes(0x89),
    bytes(0x8f),
    bytes(0x90),
    bytes(0x91),
    bytes(0x93),
    bytes(0x94),
    bytes(0x81),
    bytes(0x92),
    bytes('l'),
    bytes('d'),
    bytes('.'),
    bytes(0x8a, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0x7f),
    bytes(0x8a, 0),
    bytes('J', 0xff, 0xff, 0xff, 0xff),
    bytes('M', 0xff, 0xff),
    bytes('X', 0, 0, 0, 0),
    bytes('G', 0x7f, 0xf0, 0, 0, 0, 0, 0, 0),
    text("storage"),
    text("0"),
    text("key"),
    global("torch", "FloatStorage"),
    global("torch", "BFloat16Storage"),
    global("torch._utils", "_rebuild_tensor_v2"),
    global("torch._utils", "_rebuild_parameter"),
    global("collections", "OrderedDict"),
    global("torch", "Size"),
    global("torch", "device"),
    global("builtins", "set"),
    global("argparse", "Namespace"),
    global("os", "system")
  };

  private Pickles() {}

  static byte[] changed(byte[] whole, SplittableRandom random) {
    List<byte[]> opcodes = new ArrayList<>();
    int end = split(whole, opcodes);
    if (opcodes.isEmpty()) {
      return Bytes.changed(whole, whole, random);
    }
    for (int n = 1 + random.nextInt(random.nextInt(1, 6)); n > 0 && !opcodes.isEmpty(); n--) {
      int at = random.nextInt(opcodes.size());
      byte[] opcode = opcodes.get(at);
      switch (random.nextInt(8)) {
        case 0 -> opcodes.remove(at);
        case 1 -> opcodes.add(at, opcode);
        case 2 -> opcodes.add(at, WORDS[random.nextInt(WORDS.length)]);
        case 3 -> opcodes.set(at, WORDS[random.nextInt(WORDS.length)]);
        case 4 -> opcodes.add(at, opcodes.get(random.nextInt(opcodes.size())));
        case 5 -> {
          int other = random.nextInt(opcodes.size());
          opcodes.set(at, opcodes.get(other));
          opcodes.set(other, opcode);
        }
        default -> opcodes.set(at, argument(opcode, random));
      }
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    opcodes.forEach(out::writeBytes);
    out.write(whole, end, whole.length - end);
    return out.toByteArray();
  }

  private static byte[] argument(byte[] opcode, SplittableRandom random) {
    if (opcode.length <= 1) {
      return bytes(random.nextInt(256));
    }
    if (opcode[0] == 'X' && opcode.length >= 5 && random.nextBoolean()) { // unless changed before
      String text = new String(opcode, 5, opcode.length - 5, StandardCharsets.UTF_8);
      return text(Texts.changed(text, random));
    }
    int width = opcode.length > 8 ? 8 : opcode.length > 4 ? 4 : opcode.length > 2 ? 2 : 1;
    return random.nextBoolean()
        ? Bytes.withNumber(opcode, 1, width, random)
        : Bytes.changed(opcode, opcode, random);
  }

  /** Splits pickles, one after the other; returns where something else begins. */
  private static int split(byte[] whole, List<byte[]> opcodes) {
    int at = 0;
    while (at < whole.length && opcodes.size() < 100_000) {
      int next = at + length(whole, at);
      if (next <= at || next > whole.length) {
        break;
      }
      opcodes.add(Arrays.copyOfRange(whole, at, next));
      at = next;
      if (whole[at - 1] == '.' && at < whole.length && whole[at] != (byte) 0x80) {
        break;
      }
    }
    return at;
  }

  /** Bytes of an opcode with what it takes; 0 for one that is not known. */
  private static int length(byte[] in, int at) {
    ByteBuffer buffer = ByteBuffer.wrap(in).order(ByteOrder.LITTLE_ENDIAN);
    int room = in.length - at;
    return switch (in[at] & 0xff) {
      case 'K', 'h', 'q', 0x80, 0x82 -> 2;
      case 'M', 0x83 -> 3;
      case 'J', 'j', 'r', 0x84 -> 5;
      case 'G', 0x95 -> 9;
      case 'X', 'B', 'T' -> room < 5 ? 0 : sum(5, buffer.getInt(at + 1));
      case 0x8c, 'C', 'U' -> room < 2 ? 0 : 2 + (in[at + 1] & 0xff);
      case 0x8a -> room < 2 ? 0 : 2 + (in[at + 1] & 0xff);
      case 0x8d, 0x8e -> room < 9 ? 0 : sum(9, buffer.getLong(at + 1));
      case 'c' -> line(in, line(in, at)) - at;
      case 'I', 'L', 'F', 'S', 'V', 'g', 'p' -> line(in, at) - at;
      case ']',
          '}',
          ')',
          '(',
          't',
          'u',
          's',
          'a',
          'e',
          'R',
          'b',
          'Q',
          '2',
          '0',
          '1',
          'N',
          'l',
          'd',
          '.',
          'o',
          0x81,
          0x85,
          0x86,
          0x87,
          0x88,
          0x89,
          0x8f,
          0x90,
          0x91,
          0x92,
          0x93,
          0x94 ->
          1;
      default -> 0;
    };
  }

  private static int sum(int header, long length) {
    return length < 0 || length > 1 << 24 ? 0 : header + (int) length;
  }

  private static int line(byte[] in, int from) {
    int at = from;
    while (at < in.length && in[at] != '\n') {
      at++;
    }
    return at + 1;
  }

  private static byte[] text(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(5 + utf8.length).order(ByteOrder.LITTLE_ENDIAN);
    return out.put((byte) 'X').putInt(utf8.length).put(utf8).array();
  }

  private static byte[] global(String module, String name) {
    return ("c" + module + "\n" + name + "\n").getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] bytes(int... values) {
    byte[] all = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      all[i] = (byte) values[i];
    }
    return all;
  }
}
