package dev.jneox.data;

import dev.jneox.io.InputException;
import java.util.Arrays;

/**
 * Divides documents into consecutive training, validation and test parts by GPT-NeoX's {@code
 * split} option.
 *
 * @param valid first document for validation, and the end of the training documents
 * @param test first document for the test
 * @param end documents in all
 */
public record Splits(int valid, int test, int end) {
  /**
   * Divides {@code documents} by parts such as {@code 969,30,1}; missing parts count as zero. Each
   * part is rounded, half to even; the first part gives or takes the difference to the total.
   */
  public static Splits of(String split, int documents) {
    double[] parts = new double[3];
    String[] words = split.split(split.contains(",") ? "," : "/");
    try {
      for (int i = 0; i < Math.min(3, words.length); i++) {
        parts[i] = Double.parseDouble(words[i].strip());
      }
    } catch (NumberFormatException e) {
      throw new InputException("split: expected numbers such as 969,30,1, found " + split, e);
    }
    double sum = parts[0] + parts[1] + parts[2];
    if (!(sum > 0) || Double.isInfinite(sum) || Arrays.stream(parts).anyMatch(part -> part < 0)) {
      throw new InputException(
          "split: expected parts of 0 or more that are not all 0, found " + split);
    }
    int valid = (int) Math.rint(parts[0] / sum * documents);
    int test = valid + (int) Math.rint(parts[1] / sum * documents);
    int end = test + (int) Math.rint(parts[2] / sum * documents);
    int surplus = end - documents;
    // GPT-NeoX asks for document -1 where the first part rounds to 0 and has to give one; here the
    // part stays empty.
    return new Splits(Math.max(0, valid - surplus), Math.max(0, test - surplus), documents);
  }
}
