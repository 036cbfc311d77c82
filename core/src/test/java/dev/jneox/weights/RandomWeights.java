package dev.jneox.weights;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.jspecify.annotations.NullUnmarked;

/**
 * Keeps random weights in memory, one tensor for each parameter: large enough in their values that
 * no part of a model is lost in rounding, and the same for the same seed.
 */
@NullUnmarked // a test fails by itself where a value is absent
public final class RandomWeights implements ModelWeights {
  private final ModelSpec spec;
  private final Map<ParamId, Held> held = new LinkedHashMap<>();

  /** A tensor in memory. */
  private record Held(TensorExpression expression, MappedTensor values) implements StoredTensor {
    @Override
    public String type() {
      return values.dtype().name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return Optional.of(values);
    }

    @Override
    public MappedTensor read(Arena arena) {
      return values;
    }
  }

  /** Makes the next value of a parameter. */
  public interface Values {
    double next(Param param);
  }

  /**
   * @param values rounded to fp32 and then to {@code dtype}
   */
  public RandomWeights(ModelSpec spec, Dtype dtype, Values values) {
    this.spec = spec;
    for (Param param : spec.parameters()) {
      float[] made = new float[Math.toIntExact(param.elements())];
      for (int i = 0; i < made.length; i++) {
        made[i] = (float) values.next(param);
      }
      put(param, dtype, made);
    }
  }

  private RandomWeights(ModelSpec spec, Dtype dtype, SplittableRandom random) {
    this(spec, dtype, param -> normal(param, random));
  }

  public RandomWeights(ModelSpec spec, Dtype dtype, long seed) {
    this(spec, dtype, new SplittableRandom(seed));
  }

  /** In fp32. */
  public RandomWeights(ModelSpec spec, long seed) {
    this(spec, Dtype.F32, seed);
  }

  private static double normal(Param param, SplittableRandom random) {
    boolean matrix = param.isMatrix() && !param.id().part().isTable();
    double deviation = matrix ? 1 / Math.sqrt(param.columns()) : 0.5;
    boolean norm = param.id().part().isNorm() && !param.id().isBias();
    return deviation * random.nextGaussian() + (norm ? 1 : 0);
  }

  private void put(Param param, Dtype dtype, float[] values) {
    MappedTensor tensor =
        new MappedTensor(
            dtype, Arena.ofAuto().allocate((long) values.length * dtype.bits() / 8, 64));
    tensor.write(0, values, 0, values.length);
    held.put(param.id(), new Held(TensorExpression.of(param.id().toString(), param), tensor));
  }

  /** Gives a parameter other values. */
  public void put(ParamId id, float... values) {
    Held old = held.get(id);
    Param param = old.expression().params().getFirst();
    assertThat(values).as(id.toString()).hasSize(Math.toIntExact(param.elements()));
    put(param, old.values().dtype(), values);
  }

  /** Gives one value of a parameter another value. */
  public void set(ParamId id, long place, float value) {
    values(id).set(place, value);
  }

  /** The values of a parameter, which may be written to. */
  public MappedTensor values(ParamId id) {
    return held.get(id).values();
  }

  @Override
  public ModelSpec spec() {
    return spec;
  }

  @Override
  public List<StoredTensor> tensors() {
    return new ArrayList<>(held.values());
  }

  @Override
  public StoredTensor holder(ParamId id) {
    if (!held.containsKey(id)) {
      throw new IllegalArgumentException("no parameter " + id);
    }
    return held.get(id);
  }

  /** All parameters of a model are of one type and have the same values as another's. */
  public static void assertSame(ModelWeights found, ModelWeights expected) {
    for (Param param : expected.spec().parameters()) {
      try (Arena arena = Arena.ofShared()) {
        MappedTensor a = found.read(param.id(), arena);
        MappedTensor b = expected.read(param.id(), arena);
        assertThat(a.dtype()).as(param.id().toString()).isEqualTo(b.dtype());
        assertSame(param.id().toString(), a, b);
      }
    }
  }

  /** Equal in bytes, or in values: 0 and -0. */
  public static void assertSame(String name, MappedTensor found, MappedTensor expected) {
    assertThat(found.size()).as(name).isEqualTo(expected.size());
    if (found.dtype() == expected.dtype() && found.data().mismatch(expected.data()) < 0) {
      return;
    }
    for (long i = 0; i < expected.size(); i++) {
      if (found.value(i) != expected.value(i)) {
        assertThat(found.value(i)).as(name + ", value " + i).isEqualTo(expected.value(i));
      }
    }
  }
}
