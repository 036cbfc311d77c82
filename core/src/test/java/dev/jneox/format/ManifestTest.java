package dev.jneox.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ManifestTest {
  @TempDir Path folder;
  private Path manifest;

  @BeforeEach
  void write() throws IOException {
    manifest = folder.resolve("manifest.crc32c");
    Files.createDirectories(folder.resolve("configs"));
    // The check value of CRC-32C is E3069283.
    Files.writeString(folder.resolve("check.txt"), "123456789");
    Files.writeString(folder.resolve("configs/größe \\ a\nb.yml"), "");
    byte[] large = new byte[(1 << 20) + 17];
    new Random(1).nextBytes(large);
    Files.write(folder.resolve("model.safetensors"), large);
    Manifest.write(folder, 7);
  }

  @Test
  void itIsTextWithALinePerFile() throws IOException {
    String text = Files.readString(manifest);
    assertThat(text)
        .startsWith(
            "jneox-manifest 1 save 7\n"
                + "e3069283 9 check.txt\n"
                + "00000000 0 configs/größe \\\\ a\\n"
                + "b.yml\n");
    assertThat(text.lines()).hasSize(5).last().asString().matches("[0-9a-f]{8}");
    assertThat(Manifest.read(folder).files())
        .containsOnlyKeys("check.txt", "configs/größe \\ a\nb.yml", "model.safetensors");
    assertThat(Manifest.save(folder)).isEqualTo(7);
    Manifest.verify(folder);
  }

  @Test
  void anyNameOfARecipeIsRead() throws IOException {
    for (String name : new String[] {"a\u2028b.yml", "a\u0085b.yml", "a\rb.yml", " .yml"}) {
      Files.writeString(folder.resolve("configs").resolve(name), name);
    }
    Manifest.write(folder, 8);
    assertThat(Manifest.read(folder).files()).hasSize(7).containsKey("configs/a\u2028b.yml");
    Manifest.verify(folder);
  }

  @Tag("slow")
  @Test
  void everyFlippedBitOfAFileIsNamed() throws IOException {
    Random random = new Random(2);
    for (String name : new String[] {"check.txt", "model.safetensors"}) {
      Path file = folder.resolve(name);
      byte[] bytes = Files.readAllBytes(file);
      for (int round = 0; round < 72; round++) {
        int bit = name.equals("check.txt") ? round : random.nextInt(8 * bytes.length);
        Files.write(file, flipped(bytes, bit));
        assertThatThrownBy(() -> Manifest.verify(folder))
            .isInstanceOf(InputException.class)
            .hasMessageStartingWith(file + ": damaged: expected CRC-32C ");
      }
      Files.write(file, bytes);
    }
    Manifest.verify(folder);
  }

  @Tag("slow")
  @Test
  void everyFlippedBitOfTheManifestIsFound() throws IOException {
    byte[] bytes = Files.readAllBytes(manifest);
    for (int bit = 0; bit < 8 * bytes.length; bit++) {
      Files.write(manifest, flipped(bytes, bit));
      assertThatThrownBy(() -> Manifest.verify(folder))
          .as("bit " + bit)
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(manifest + ": damaged: ");
      assertThat(Manifest.save(folder)).isZero();
    }
  }

  @Test
  void everyTruncationOfTheManifestIsFound() throws IOException {
    byte[] bytes = Files.readAllBytes(manifest);
    for (int length = 0; length < bytes.length; length++) {
      Files.write(manifest, java.util.Arrays.copyOf(bytes, length));
      assertThatThrownBy(() -> Manifest.verify(folder))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(manifest.toString());
    }
  }

  @Test
  void aMissingShorterOrLongerFileIsNamed() throws IOException {
    Path check = folder.resolve("check.txt");
    Files.writeString(check, "12345678");
    assertThatThrownBy(() -> Manifest.verify(folder))
        .hasMessage(check + ": damaged: expected 9 bytes, found 8");
    Files.writeString(check, "1234567890");
    assertThatThrownBy(() -> Manifest.verify(folder))
        .hasMessage(check + ": damaged: expected 9 bytes, found 10");
    Files.delete(check);
    assertThatThrownBy(() -> Manifest.verify(folder))
        .hasMessage(check + ": is missing: manifest.crc32c lists it");
    Files.delete(folder.resolve("model.safetensors"));
    assertThat(Manifest.read(folder).problems(folder)).hasSize(2);
    Files.delete(manifest);
    assertThatThrownBy(() -> Manifest.verify(folder))
        .hasMessage(manifest + ": is missing, so the checkpoint cannot be verified");
  }

  /**
   * A user's notes and checksums do no harm, but a second set of weights could be read instead of
   * the first.
   */
  @Test
  void ofFilesThatAreNotListedOnlyWeightsAreRefused() throws IOException {
    Files.writeString(folder.resolve("SHA256SUMS"), "");
    Manifest.verify(folder);
    Path extra = Files.writeString(folder.resolve("model.safetensors.index.json"), "{}");
    assertThatThrownBy(() -> Manifest.verify(folder))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(extra + ": is not of this checkpoint");
  }

  @Test
  void aNameWithABrokenEscapeIsNamed() throws IOException {
    java.util.zip.CRC32C crc = new java.util.zip.CRC32C();
    String lines = "jneox-manifest 1 save 7\n00000000 1 a\\q\n";
    crc.update(lines.getBytes(StandardCharsets.UTF_8));
    Files.writeString(manifest, lines + "%08x\n".formatted(crc.getValue()));
    assertThatThrownBy(() -> Manifest.read(folder))
        .hasMessage(manifest + ": line 2: expected the name of a file, found \"a\\q\"");
  }

  @Test
  void aLaterVersionIsNamed() throws IOException {
    java.util.zip.CRC32C crc = new java.util.zip.CRC32C();
    String lines = "jneox-manifest 2 save 7\n";
    crc.update(lines.getBytes(StandardCharsets.UTF_8));
    Files.writeString(manifest, lines + "%08x\n".formatted(crc.getValue()));
    assertThatThrownBy(() -> Manifest.read(folder))
        .hasMessage(
            manifest + ": line 1: expected jneox-manifest 1 save N, found jneox-manifest 2 save 7");
  }

  private static byte[] flipped(byte[] bytes, int bit) {
    byte[] damaged = bytes.clone();
    damaged[bit / 8] ^= (byte) (1 << bit % 8);
    return damaged;
  }
}
