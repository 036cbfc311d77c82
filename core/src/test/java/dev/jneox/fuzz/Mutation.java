package dev.jneox.fuzz;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Changes an input: mostly one of its files, by its form or as bytes. */
final class Mutation {
  private Mutation() {}

  /**
   * @param others inputs from which pieces may be taken
   */
  static Input of(Input whole, List<Input> others, SplittableRandom random) {
    Input changed = whole;
    for (int n = random.nextInt(8) == 0 ? 2 : 1; n > 0; n--) {
      List<String> names = new ArrayList<>(changed.files().keySet());
      if (names.isEmpty()) {
        return changed;
      }
      String name = names.get(random.nextInt(names.size()));
      byte[] bytes = changed.files().get(name);
      if (random.nextInt(64) == 0) {
        // Without a file, with an empty one, or with one in the place of another.
        changed =
            switch (random.nextInt(names.size() > 1 ? 3 : 1)) {
              case 2 -> changed.with(name, (byte[]) null);
              case 0 -> changed.with(name, new byte[0]);
              default ->
                  changed.with(name, changed.files().get(names.get(random.nextInt(names.size()))));
            };
        continue;
      }
      Input other = others.get(random.nextInt(others.size()));
      byte[] piece = other.files().getOrDefault(name, bytes);
      changed =
          changed.with(
              name,
              random.nextInt(4) == 0
                  ? Bytes.changed(bytes, piece, random)
                  : changed(name, bytes, piece, random));
    }
    return changed;
  }

  /** Changes content by what it is, which its name or its first bytes tell. */
  static byte[] changed(String name, byte[] bytes, byte[] other, SplittableRandom random) {
    if (name.endsWith(".json") || name.endsWith(".metadata")) {
      return Json.changed(bytes, random);
    }
    if (name.endsWith(".yml") || name.endsWith(".yaml")) {
      return Texts.changedYaml(bytes, random);
    }
    if (name.endsWith(".jsonl")) {
      return Texts.changedLines(bytes, random);
    }
    if (name.endsWith(".gz")) {
      return Archives.changedGzip(name.substring(0, name.length() - 3), bytes, other, random);
    }
    if (name.endsWith(".safetensors")) {
      return Binary.changedSafetensors(bytes, random);
    }
    if (name.endsWith(".gguf")) {
      return Binary.changedGguf(bytes, random);
    }
    if (Archives.isZip(bytes)) {
      return Archives.changedZip(bytes, random);
    }
    if (name.endsWith(".pkl") || name.endsWith(".pt") || name.endsWith(".bin") && isPickle(bytes)) {
      return Pickles.changed(bytes, random);
    }
    if (name.endsWith(".txt") || name.endsWith(".csv") || !name.contains(".")) {
      return Texts.changed(bytes, random);
    }
    return random.nextBoolean()
        ? Bytes.changedNumber(bytes, random)
        : Bytes.changed(bytes, other, random);
  }

  private static boolean isPickle(byte[] bytes) {
    return bytes.length > 1 && (bytes[0] & 0xff) == 0x80 && bytes[1] <= 5;
  }
}
