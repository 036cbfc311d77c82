package dev.jneox.corpus;

import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Locale;
import java.util.MissingResourceException;
import opennlp.tools.langdetect.Language;
import opennlp.tools.langdetect.LanguageDetectorME;
import opennlp.tools.langdetect.LanguageDetectorModel;
import org.jspecify.annotations.Nullable;

/**
 * Finds the language of each document with OpenNLP's model of 103 languages, in its first
 * characters, and removes those of others than are kept. Code and tables get some language too: the
 * least confidence tells them from prose.
 *
 * @param keep languages to keep, ISO 639-3; empty for all
 * @param threshold least confidence
 * @param characters how many characters of a document are looked at
 */
record LanguageFilter(List<String> keep, double threshold, int characters) implements TextStep {
  static Step of(Settings options) {
    List<String> keep =
        options.texts("keep", List.of()).stream().map(name -> iso3(name, options)).toList();
    return new LanguageFilter(
        keep,
        options.number("threshold", keep.isEmpty() ? 0 : 0.65, 0, 1),
        options.integer("characters", 2000, 20, 1_000_000));
  }

  private static String iso3(String name, Settings options) {
    try {
      String code = Locale.of(name).getISO3Language();
      if (code.length() == 3) {
        return code;
      }
    } catch (MissingResourceException e) {
      // No code of ISO 639.
    }
    throw options.wrong("keep", "codes of languages such as en or deu", name);
  }

  @Override
  public String name() {
    return "language";
  }

  @Override
  public String describe() {
    return keep.isEmpty()
        ? "finds the language"
        : "keeps " + String.join(", ", keep) + " of confidence " + threshold + " and more";
  }

  @Override
  public @Nullable String apply(Page page) {
    String text = page.text();
    String head = text.length() <= characters ? text : text.substring(0, characters);
    Language best = Detector.MODEL.get().predictLanguage(head);
    page.language(best.getLang());
    if (!keep.isEmpty() && !keep.contains(best.getLang())) {
      return "another language";
    }
    return best.getConfidence() < threshold ? "no clear language" : null;
  }

  /** Holds the model, loaded once a process when first asked for. */
  private static final class Detector {
    private static final String RESOURCE = "/langdetect-183.bin";

    private static final LanguageDetectorModel LOADED = load();
    static final ThreadLocal<LanguageDetectorME> MODEL =
        ThreadLocal.withInitial(() -> new LanguageDetectorME(LOADED));

    private static LanguageDetectorModel load() {
      try (InputStream in = LanguageFilter.class.getResourceAsStream(RESOURCE)) {
        return new LanguageDetectorModel(in);
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }
  }
}
