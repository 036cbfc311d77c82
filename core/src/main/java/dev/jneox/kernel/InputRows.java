package dev.jneox.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Rows {@code [rows, in]} of activations, prepared once for all the weights that multiply them, in
 * the forms those weights read. Made once and filled again for every step without allocation. One
 * thread fills it, or several a row each; any number may then read it.
 */
public final class InputRows {
  /** What a kernel reads. */
  public enum Form {
    /** The fp32 values as they are. */
    FLOAT,
    /** 8-bit codes in groups of 32 values, each with the scale {@code max|x| / 127}. */
    INT8
  }

  /** Rows are this far apart, in multiples of this many values, and zero behind their end. */
  private static final int PADDING = 64;

  private final int maxRows;
  private final int in;
  private final Kernels kernels;
  private final Set<Form> forms;
  private final int stride;
  private final MemorySegment values;
  private final @Nullable Int8Rows int8;
  private int rows;

  /**
   * Room for up to {@code maxRows} rows of {@code in} values.
   *
   * @param forms the {@link PackedWeight#form()} of each weight that will read it
   */
  public InputRows(int maxRows, int in, Form... forms) {
    this(maxRows, in, Kernels.chosen(), forms);
  }

  /**
   * @param kernels what multiplies them
   */
  InputRows(int maxRows, int in, Kernels kernels, Form... forms) {
    this.maxRows = maxRows;
    this.in = in;
    this.kernels = kernels;
    this.forms = EnumSet.copyOf(Arrays.asList(forms));
    this.stride = (in + PADDING - 1) / PADDING * PADDING;
    this.values = Arena.ofAuto().allocate(4L * maxRows * stride, 64);
    this.int8 =
        this.forms.contains(Form.INT8)
            ? kernels.int8(maxRows, (in + Int8Rows.GROUP - 1) / Int8Rows.GROUP)
            : null;
  }

  /** Rows there is room for. */
  public int maxRows() {
    return maxRows;
  }

  /** Values in a row. */
  public int in() {
    return in;
  }

  /** Rows filled by the last {@link #set}. */
  public int rows() {
    return rows;
  }

  /**
   * Fills it with {@code rows} rows: row {@code r} is {@code x[at + r * ldx ...]}.
   *
   * @throws IllegalArgumentException if there is no room for so many
   */
  public void set(float[] x, int at, int ldx, int rows) {
    begin(rows);
    for (int r = 0; r < rows; r++) {
      fill(r, x, at + r * ldx);
    }
  }

  /**
   * Says that {@code rows} rows follow, each by {@link #fill}: for more than one thread to fill
   * them.
   *
   * @throws IllegalArgumentException if there is no room for so many
   */
  public void begin(int rows) {
    if (rows < 0 || rows > maxRows) {
      throw new IllegalArgumentException("room for " + maxRows + " activation rows, given " + rows);
    }
    this.rows = rows;
    if (int8 != null) {
      int8.begin(rows);
    }
  }

  /** Fills row {@code r} with {@code x[at ...]}; several threads may fill a row each. */
  public void fill(int r, float[] x, int at) {
    MemorySegment.copy(x, at, values, ValueLayout.JAVA_FLOAT, 4L * r * stride, in);
    if (int8 != null) {
      int8.set(r, values, 4L * r * stride);
    }
  }

  /** The address of row {@code r}; the values behind its end are zero. */
  long row(int r) {
    return values.address() + 4L * r * stride;
  }

  Int8Rows int8() {
    return Objects.requireNonNull(int8);
  }

  /** What multiplies them. */
  Kernels kernels() {
    return kernels;
  }

  /** Copies {@code n} values of row {@code r} from its value {@code from} on. */
  void read(int r, int from, int n, float[] to) {
    MemorySegment.copy(values, ValueLayout.JAVA_FLOAT, 4L * ((long) r * stride + from), to, 0, n);
  }

  /** Called by a weight before it multiplies: fails when it was made for other weights. */
  void check(PackedWeight weight) {
    if (weight.in() != in || !forms.contains(weight.form())) {
      throw new IllegalArgumentException(
          "activations of "
              + in
              + " values as "
              + forms
              + ", a weight of "
              + weight.in()
              + " inputs reads "
              + weight.form());
    }
  }
}
