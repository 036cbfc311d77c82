package dev.jneox.train;

import dev.jneox.dist.Layout;
import dev.jneox.dist.Shard;
import dev.jneox.io.ByteSize;
import dev.jneox.io.FreeDisk;
import dev.jneox.io.FreeMemory;
import dev.jneox.io.MemoryException;
import dev.jneox.io.StorageException;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.ModelSpec;
import dev.jneox.torch.Device;
import dev.jneox.torch.Products;
import dev.jneox.weights.Dtype;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Computes the bytes of memory and disk that a training run needs, from its configuration alone, so
 * that one that cannot fit is refused before its first step. The sizes are those that {@link
 * Parameters} and {@link CpuStep} allocate.
 *
 * @param config of the run
 * @param shard of the model that a process has
 * @param carrierBytes of a number in memory that products multiply: 2, or 4 where bf16 or fp16
 *     numbers are held as fp32, and in fp32
 */
record TrainingNeed(NeoxConfig config, Shard shard, int carrierBytes) {
  private static final String MICRO = "train_micro_batch_size_per_gpu";

  /** Bytes of the JVM itself, libtorch's code and its scratch memory. */
  private static final long BESIDE = 512L << 20;

  /** Bytes of the heap besides the arrays of a batch. */
  private static final long HEAP_BESIDE = 128L << 20;

  /** Describes the process that needs the most memory: stages of a pipeline differ. */
  static TrainingNeed of(NeoxConfig config, ModelSpec model) {
    int carrier = Products.carrier(config.precision().format().dtype()) == Dtype.F32 ? 4 : 2;
    Layout layout = config.layout(model);
    int micro = config.batch().micro();
    boolean recompute = config.run().recompute() > 0;
    return IntStream.range(0, layout.stages())
        .mapToObj(stage -> new TrainingNeed(config, layout.shard(0, stage), carrier))
        .max(
            Comparator.comparingLong(
                need -> need.parameterBytes() + need.activationBytes(micro, recompute)))
        .orElseThrow();
  }

  /** Returns the whole model. */
  ModelSpec model() {
    return shard.model();
  }

  /** Returns the number of parameters that the process has. */
  private long parameterCount() {
    return shard.places().stream().mapToLong(place -> place.part().elements()).sum();
  }

  /** Returns the blocks that the process runs, of the sizes that it has. */
  private List<BlockSpec> blocks() {
    return shard.chunks().stream()
        .flatMap(chunk -> shard.spec().blocks().subList(chunk.first(), chunk.end()).stream())
        .toList();
  }

  /** Returns how many micro-batches are under way at a time in a stage of a pipeline. */
  private int underWay() {
    return Math.min(shard.stages() - shard.stage(), config.batch().accumulation());
  }

  /**
   * Returns the bytes of weights, gradients, both moments, and the weights rounded for products.
   */
  long parameterBytes() {
    boolean rounded = config.precision().format() != PrecisionSection.Format.FP32;
    return parameterCount() * (8 + (rounded ? carrierBytes : 0)) + momentBytes();
  }

  /** Returns the bytes of both moments, which ZeRO stage 1 shares out over the copies. */
  private long momentBytes() {
    int shares = config.optimizer().zeroStage() == 1 ? config.parallel().data() : 1;
    return 8 * Math.ceilDiv(parameterCount(), shares);
  }

  /**
   * Returns the native memory of activations and their gradients, of all micro-batches that are
   * under way at a time.
   */
  long activationBytes(long sequences, boolean recompute) {
    long tokens = sequences * config.model().seqLength();
    ModelSpec part = shard.spec();
    long h = part.width();
    long c = carrierBytes;
    long tapes =
        (recompute ? 1 : underWay()) * layers(recompute).stream().mapToLong(this::tapeBytes).sum();
    long inputs = underWay() * 4 * h * (blocks().size() + 1);
    long shared = c * 5 * h + 4 * h;
    long products = 0;
    Set<Long> widths = new HashSet<>();
    Set<Long> queries = new HashSet<>(Set.of(h)); // one of width h is counted in shared
    Set<List<Long>> shapes = new HashSet<>();
    int vocabulary = shard.hasHead() ? part.vocabulary().rows() : 0;
    if (shard.hasHead()) {
      shapes.add(List.of((long) vocabulary, h));
    }
    for (BlockSpec block : blocks()) {
      long wide = block.feedForward().width();
      long query = block.attention().queryWidth();
      shared += widths.add(wide) ? c * wide : 0;
      shared += queries.add(query) ? c * query : 0;
      shapes.add(List.of((long) block.attention().fusedWidth(), h));
      shapes.add(List.of(h, query));
      shapes.add(List.of(columns(block), h));
      shapes.add(List.of(h, wide));
    }
    for (List<Long> shape : shapes) {
      products += c * shape.getFirst() * shape.getLast();
    }
    long logits =
        shard.hasHead() ? CpuStep.logitRows(tokens, vocabulary, carrierBytes) * vocabulary * c : 0;
    return tokens * (inputs + tapes + shared) + logits + products;
  }

  /** Returns the layers that have a tape of their own; with recomputation equal ones share it. */
  private List<BlockSpec> layers(boolean recompute) {
    return recompute
        ? blocks().stream()
            .map(block -> block.withAttention(block.attention().withWindow(0)))
            .distinct()
            .toList()
        : blocks();
  }

  /** Returns the bytes per token that the backward pass of a layer reads. */
  private long tapeBytes(BlockSpec block) {
    long h = shard.spec().width();
    Attention attention = block.attention();
    long normed = block.residual().sharesNorm() ? h : 2 * h;
    long middle = block.residual().isSerial() ? 4 * h : 0;
    return carrierBytes
            * (normed
                + attention.fusedWidth()
                + attention.queryWidth()
                + columns(block)
                + block.feedForward().width())
        + middle;
  }

  /** Returns the columns of a feed-forward layer's first product. */
  private static long columns(BlockSpec block) {
    return FeedForwardKernel.of(block.feedForward()).columns();
  }

  /**
   * Returns the bytes of Java's heap: the batch, and each layer's statistics of norms and softmax.
   */
  long heapBytes(long sequences, boolean recompute) {
    long tokens = sequences * config.model().seqLength();
    long tapes =
        (recompute ? 1 : underWay())
            * layers(recompute).stream()
                .mapToLong(block -> 16 + 4L * block.attention().heads())
                .sum();
    long batch = 2 * 16;
    return tokens * (tapes + 12 + batch) + HEAP_BESIDE;
  }

  /**
   * Returns the bytes of the copy that is written while the training goes on. One process of a run
   * has it, of the whole model.
   */
  long copyBytes() {
    boolean copies = config.checkpoint().save().isPresent() && config.checkpoint().async();
    return copies ? Snapshot.bytes(model()) : 0;
  }

  /** Returns the bytes of a checkpoint on disk: fp32 weights and both moments. */
  long checkpointBytes() {
    return 12 * model().parameterCount() + (1 << 20);
  }

  /**
   * Refuses a run that does not fit this machine. Memory is checked for the CPU's step alone; on
   * another device the allocation itself fails.
   *
   * @param processes of this machine, which share its memory
   * @throws MemoryException when memory or the heap is too small, naming what would fit
   * @throws StorageException when the disk is too small for a checkpoint
   */
  void check(Device device, int processes) {
    if (device.isCpu()) {
      long free = FreeMemory.bytes().orElse(Long.MAX_VALUE);
      checkMemory((free - copyBytes()) / processes, Runtime.getRuntime().maxMemory());
    }
    Path save = config.checkpoint().save().orElse(null);
    if (save != null) {
      long free = FreeDisk.bytes(save);
      if (free < checkpointBytes()) {
        String what =
            "a checkpoint of this run takes %s, %s are free in %s"
                .formatted(ByteSize.text(checkpointBytes()), ByteSize.text(free), save);
        String reason = "free some, or save elsewhere";
        throw new StorageException(
            config.settings().message("save", what + ": " + reason), save, what, reason, null);
      }
    }
  }

  /**
   * Refuses a run that does not fit into memory.
   *
   * @param free bytes of memory
   * @param heap bytes that Java's heap may take of them
   * @throws MemoryException naming what would fit
   */
  void checkMemory(long free, long heap) {
    int micro = config.batch().micro();
    boolean recompute = config.run().recompute() > 0;
    if (fits(micro, recompute, free, heap)) {
      return;
    }
    long need =
        BESIDE + parameterBytes() + activationBytes(micro, recompute) + heapBytes(micro, recompute);
    String key = config.settings().given(MICRO) ? MICRO : "train_batch_size";
    String beside =
        copyBytes() == 0
            ? ""
            : " (beside %s for a copy to save, which async_save false needs not)"
                .formatted(ByteSize.text(copyBytes()));
    if (BESIDE + parameterBytes() > free) {
      String found =
          "%,d parameters take %s in training, %s of memory are free%s: train a smaller model"
              .formatted(
                  parameterCount(), ByteSize.text(parameterBytes()), ByteSize.text(free), beside);
      throw new MemoryException(config.settings().message(key, found), need, free);
    }
    String found =
        "a micro-batch of %,d sequences of %,d tokens takes %s of memory in all, %s are free%s"
            .formatted(
                micro,
                config.model().seqLength(),
                ByteSize.text(need),
                ByteSize.text(free),
                beside);
    long needed = need;
    long available = free;
    if (need <= free) {
      needed = heapBytes(micro, recompute);
      available = heap;
      found =
          "a micro-batch of %,d sequences of %,d tokens takes %s of Java's heap, which may have %s (-Xmx in JNEOX_JAVA_OPTS)"
              .formatted(
                  micro, config.model().seqLength(), ByteSize.text(needed), ByteSize.text(heap));
    }
    long plain = largest(micro, recompute, free, heap);
    long recomputed = largest(micro, true, free, heap);
    String remedy = plain > 0 ? "at most %,d fit".formatted(plain) : "not even one fits";
    if (recomputed > plain) {
      remedy += ", %,d with checkpoint_activations true".formatted(recomputed);
    }
    if (recomputed == 0) {
      remedy += ": shorten seq_length, or train a smaller model";
    } else {
      remedy += "; gradient_accumulation_steps makes up for a smaller one";
    }
    throw new MemoryException(
        config.settings().message(key, found + ": " + remedy), needed, available);
  }

  private boolean fits(long micro, boolean recompute, long free, long heap) {
    long tokens = micro * config.model().seqLength();
    long heapNeed = heapBytes(micro, recompute);
    long heads = blocks().stream().mapToInt(b -> b.attention().heads()).max().orElse(1);
    return tokens * heads <= Integer.MAX_VALUE - 8
        && heapNeed <= heap
        && BESIDE + parameterBytes() + activationBytes(micro, recompute) + heapNeed <= free;
  }

  /** Returns the largest micro-batch up to {@code most} that fits; 0 when none does. */
  private long largest(long most, boolean recompute, long free, long heap) {
    long fits = 0;
    for (long above = most + 1; above - fits > 1; ) {
      long middle = (fits + above) / 2;
      if (fits(middle, recompute, free, heap)) {
        fits = middle;
      } else {
        above = middle;
      }
    }
    return fits;
  }

  /**
   * Returns a warning where the disk is too small for all checkpoints that the run will keep.
   *
   * @param from iterations that are done
   * @param to iterations of the whole run
   */
  Optional<String> warning(int from, int to) {
    CheckpointSection section = config.checkpoint();
    if (section.save().isEmpty()) {
      return Optional.empty();
    }
    long kept = kept(from, to);
    long free = FreeDisk.bytes(section.save().get());
    if (kept * checkpointBytes() <= free) {
      return Optional.empty();
    }
    String remedy =
        section.keepLast().isPresent()
            ? "with keep_last_n_checkpoints %,d and the next one being written, %,d are there at a time"
                .formatted(section.keepLast().getAsInt(), kept)
            : "keep_last_n_checkpoints bounds them";
    return Optional.of(
        "%s: the checkpoints of this run take %s, %s are free: %s"
            .formatted(
                section.save().get(),
                ByteSize.text(kept * checkpointBytes()),
                ByteSize.text(free),
                remedy));
  }

  /** Returns how many checkpoints the run will have at a time, without those from before it. */
  private long kept(int from, int to) {
    CheckpointSection section = config.checkpoint();
    long saves = 1;
    for (int n = from + 1; n < to; n++) {
      saves += section.savesAt(n) ? 1 : 0;
    }
    // The oldest is removed when the next is complete.
    return section.keepLast().isPresent()
        ? Math.min(saves, Math.max(1, section.keepLast().getAsInt()) + 1L)
        : saves;
  }

  /**
   * Returns lines that state the memory and disk space that the run needs, and what is free.
   *
   * @param processes of this machine, which share its memory
   * @param from iterations that are done
   * @param to iterations of the whole run
   */
  List<String> estimate(Device device, int processes, int from, int to) {
    int micro = config.batch().micro();
    boolean recompute = config.run().recompute() > 0;
    long weights = 4 * parameterCount();
    long rounded = parameterBytes() - 2 * weights - momentBytes();
    List<String> lines = new ArrayList<>();
    String parts =
        "weights %s, gradients %s, optimizer %s"
            .formatted(
                ByteSize.text(weights + rounded),
                ByteSize.text(weights),
                ByteSize.text(momentBytes()));
    if (device.isCpu()) {
      long activations = activationBytes(micro, recompute);
      long heap = heapBytes(micro, recompute);
      long need = BESIDE + parameterBytes() + activations + heap + copyBytes();
      String all =
          processes == 1
              ? ByteSize.text(need)
              : "%s for each of %d processes, %s"
                  .formatted(ByteSize.text(need), processes, ByteSize.text(need * processes));
      lines.add(
          "memory: about %s%s, with %s for Java and libtorch%s"
              .formatted(
                  all,
                  FreeMemory.bytes().isPresent()
                      ? " of %s free".formatted(ByteSize.text(FreeMemory.bytes().getAsLong()))
                      : "",
                  ByteSize.text(BESIDE + heap),
                  processes == 1 ? "" : " each"));
      String copy =
          copyBytes() == 0
              ? ""
              : ", a copy to save %s (none with async_save false)"
                  .formatted(ByteSize.text(copyBytes()));
      lines.add("  %s, activations %s%s".formatted(parts, ByteSize.text(activations), copy));
    } else {
      lines.add("memory of %s: %s, and the activations".formatted(device, parts));
    }
    config
        .checkpoint()
        .save()
        .ifPresent(
            save ->
                lines.add(
                    "disk: %s a checkpoint, up to %,d at a time: %s of %s free"
                        .formatted(
                            ByteSize.text(checkpointBytes()),
                            kept(from, to),
                            ByteSize.text(kept(from, to) * checkpointBytes()),
                            ByteSize.text(FreeDisk.bytes(save)))));
    return lines;
  }
}
