package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventFileTest {
  @TempDir Path dir;

  @Test
  void aReaderOfTheFormatFindsWhatWasWritten() throws IOException {
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("train/lm_loss", 2.5);
    values.put("größe", Double.NaN);
    Path path;
    double before = System.currentTimeMillis() / 1000.0;
    try (EventFile file = EventFile.create(dir.resolve("tb"), 3)) {
      file.write(3, values);
      file.write(1L << 40, Map.of("train/lm_loss", -1e-3));
      path = file.path();
    }
    assertThat(path.getFileName().toString())
        .matches("events\\.out\\.tfevents\\.\\d{10}\\.jneox\\.\\d+\\.0");
    List<Map<Integer, Object>> events = read(Files.readAllBytes(path));
    assertThat(events).hasSize(4);
    assertThat((double) events.get(2).get(1)).isBetween(before, before + 60);
    assertThat(events).extracting(e -> e.get(2)).containsExactly(0L, 3L, 3L, 1L << 40);
    assertThat(new String((byte[]) events.get(0).get(3), StandardCharsets.UTF_8))
        .isEqualTo("brain.Event:2");
    assertThat(fields((byte[]) events.get(1).get(7))).containsEntry(1, 1L);
    assertThat(scalars(events.get(2)))
        .containsExactly(Map.entry("train/lm_loss", 2.5f), Map.entry("größe", Float.NaN));
    assertThat(scalars(events.get(3))).containsExactly(Map.entry("train/lm_loss", -1e-3f));
  }

  @Test
  void eachRecordIsInTheFileWhenTheCallReturns() throws IOException {
    try (EventFile file = EventFile.create(dir, 1)) {
      file.write(1, Map.of("a", 1.0));
      assertThat(read(Files.readAllBytes(file.path()))).hasSize(3);
    }
  }

  @Test
  void aResumedRunAddsAFile() throws IOException {
    EventFile.create(dir, 1).close();
    EventFile.create(dir, 1).close();
    try (var files = Files.list(dir)) {
      assertThat(files).hasSize(2);
    }
  }

  /** TensorBoard reads files in the order of their names. */
  @Test
  void aResumedRunsFileIsTheLastAlsoWhereTheClockWentBack() throws IOException {
    long later = System.currentTimeMillis() / 1000 + 100_000;
    Files.createFile(dir.resolve("events.out.tfevents." + later + ".host.9.0"));
    List<String> names = new ArrayList<>();
    for (int i = 1; i <= 3; i++) {
      try (EventFile file = EventFile.create(dir, i)) {
        file.write(i, Map.of("a", 1.0));
        names.add(file.path().getFileName().toString());
        assertThat(read(Files.readAllBytes(file.path())))
            .allSatisfy(event -> assertThat((double) event.get(1)).isGreaterThan(later));
      }
    }
    assertThat(names)
        .isSorted()
        .allSatisfy(name -> assertThat(name).isGreaterThan("events.out.tfevents." + later + "."));
  }

  @Test
  void aFolderThatCannotBeIsNamed() throws IOException {
    Path file = Files.writeString(dir.resolve("file"), "");
    assertThatThrownBy(() -> EventFile.create(file, 1))
        .isInstanceOf(StorageException.class)
        .hasMessageStartingWith(file + ": cannot be written");
  }

  /** CRC-32C bit by bit (polynomial 0x1EDC6F41, reflected), masked as TFRecord says. */
  private static int maskedCrc(byte[] data, int from, int length) {
    int crc = ~0;
    for (int i = from; i < from + length; i++) {
      crc ^= data[i] & 0xff;
      for (int bit = 0; bit < 8; bit++) {
        crc = (crc & 1) != 0 ? crc >>> 1 ^ 0x82f63b78 : crc >>> 1;
      }
    }
    crc = ~crc;
    return ((crc >>> 15) | (crc << 17)) + 0xa282ead8;
  }

  private static List<Map<Integer, Object>> read(byte[] file) {
    ByteBuffer in = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    List<Map<Integer, Object>> events = new ArrayList<>();
    while (in.hasRemaining()) {
      int at = in.position();
      byte[] data = new byte[Math.toIntExact(in.getLong())];
      assertThat(in.getInt()).isEqualTo(maskedCrc(file, at, 8));
      in.get(data);
      assertThat(in.getInt()).isEqualTo(maskedCrc(file, at + 12, data.length));
      Map<Integer, Object> event = fields(data);
      event.putIfAbsent(2, 0L);
      events.add(event);
    }
    return events;
  }

  /** Fields of a message without repeated ones. */
  private static Map<Integer, Object> fields(byte[] message) {
    Map<Integer, Object> fields = new TreeMap<>();
    ByteBuffer in = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
    while (in.hasRemaining()) {
      int tag = in.get();
      fields.put(tag >> 3, field(in, tag & 7));
    }
    return fields;
  }

  private static Object field(ByteBuffer in, int type) {
    return switch (type) {
      case 0 -> varint(in);
      case 1 -> in.getDouble();
      case 2 -> {
        byte[] bytes = new byte[(int) varint(in)];
        in.get(bytes);
        yield bytes;
      }
      case 5 -> in.getFloat();
      default -> throw new AssertionError("wire type " + type);
    };
  }

  private static long varint(ByteBuffer in) {
    long value = 0;
    for (int shift = 0; ; shift += 7) {
      byte b = in.get();
      value |= (long) (b & 0x7f) << shift;
      if (b >= 0) {
        return value;
      }
    }
  }

  private static List<Map.Entry<String, Float>> scalars(Map<Integer, Object> event) {
    List<Map.Entry<String, Float>> scalars = new ArrayList<>();
    ByteBuffer summary = ByteBuffer.wrap((byte[]) event.get(5)).order(ByteOrder.LITTLE_ENDIAN);
    while (summary.hasRemaining()) {
      assertThat(summary.get()).isEqualTo((byte) (1 << 3 | 2));
      Map<Integer, Object> value = fields((byte[]) field(summary, 2));
      scalars.add(
          Map.entry(
              new String((byte[]) value.get(1), StandardCharsets.UTF_8), (Float) value.get(2)));
    }
    return scalars;
  }
}
