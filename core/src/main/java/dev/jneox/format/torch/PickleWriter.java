package dev.jneox.format.torch;

import dev.jneox.format.torch.TorchFileWriter.Declared;
import dev.jneox.weights.Dtype;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/**
 * Writes plain values and tensors as the pickle that {@code torch.save} would write (protocol 2),
 * so that {@code torch.load} reads it with {@code weights_only=True}. Storages get the keys 0, 1,
 * 2, ... in the order of the tensors.
 */
final class PickleWriter {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final List<Declared> tensors;

  private PickleWriter(List<Declared> tensors) {
    this.tensors = tensors;
  }

  /**
   * Pickles a value.
   *
   * @param value strings, numbers, booleans, null, lists, dictionaries with string keys, and {@link
   *     Declared} tensors
   * @param tensors receives every tensor in it, in order
   */
  static byte[] write(Object value, List<Declared> tensors) {
    PickleWriter writer = new PickleWriter(tensors);
    writer.bytes(0x80, 2);
    writer.value(value);
    writer.bytes('.');
    return writer.out.toByteArray();
  }

  private void value(Object value) {
    switch (value) {
      case null -> bytes('N');
      case Boolean truth -> bytes(truth ? 0x88 : 0x89);
      case Integer number -> number(number);
      case Long number -> number(number);
      case Double number -> {
        bytes('G');
        out.writeBytes(ByteBuffer.allocate(Double.BYTES).putDouble(number).array());
      }
      case String text -> text(text);
      case List<?> list -> {
        bytes(']', '(');
        list.forEach(this::value);
        bytes('e');
      }
      case Map<?, ?> map -> {
        bytes('}', '(');
        map.forEach(
            (key, item) -> {
              text((String) key);
              value(item);
            });
        bytes('u');
      }
      case Declared tensor -> tensor(tensor);
      default ->
          throw new IllegalArgumentException("cannot be pickled: " + value.getClass().getName());
    }
  }

  /** Writes {@code _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())}. */
  private void tensor(Declared tensor) {
    global("torch._utils", "_rebuild_tensor_v2");
    bytes('(');
    bytes('(');
    text("storage");
    global("torch", storageClass(tensor.dtype()));
    text(String.valueOf(tensors.size()));
    text("cpu");
    number(tensor.elements());
    bytes('t', 'Q');
    number(0);
    numbers(tensor.shape());
    numbers(tensor.strides());
    bytes(0x89);
    global("collections", "OrderedDict");
    bytes(')', 'R');
    bytes('t', 'R');
    tensors.add(tensor);
  }

  private static String storageClass(Dtype dtype) {
    return PickleValue.STORAGES.entrySet().stream()
        .filter(entry -> entry.getValue() == dtype)
        .findAny()
        .orElseThrow(() -> new IllegalArgumentException("torch.save has no storage for " + dtype))
        .getKey();
  }

  private void numbers(List<Long> items) {
    bytes('(');
    items.forEach(this::number);
    bytes('t');
  }

  private void global(String module, String name) {
    bytes('c');
    out.writeBytes((module + "\n" + name + "\n").getBytes(StandardCharsets.US_ASCII));
  }

  private void text(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    bytes('X');
    little(utf8.length, Integer.BYTES);
    out.writeBytes(utf8);
  }

  private void number(long number) {
    if (number >= 0 && number < 256) {
      bytes('K', (int) number);
    } else if (number == (int) number) {
      bytes('J');
      little(number, Integer.BYTES);
    } else {
      bytes(0x8a, Long.BYTES);
      little(number, Long.BYTES);
    }
  }

  private void little(long number, int width) {
    out.write(
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(number).array(),
        0,
        width);
  }

  private void bytes(int... all) {
    for (int b : all) {
      out.write(b);
    }
  }
}
