package dev.jneox.fuzz;

import dev.jneox.format.FormatReaders;
import dev.jneox.format.gguf.GgufReaders;
import dev.jneox.format.torch.PickleReaders;
import dev.jneox.grammar.GrammarReaders;
import dev.jneox.hub.HubReaders;
import dev.jneox.infer.SessionReaders;
import dev.jneox.template.TemplateReaders;
import dev.jneox.tokenizer.TokenizerReaders;
import java.util.List;

/** All readers of core. A new one is a line. */
class CoreFuzzTest extends FuzzTest {
  private static final List<Reader> READERS =
      List.of(
          FormatReaders.safetensors(),
          FormatReaders.hfFolders(),
          FormatReaders.hfShards(),
          FormatReaders.hfTorch(),
          FormatReaders.torchFiles(),
          PickleReaders.pickles(),
          FormatReaders.neox(),
          FormatReaders.neoxYaml(),
          FormatReaders.packed(),
          GgufReaders.headers(),
          FormatReaders.gguf(),
          FormatReaders.ggufSplit(),
          FormatReaders.runs(),
          FormatReaders.inspection(),
          FormatReaders.inference(),
          SessionReaders.sessions(),
          TokenizerReaders.files(),
          TokenizerReaders.ids(),
          TokenizerReaders.gpt2Files(),
          TokenizerReaders.texts(),
          TemplateReaders.templates(),
          TemplateReaders.folders(),
          GrammarReaders.schemas(),
          GrammarReaders.expressions(),
          HubReaders.listing(),
          HubReaders.tree(),
          HubReaders.cache(),
          HubReaders.hashes(),
          HubReaders.token(),
          HubReaders.answers());

  @Override
  protected List<Reader> readers() {
    return READERS;
  }

  @Override
  protected double share() {
    return 0.7;
  }
}
