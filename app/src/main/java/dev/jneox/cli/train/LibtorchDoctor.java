package dev.jneox.cli.train;

import dev.jneox.cli.LibtorchFacts;
import dev.jneox.torch.Libraries;
import dev.jneox.torch.Libtorch;
import dev.jneox.torch.Machine;
import dev.jneox.torch.NativeCache;

/** Measures libtorch and reads its settings, for {@code doctor}. */
final class LibtorchDoctor {
  private LibtorchDoctor() {}

  static LibtorchFacts examine() {
    Libtorch.startVerified();
    NativeCache cache = NativeCache.read();
    Libraries libraries = Libraries.loaded();
    Machine machine = Machine.measure();
    return new LibtorchFacts(
        new LibtorchFacts.Libraries(
            libraries.libtorch(),
            libraries.oneDnn(),
            libraries.openMp(),
            libraries.cpuCapability(),
            libraries.blas(),
            libraries.blasPath()),
        new LibtorchFacts.Cache(
            cache.folder().toString(),
            cache.free(),
            cache.bytes(),
            cache.unused().stream()
                .map(unused -> new LibtorchFacts.Unused(unused.folder().toString(), unused.bytes()))
                .toList()),
        new LibtorchFacts.Rates(
            machine.gemmFloat(),
            machine.gemmBfloat16(),
            machine.readOneThread(),
            machine.readAllThreads()));
  }
}
