package dev.jneox.corpus;

import dev.jneox.format.neox.YamlTree;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.Shell;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * Says which sources of a pipeline are made of packages or by a generator, from the keys {@code
 * licence}, {@code packages}, {@code generator}, {@code documents} and {@code seed} of its file.
 *
 * <pre>
 * sources:
 *   - name: manual_pages
 *     path: pilot/manual_pages.jsonl
 *     licence: GPL-2.0-or-later
 *     packages:
 *       - {package: debian:manpages, files: usr/share/man/man*&#47;*, as: man}
 *   - name: mathematics
 *     path: pilot/mathematics.jsonl
 *     licence: Apache-2.0
 *     generator: mathematics
 *     documents: 10000
 * </pre>
 *
 * @param pipeline the file
 * @param sources those that can be made, in the file's order
 */
record FetchPlan(Path pipeline, List<Made> sources) {
  private static final int LARGEST = 10_000_000;

  /** The keys of a source that say how it is made. */
  static final List<String> KEYS = List.of("licence", "packages", "generator", "documents", "seed");

  /** A source that can be made. */
  sealed interface Made {
    /** Returns its name. */
    String name();

    /** Returns the file that is written, in JSON lines. */
    Path file();

    /** Returns what determines its content, apart from the packages' bytes. */
    String recipe();
  }

  /** A source of packages. */
  record Packaged(String name, Path file, List<Pick> picks) implements Made {
    @Override
    public String recipe() {
      return picks.toString();
    }
  }

  /** A source of generated mathematics. */
  record Generated(String name, Path file, String licence, int documents, long seed)
      implements Made {
    @Override
    public String recipe() {
      return "mathematics " + documents + " " + seed + " " + licence;
    }
  }

  /**
   * Says which files of packages are taken, and how.
   *
   * @param packages where from
   * @param files globs of names in the package; {@code **} goes through folders
   * @param except globs of files that are left out
   * @param as how text is found in them
   * @param licence of the text, an SPDX expression
   */
  record Pick(
      List<PackageName> packages,
      List<String> files,
      List<String> except,
      Extraction as,
      String licence) {
    /** Returns whether a file of the package is taken. */
    Predicate<String> wanted() {
      List<PathMatcher> in = files.stream().map(Pick::matcher).toList();
      List<PathMatcher> out = except.stream().map(Pick::matcher).toList();
      return file -> {
        Path path = Path.of(file);
        return in.stream().anyMatch(glob -> glob.matches(path))
            && out.stream().noneMatch(glob -> glob.matches(path));
      };
    }

    private static PathMatcher matcher(String glob) {
      return FileSystems.getDefault().getPathMatcher("glob:" + glob);
    }
  }

  /**
   * Reads the plan of a pipeline.
   *
   * @param into the folder at which relative paths of sources start
   * @throws InputException naming the place that is wrong
   */
  static FetchPlan read(Path pipeline, Path into) {
    String text;
    try {
      text = InputFile.text(pipeline, LARGEST);
    } catch (IOException e) {
      throw StorageException.ofText(pipeline, e);
    }
    Settings settings = new Settings(pipeline, "", new YamlTree(pipeline.toString(), text).root());
    List<Made> sources = new ArrayList<>();
    int index = 0;
    for (Object item : list(settings, "sources", "a list of sources")) {
      String place = "sources[" + index++ + "]";
      String name = new Settings(pipeline, place, item).text("name").orElse("");
      made(pipeline, place + " (" + name + ")", item, into).ifPresent(sources::add);
    }
    if (sources.isEmpty()) {
      throw InputException.in(
          pipeline, "sources", "one with packages or generator", "none: there is nothing to fetch");
    }
    return new FetchPlan(pipeline, sources);
  }

  /** Returns how to make a source that is not there; empty where the pipeline does not say it. */
  static String hint(Path pipeline, String source) {
    try {
      return read(pipeline, pipeline).sources().stream()
              .anyMatch(made -> made.name().equals(source))
          ? " (make it with: jneox corpus fetch " + Shell.quoted(pipeline.toString()) + ")"
          : "";
    } catch (InputException e) {
      return ""; // nothing in the pipeline can be made, or its keys are wrong
    }
  }

  private static List<?> list(Settings settings, String key, String expected) {
    Object value = settings.value(key);
    if (value instanceof List<?> list && !list.isEmpty()) {
      return list;
    }
    throw settings.wrong(key, expected, value);
  }

  private static Optional<Made> made(Path pipeline, String place, Object item, Path into) {
    Settings source = new Settings(pipeline, place, item);
    String name = source.text("name").orElse("");
    Optional<String> generator = source.text("generator");
    if (source.value("packages") == null && generator.isEmpty()) {
      return Optional.empty();
    }
    if (name.isEmpty()) {
      throw source.wrong("name", "a name", null);
    }
    String path = source.text("path").orElse("");
    if (!path.endsWith(".jsonl") || path.matches(".*[*?\\[{].*")) {
      throw source.wrong("path", "a file in .jsonl, which is written", path);
    }
    Path file = into.resolve(path);
    String licence = source.text("licence").orElse("");
    if (generator.isPresent()) {
      source.choice("generator", "", List.of("mathematics"));
      licence(source, licence);
      return Optional.of(
          new Generated(
              name,
              file,
              licence,
              source.integer("documents", 10_000, 1, 100_000_000),
              source.integer("seed", 1, 0, Integer.MAX_VALUE)));
    }
    List<Pick> picks = new ArrayList<>();
    for (Object entry : list(source, "packages", "a list of packages")) {
      String at = place + ".packages[" + picks.size() + "]";
      picks.add(pick(new Settings(pipeline, at, entry), licence));
    }
    return Optional.of(new Packaged(name, file, picks));
  }

  /** Returns the licences that a source states, each with the packages of which it is. */
  static TreeMap<String, List<String>> licences(Path pipeline, String place, Object item) {
    TreeMap<String, List<String>> licences = new TreeMap<>();
    Optional<Made> made = made(pipeline, place, item, pipeline);
    if (made.isEmpty()) {
      new Settings(pipeline, place, item)
          .text("licence")
          .ifPresent(licence -> licences.put(licence, List.of()));
    }
    switch (made.orElse(null)) {
      case null -> {}
      case Generated generated -> licences.put(generated.licence(), List.of());
      case Packaged packaged -> {
        for (Pick pick : packaged.picks()) {
          List<String> packages =
              licences.computeIfAbsent(pick.licence(), licence -> new ArrayList<>());
          pick.packages().stream()
              .map(PackageName::toString)
              .filter(name -> !packages.contains(name))
              .forEach(packages::add);
        }
      }
    }
    return licences;
  }

  private static Pick pick(Settings settings, String licence) {
    List<PackageName> packages = new ArrayList<>();
    for (String text : settings.texts("package", List.of())) {
      packages.add(
          PackageName.of(text)
              .orElseThrow(() -> settings.wrong("package", PackageName.FORMS, text)));
    }
    if (packages.isEmpty()) {
      throw settings.wrong("package", PackageName.FORMS, null);
    }
    List<String> files = settings.texts("files", List.of("**"));
    List<String> except = settings.texts("except", List.of());
    Extraction as = Extraction.named(settings.choice("as", "text", Extraction.names()));
    String own = settings.text("licence").orElse(licence);
    licence(settings, own);
    settings.noOthers();
    Pick pick = new Pick(packages, files, except, as, own);
    try {
      pick.wanted();
    } catch (PatternSyntaxException e) {
      throw settings.wrong("files", "globs (braces cannot be nested)", e.getPattern());
    }
    return pick;
  }

  private static void licence(Settings settings, @Nullable String licence) {
    if (licence == null || licence.isBlank()) {
      throw settings.wrong("licence", "an SPDX expression, here or in the source", null);
    }
  }

  /** Returns all packages, sorted. */
  TreeSet<PackageName> packages() {
    TreeSet<PackageName> all = new TreeSet<>();
    for (Made source : sources) {
      if (source instanceof Packaged packaged) {
        packaged.picks().forEach(pick -> all.addAll(pick.packages()));
      }
    }
    return all;
  }

  /** Returns the sources whose names are given; all where none is. */
  FetchPlan only(List<String> names) {
    List<String> all = sources.stream().map(Made::name).toList();
    for (String name : names) {
      if (!all.contains(name)) {
        throw InputException.in(
            pipeline,
            "sources",
            "one of " + String.join(", ", all),
            name + Settings.meant(name, all));
      }
    }
    return names.isEmpty()
        ? this
        : new FetchPlan(
            pipeline, sources.stream().filter(source -> names.contains(source.name())).toList());
  }
}
