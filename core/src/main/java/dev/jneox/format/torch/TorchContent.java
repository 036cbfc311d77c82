package dev.jneox.format.torch;

import java.lang.foreign.MemorySegment;
import java.util.Map;

/**
 * What a file of {@code torch.save} holds, before it is known to make sense.
 *
 * @param root the pickled object
 * @param storages where the bytes of each storage lie, by key
 */
record TorchContent(Object root, Map<String, MemorySegment> storages) {}
