package dev.jneox.train;

import dev.jneox.dist.Layout;
import dev.jneox.dist.Mesh;
import dev.jneox.dist.Piece;
import dev.jneox.dist.Ranks;
import dev.jneox.dist.Shard;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.torch.Collectives;
import dev.jneox.torch.FlatTensor;
import dev.jneox.torch.Values;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * Reads the parameters of the whole model on the first rank, from the ranks that have parts of
 * them. One parameter at a time is in memory: the first rank asks those of its copy of the model
 * that own something of it, and puts together what they send.
 */
final class WholeWeights implements ModelWeights, AutoCloseable {
  private static final int ASK = 1; // tags
  private static final int GIVE = 2;
  private static final int END = -1; // instead of a parameter's number

  private final Collectives world;
  private final Parameters parameters;
  private final Parameters.Flat flat;
  private final Map<Integer, Shard> shards = new TreeMap<>(); // by rank
  private final List<Param> params;

  private WholeWeights(Ranks ranks, Parameters parameters, Parameters.Flat flat) {
    this.world = ranks.world();
    this.parameters = parameters;
    this.flat = flat;
    this.params = parameters.spec().parameters();
    Layout layout = parameters.shard().layout();
    for (int stage = 0; stage < layout.stages(); stage++) {
      for (int tensor = 0; tensor < layout.tensor(); tensor++) {
        int rank = ranks.mesh().rank(new Mesh.Place(stage, 0, tensor));
        shards.put(rank, layout.shard(tensor, stage));
      }
    }
  }

  /**
   * Has {@code reader} read one of the flat arrays as that of a whole model. All ranks call it;
   * {@code reader} is called on the first, and what it gets ends with its return.
   */
  static void read(
      Ranks ranks, Parameters parameters, Parameters.Flat flat, Consumer<ModelWeights> reader) {
    if (parameters.shard().layout().isWhole()) {
      if (ranks.isFirst()) {
        reader.accept(flat);
      }
    } else if (ranks.isFirst()) {
      try (WholeWeights whole = new WholeWeights(ranks, parameters, flat)) {
        reader.accept(whole);
      }
    } else if (ranks.place().data() == 0) {
      give(ranks.world(), parameters, flat);
    }
  }

  /** Sends what the first rank asks for. */
  private static void give(Collectives world, Parameters parameters, Parameters.Flat flat) {
    List<Param> params = parameters.spec().parameters();
    try (Arena arena = Arena.ofShared()) {
      MemorySegment asked = arena.allocate(ValueLayout.JAVA_DOUBLE);
      while (true) {
        try (Values values = Values.doubles(asked)) {
          world.receive(values, 0, ASK).await();
        }
        int number = (int) asked.get(ValueLayout.JAVA_DOUBLE, 0);
        if (number == END) {
          return;
        }
        Parameters.Slot slot = parameters.slot(params.get(number).id());
        try (Values part = Values.of(flat.tensor(), slot.offset(), slot.size())) {
          world.send(part, 0, GIVE).await();
        }
      }
    }
  }

  private void ask(int rank, int number) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment asked = arena.allocateFrom(ValueLayout.JAVA_DOUBLE, number);
      try (Values values = Values.doubles(asked)) {
        world.send(values, rank, ASK).await();
      }
    }
  }

  @Override
  public ModelSpec spec() {
    return parameters.spec();
  }

  @Override
  public List<StoredTensor> tensors() {
    return params.stream().<StoredTensor>map(param -> new Gathered(this, param)).toList();
  }

  @Override
  public StoredTensor holder(ParamId id) {
    return params.stream()
        .filter(param -> param.id().equals(id))
        .findFirst()
        .map(param -> new Gathered(this, param))
        .orElseThrow(() -> new IllegalArgumentException("no parameter " + id));
  }

  private record Gathered(WholeWeights weights, Param param) implements StoredTensor {
    @Override
    public TensorExpression expression() {
      return new TensorExpression(
          param.id().toString(), List.of(param), RowOrder.CONCATENATED, false);
    }

    @Override
    public String type() {
      return Dtype.F32.name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return Optional.empty();
    }

    @Override
    public MappedTensor read(Arena arena) {
      MemorySegment whole = arena.allocate(param.elements() * Float.BYTES, 64);
      weights.gather(param, whole);
      return new MappedTensor(Dtype.F32, whole);
    }
  }

  /** Fills {@code whole} with the values of a parameter. Readers may have several threads. */
  private synchronized void gather(Param param, MemorySegment whole) {
    int number = params.indexOf(param);
    List<Integer> owners = new ArrayList<>();
    shards.forEach(
        (rank, shard) -> {
          if (shard.has(param.id()) && shard.owns(param.id())) {
            owners.add(rank);
          }
        });
    owners.stream().filter(rank -> rank != 0).forEach(rank -> ask(rank, number));
    for (int rank : owners) {
      Piece place = Objects.requireNonNull(shards.get(rank)).place(param.id());
      try (Arena arena = Arena.ofShared()) {
        put(place, rank == 0 ? own(param.id(), arena) : received(rank, place, arena), whole);
      }
    }
  }

  private MemorySegment own(ParamId id, Arena arena) {
    return flat.holder(id).read(arena).data();
  }

  private MemorySegment received(int rank, Piece place, Arena arena) {
    long size = place.part().elements();
    MemorySegment part = arena.allocate(size * Float.BYTES, 64);
    try (FlatTensor into = FlatTensor.zeros(parameters.device(), size);
        Values values = Values.of(into, 0, size)) {
      world.receive(values, rank, GIVE).await();
      into.read(0, part);
    }
    return part;
  }

  private static void put(Piece place, MemorySegment part, MemorySegment whole) {
    for (Piece.Range range : place.ranges()) {
      MemorySegment.copy(
          part,
          range.inPart() * Float.BYTES,
          whole,
          range.inWhole() * Float.BYTES,
          range.length() * Float.BYTES);
    }
  }

  /** Tells the other ranks that nothing more is asked for. */
  @Override
  public void close() {
    shards.keySet().stream().filter(rank -> rank != 0).forEach(rank -> ask(rank, END));
  }
}
