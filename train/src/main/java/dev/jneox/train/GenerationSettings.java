package dev.jneox.train;

import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.model.SamplingDefaults;
import dev.jneox.template.ChatTemplates;
import dev.jneox.weights.StoredModel;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Holds what a model says of texts that it writes. A run keeps that of the model or checkpoint
 * which it begins from.
 *
 * @param chatTemplates empty where it has none
 * @param sampling how its tokens are to be drawn
 * @param ends ids that end a text; empty for those of the run's vocabulary
 */
record GenerationSettings(
    Optional<ChatTemplates> chatTemplates, SamplingDefaults sampling, List<Integer> ends) {
  /** Says nothing. */
  static final GenerationSettings NONE =
      new GenerationSettings(Optional.empty(), SamplingDefaults.NONE, List.of());

  /**
   * Reads the settings of a model.
   *
   * @param path that {@link ModelFiles} can open
   * @param used ids of the run's vocabulary; ends beyond them are left out
   */
  static GenerationSettings of(Path path, int used) {
    try (StoredModel model = ModelFiles.open(path)) {
      List<Integer> ends =
          model.spec().vocabulary().ends().stream().filter(id -> id < used).toList();
      return new GenerationSettings(model.chatTemplates(), model.sampling(), ends);
    }
  }

  /** Has a folder get them. */
  void into(HfFolderWriter writer) {
    writer.sampling(sampling);
    chatTemplates.ifPresent(writer::chatTemplates);
    if (!ends.isEmpty()) {
      writer.ends(ends);
    }
  }
}
