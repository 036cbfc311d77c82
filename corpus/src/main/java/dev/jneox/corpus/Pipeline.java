package dev.jneox.corpus;

import dev.jneox.format.neox.YamlTree;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Describes how a corpus is built, as a pipeline file in YAML says it. Relative paths start at the
 * file's folder.
 *
 * <pre>
 * sources:
 *   - name: manuals
 *     path: manuals/*.jsonl
 *     weight: 2
 *   - name: books
 *     path: books
 * steps:
 *   - unicode
 *   - gopher_quality: {min_words: 20, except: [manuals]}
 *   - exact_dedup
 *   - minhash_dedup
 * output:
 *   format: megatron
 *   tokenizer: tokenizer.json
 * </pre>
 *
 * @param file the pipeline file
 * @param sources the components, in order: of duplicates the earlier one stays
 * @param steps cleaning and deduplication, in the order in which they run
 * @param output how the corpus is written
 */
public record Pipeline(Path file, List<Source> sources, List<ScopedStep> steps, Output output) {
  private static final int LARGEST = 10_000_000;

  /** Copies the lists. */
  public Pipeline {
    sources = List.copyOf(sources);
    steps = List.copyOf(steps);
  }

  /**
   * Reads a pipeline file; does not look for its sources.
   *
   * @throws InputException naming the place where it is not one
   */
  public static Pipeline read(Path file) {
    String text;
    try {
      text = InputFile.text(file, LARGEST);
    } catch (IOException e) {
      throw StorageException.ofText(file, e);
    }
    Object root = new YamlTree(file.toString(), text).root();
    if (!(root instanceof Map<?, ?>)) {
      throw InputException.in(
          file,
          "line " + line(text),
          "the keys sources, steps and output",
          Settings.describe(root));
    }
    Settings settings = new Settings(file, "", root);
    Output output = Output.of(new Settings(file, "output", settings.value("output")));
    List<Source> sources = sources(file, settings.value("sources"), settings, output.heldOut());
    List<ScopedStep> steps =
        steps(file, settings.value("steps"), settings, sources.stream().map(Source::name).toList());
    settings.noOthers();
    return new Pipeline(file, sources, steps, output);
  }

  /** Returns the line on which the content begins. */
  private static long line(String yaml) {
    return 1
        + yaml.lines()
            .takeWhile(line -> line.isBlank() || line.startsWith("#") || line.startsWith("---"))
            .count();
  }

  private static List<Source> sources(
      Path file, @Nullable Object value, Settings settings, double heldOut) {
    if (!(value instanceof List<?> list) || list.isEmpty()) {
      throw settings.wrong("sources", "a list of sources, each with name and path", value);
    }
    List<Source> sources = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (Object item : list) {
      String place = "sources[" + sources.size() + "]";
      if (!(item instanceof Map<?, ?>)) {
        throw InputException.in(file, place, "keys name, path and weight", Settings.describe(item));
      }
      Settings source = new Settings(file, place, item);
      String name = source.text("name").orElseThrow(() -> source.wrong("name", "a name", null));
      if (!names.add(name)) {
        throw source.wrong("name", "a name of its own for each source", name);
      }
      Settings named = new Settings(file, place + " (" + name + ")", item);
      Source read = source(named, name, heldOut);
      FetchPlan.KEYS.forEach(named::value); // read by corpus fetch
      named.noOthers();
      sources.add(
          new Source(
              name,
              read.paths(),
              read.weight(),
              read.heldOut(),
              read.forced(),
              read.textField(),
              FetchPlan.licences(file, place + " (" + name + ")", item)));
    }
    return sources;
  }

  /** Reads what a build has to know of a source; its licences are not among it. */
  static Source source(Settings settings, String name, double heldOut) {
    settings.text("name");
    List<String> paths =
        settings.texts("path", List.of()).stream()
            .map(path -> Settings.resolved(settings.folder(), path))
            .toList();
    if (paths.isEmpty()) {
      throw settings.wrong("path", "a file, folder or glob", null);
    }
    double weight = settings.number("weight", 1, 0, 1000);
    if (weight == 0) {
      throw settings.wrong("weight", "a number above 0 (leave the source out instead)", 0L);
    }
    Format format = settings.choice("format", Format.names()).map(Format::named).orElse(null);
    return new Source(
        name,
        paths,
        weight,
        settings.number("held_out", heldOut, 0, 0.5),
        format,
        settings.text("text_field").orElse(Source.TEXT),
        new TreeMap<>());
  }

  private static List<ScopedStep> steps(
      Path file, @Nullable Object value, Settings settings, List<String> sources) {
    if (value == null) {
      return List.of();
    }
    if (!(value instanceof List<?> list)) {
      throw settings.wrong("steps", "a list of steps", value);
    }
    Collection<String> names = Step.FACTORIES.keySet();
    List<ScopedStep> steps = new ArrayList<>();
    for (Object item : list) {
      String place = "steps[" + steps.size() + "]";
      String name;
      Object options = null;
      if (item instanceof String text) {
        name = text.replace('-', '_');
      } else if (item instanceof Map<?, ?> map && map.size() == 1) {
        Map.Entry<?, ?> entry = map.entrySet().iterator().next();
        name = String.valueOf(entry.getKey());
        options = entry.getValue();
      } else {
        throw InputException.in(
            file, place, "a name, or one name with options", Settings.describe(item));
      }
      Step.Factory factory = Step.FACTORIES.get(name);
      if (factory == null) {
        throw InputException.in(
            file, place, "one of " + String.join(", ", names), name + Settings.meant(name, names));
      }
      Settings of = new Settings(file, place + " (" + name + ")", options);
      Step step = factory.create(of);
      if (step instanceof QualityClassifier classifier
          && !sources.contains(classifier.positive())) {
        throw of.wrong(
            "positive",
            "the name of a source",
            classifier.positive() + Settings.meant(classifier.positive(), sources));
      }
      int number =
          1 + (int) steps.stream().filter(other -> other.step().name().equals(name)).count();
      steps.add(ScopedStep.of(step.numbered(number), of, sources));
      of.noOthers();
    }
    return steps;
  }
}
