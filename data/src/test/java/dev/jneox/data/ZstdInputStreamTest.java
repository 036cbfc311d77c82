package dev.jneox.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Compares with the reference implementation, which zstd-jni brings. */
@Tag("slow")
@net.jqwik.api.Tag("slow")
class ZstdInputStreamTest {
  private static final HexFormat HEX = HexFormat.of();

  /** Bytes of several kinds behind each other: noise, runs, few symbols, earlier ones again. */
  private static byte[] content(Random random, int size) {
    byte[] bytes = new byte[size];
    for (int at = 0; at < size; ) {
      int n = Math.min(size - at, 1 + random.nextInt(1 << random.nextInt(17)));
      int kind = random.nextInt(at == 0 ? 3 : 5);
      int symbols = 1 + random.nextInt(1 << random.nextInt(9));
      int from = kind < 3 ? 0 : random.nextInt(at);
      byte run = (byte) random.nextInt();
      for (int i = at; i < at + n; i++) {
        bytes[i] =
            switch (kind) {
              case 0 -> run;
              case 1 -> (byte) random.nextInt(symbols);
              case 2 -> (byte) (random.nextGaussian() * symbols / 4);
              default -> bytes[from + i - at];
            };
      }
      at += n;
    }
    return bytes;
  }

  private static byte[] compress(byte[] content, int level, int windowLog, boolean checksum)
      throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZstdOutputStream out = new ZstdOutputStream(bytes, level)) {
      out.setChecksum(checksum);
      if (windowLog > 0) {
        out.setLong(windowLog);
      }
      out.write(content);
    }
    return bytes.toByteArray();
  }

  private static byte[] decompress(byte[] compressed) throws IOException {
    try (InputStream in = new ZstdInputStream(new ByteArrayInputStream(compressed))) {
      return in.readAllBytes();
    }
  }

  private static byte[] reference(byte[] compressed) throws IOException {
    InputStream bytes = new ByteArrayInputStream(compressed);
    try (var in = new com.github.luben.zstd.ZstdInputStream(bytes).setLongMax(31)) {
      return in.readAllBytes();
    }
  }

  @Property(tries = 150)
  void givesBackWhatTheReferenceCompressed(
      @ForAll long seed,
      @ForAll @IntRange(max = 700_000) int size,
      @ForAll @IntRange(min = -3, max = 19) int level,
      @ForAll @IntRange(min = 9, max = 25) int windowLog,
      @ForAll boolean checksum)
      throws IOException {
    byte[] content = content(new Random(seed), size);
    int log = windowLog == 9 ? 0 : windowLog;
    assertThat(decompress(compress(content, level, log, checksum))).isEqualTo(content);
    // With its size in the header, and no window.
    assertThat(decompress(Zstd.compress(content, level))).isEqualTo(content);
  }

  @Property(tries = 100)
  void readsFramesBehindEachOtherInPieces(
      @ForAll long seed, @ForAll @IntRange(max = 5) int frames, @ForAll boolean skippable)
      throws IOException {
    Random random = new Random(seed);
    ByteArrayOutputStream expected = new ByteArrayOutputStream();
    ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    for (int frame = 0; frame < frames; frame++) {
      byte[] content = content(random, random.nextInt(1 << random.nextInt(19)));
      expected.write(content);
      int log = random.nextBoolean() ? 0 : 10 + random.nextInt(15);
      compressed.write(compress(content, random.nextInt(12), log, random.nextBoolean()));
      if (skippable) {
        int n = random.nextInt(300);
        compressed.write(HEX.parseHex("5" + random.nextInt(10) + "2a4d18"));
        compressed.write(new byte[] {(byte) n, (byte) (n >> 8), 0, 0});
        compressed.write(new byte[n]);
      }
    }
    ByteArrayOutputStream found = new ByteArrayOutputStream();
    byte[] piece = new byte[1 + random.nextInt(5000)];
    try (InputStream in = new ZstdInputStream(new ByteArrayInputStream(compressed.toByteArray()))) {
      for (int n = in.read(piece); n >= 0; n = in.read(piece)) {
        found.write(piece, 0, n);
        int b = in.read();
        if (b >= 0) {
          found.write(b);
        }
      }
      assertThat(in.read()).isEqualTo(-1);
    }
    assertThat(found.toByteArray()).isEqualTo(expected.toByteArray());
  }

  /** Matches from before the array, in a ring of pages that goes round. */
  @ParameterizedTest
  @CsvSource({"24,6", "25,12", "27,13", "31,13"})
  void reachesFarBack(int windowLog, int megabytes) throws IOException {
    Random random = new Random(windowLog);
    byte[] pattern = new byte[megabytes * 1_000_003];
    random.nextBytes(pattern);
    byte[] content = new byte[5 * pattern.length];
    for (int copy = 0; copy < 5; copy++) {
      System.arraycopy(pattern, 0, content, copy * pattern.length, pattern.length);
      for (int i = 0; i < 1000; i++) {
        content[copy * pattern.length + random.nextInt(pattern.length)]++;
      }
    }
    byte[] compressed = compress(content, 1, Math.min(27, windowLog), true);
    compressed[5] = (byte) (windowLog - 10 << 3); // as if the window had been larger
    assertThat(compressed.length).as("long matches").isLessThan(2 * pattern.length);
    assertThat(Arrays.mismatch(decompress(compressed), content)).isEqualTo(-1);
  }

  @Test
  void saysThatAFileIsCutWhereverItIs() throws IOException {
    byte[] content = content(new Random(3), 3000);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.write(HEX.parseHex("502a4d180300000001020304".substring(0, 22)));
    bytes.write(compress(content, 3, 0, true));
    byte[] whole = bytes.toByteArray();
    assertThat(decompress(whole)).isEqualTo(content);
    for (int cut = 1; cut < whole.length; cut++) {
      byte[] head = Arrays.copyOf(whole, cut);
      if (cut == 11) {
        assertThat(decompress(head)).isEmpty(); // between two frames
      } else {
        assertThatThrownBy(() -> decompress(head))
            .isInstanceOf(IOException.class)
            .hasMessage("the file ends within a zstd frame");
      }
    }
    assertThat(decompress(new byte[0])).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "00000000|damaged zstd data: a frame begins with 0x00000000 instead of 0xfd2fb528",
        "28b52ffd00b0010000|zstd frame with a window of 4294967296 bytes: expected at most 2^31",
        "28b52ffd00a9010000|zstd frame with a window of 2415919104 bytes: expected at most 2^31",
        "28b52ffde0ffffffffffffffff|zstd frame with a window of 18446744073709551615 bytes",
        "28b52ffd210700010000|zstd frame that needs dictionary 7: compress it without one",
        "28b52ffd0800010000|damaged zstd data: a reserved bit of a frame's header is set",
        "28b52ffd2002010000|damaged zstd data: a frame of 0 bytes that says it has 2",
        "28b52ffd0000070000|damaged zstd data: a block of a reserved type",
        "28b52ffd0000012800|damaged zstd data: a block of 1280 bytes, more than 1024",
      })
  void namesWhatIsWrong(String hex, String message) {
    assertThatThrownBy(() -> decompress(HEX.parseHex(hex)))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith(message);
  }

  @Test
  void readsTheSmallestFrames() throws IOException {
    assertThat(decompress(HEX.parseHex("28b52ffd0000010000"))).isEmpty();
    assertThat(decompress(HEX.parseHex("28b52ffd2000010000"))).isEmpty();
    assertThat(decompress(HEX.parseHex("28b52ffd00a8010000"))).isEmpty(); // a window of 2^31
    assertThat(decompress(HEX.parseHex("28b52ffd0000130000" + "61"))).isEqualTo("aa".getBytes());
  }

  /** Damage ends in an IOException, or is read as the reference reads it. */
  @Property(tries = 3000)
  void agreesWithTheReferenceOnDamagedData(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 3) int changes, @ForAll boolean checksum)
      throws IOException {
    Random random = new Random(seed);
    byte[] content = content(random, random.nextInt(1 << random.nextInt(15)));
    byte[] compressed = compress(content, random.nextInt(15), 0, checksum);
    for (int i = 0; i < changes; i++) {
      // The window stays: the reference would allocate it.
      compressed[6 + random.nextInt(compressed.length - 6)] ^= (byte) (1 << random.nextInt(8));
    }
    byte[] expected = null;
    try {
      expected = reference(compressed);
    } catch (IOException e) {
      // Expected is nothing.
    }
    byte[] found = null;
    try {
      found = decompress(compressed);
    } catch (IOException e) {
      assertThat(e.getMessage()).contains("zstd").doesNotContain("\n");
    }
    // Without a checksum, the reference lets some streams pass that do not end where they should.
    if (checksum || expected != null && found != null) {
      assertThat(Arrays.equals(found, expected)).isTrue();
    }
  }

  /** Values of the reference implementation of xxHash. */
  @ParameterizedTest
  @CsvSource({"'',ef46db3751d8e999", "a,d24ec4f1a98c6e5b", "abc,44bc2cf5ad770999"})
  void hashesAsXxh64(String text, String hash) {
    Xxh64 sum = new Xxh64();
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    sum.update(bytes, 0, bytes.length);
    assertThat(HexFormat.of().toHexDigits(sum.value())).isEqualTo(hash);
  }

  @Property(tries = 200)
  void hashesPiecesAsTheWhole(
      @ForAll byte[] bytes, @ForAll @IntRange(min = 1, max = 70) int piece) {
    Xxh64 whole = new Xxh64();
    whole.update(bytes, 0, bytes.length);
    Xxh64 pieces = new Xxh64();
    for (int at = 0; at < bytes.length; at += piece) {
      pieces.update(bytes, at, Math.min(bytes.length, at + piece));
    }
    assertThat(pieces.value()).isEqualTo(whole.value());
  }
}
