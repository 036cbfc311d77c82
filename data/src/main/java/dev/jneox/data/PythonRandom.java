package dev.jneox.data;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Draws what Python's {@code random.Random(seed)} draws, value for value, as CPython 3.11 and later
 * do: what other software sampled with a seed can be sampled again. Not for several threads.
 */
public final class PythonRandom {
  private final Mt19937 words;

  /** Seeds as {@code Random(seed)} does with an integer. */
  public PythonRandom(long seed) {
    // Of an integer the magnitude counts; as an unsigned number that of Long.MIN_VALUE is right.
    long magnitude = Math.abs(seed);
    int low = (int) magnitude;
    int high = (int) (magnitude >>> 32);
    words = new Mt19937(high == 0 ? new int[] {low} : new int[] {low, high});
  }

  /** Seeds as {@code Random(seed)} does with a text. */
  public PythonRandom(String seed) {
    byte[] text = seed.getBytes(StandardCharsets.UTF_8);
    byte[] digest;
    try {
      digest = MessageDigest.getInstance("SHA-512").digest(text);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
    byte[] number = Arrays.copyOf(text, text.length + digest.length);
    System.arraycopy(digest, 0, number, text.length, digest.length);
    // The bytes are a number, the first byte the highest; the words of the key the lowest first.
    int[] key = new int[Math.ceilDiv(number.length, 4)];
    for (int i = 0; i < number.length; i++) {
      int place = number.length - 1 - i;
      key[place / 4] |= (number[i] & 0xff) << 8 * (place % 4);
    }
    int length = key.length;
    while (length > 1 && key[length - 1] == 0) {
      length--;
    }
    words = new Mt19937(Arrays.copyOf(key, length));
  }

  /** Returns a number from 0 to below 1, of 53 random bits, as {@code random()} does. */
  public double random() {
    long high = words.nextInt() >>> 5;
    long low = words.nextInt() >>> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
  }

  /**
   * Returns a number from 0 to below {@code bound}, as {@code randrange(bound)} does.
   *
   * @param bound from 1
   */
  public int below(int bound) {
    if (bound < 1) {
      throw new IllegalArgumentException("bound: expected 1 or more, found " + bound);
    }
    int bits = Integer.SIZE - Integer.numberOfLeadingZeros(bound);
    int value;
    do {
      value = words.nextInt() >>> (Integer.SIZE - bits);
    } while (value >= bound);
    return value;
  }

  /**
   * Draws {@code k} elements without replacement, as {@code sample(population, k)} does.
   *
   * @param k at most the size of the population
   */
  public <T> List<T> sample(List<T> population, int k) {
    int n = population.size();
    if (k < 0 || k > n) {
      throw new IllegalArgumentException("sample: expected 0 to " + n + ", found " + k);
    }
    List<T> sample = new ArrayList<>(k);
    // Python keeps a list or a set, whichever it takes to be smaller; the draws differ.
    double setSize = 21;
    if (k > 5) {
      setSize += Math.pow(4, Math.ceil(Math.log(3.0 * k) / Math.log(4)));
    }
    if (n <= setSize) {
      List<T> pool = new ArrayList<>(population);
      for (int i = 0; i < k; i++) {
        int at = below(n - i);
        sample.add(pool.get(at));
        pool.set(at, pool.get(n - i - 1));
      }
    } else {
      Set<Integer> taken = new HashSet<>();
      while (sample.size() < k) {
        int at = below(n);
        if (taken.add(at)) {
          sample.add(population.get(at));
        }
      }
    }
    return sample;
  }

  /** Orders a list at random, as {@code shuffle(list)} does. */
  public void shuffle(List<?> list) {
    for (int i = list.size() - 1; i > 0; i--) {
      Collections.swap(list, i, below(i + 1));
    }
  }

  /**
   * Draws {@code k} places of a population with replacement, as {@code choices(population, k=k)}
   * does.
   *
   * @param size of the population
   */
  public int[] choices(int size, int k) {
    int[] places = new int[k];
    for (int i = 0; i < k; i++) {
      places[i] = (int) Math.floor(random() * size);
    }
    return places;
  }
}
