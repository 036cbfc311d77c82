package dev.jneox.format.torch;

import java.lang.foreign.MemorySegment;
import java.util.Map;

/**
 * Holds the unchecked content of a file of {@code torch.save}.
 *
 * @param root the pickled object
 * @param storages the bytes of each storage, by key
 */
record TorchContent(Object root, Map<String, MemorySegment> storages) {}
