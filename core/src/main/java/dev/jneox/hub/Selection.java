package dev.jneox.hub;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Selects the files of a repository to fetch. Without {@code include} it selects what a model
 * needs: configuration, tokenizer, and weights of one kind, safetensors before PyTorch's files
 * before a single GGUF file. With it, the files that match a pattern. Files that match {@code
 * exclude} are left out in both cases.
 *
 * @param include shell patterns over whole paths: {@code *} matches anything, folders too, {@code
 *     ?} one character
 * @param exclude likewise
 */
public record Selection(List<String> include, List<String> exclude) {
  /** Selects what a model needs. */
  public static final Selection MODEL = new Selection(List.of(), List.of());

  private static final Pattern TEXTS =
      Pattern.compile(
          "(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\\.json"
              + "|merges\\.txt|tokenizer\\.model|chat_template\\.jinja|additional_chat_templates/[^/]+\\.jinja");

  /** The kinds of weights; the first kind that a repository has is fetched. */
  private static final List<Pattern> WEIGHTS =
      List.of(
          Pattern.compile("model\\.safetensors"),
          Pattern.compile(
              "model\\.safetensors\\.index\\.json|model-\\d{5}-of-\\d{5}\\.safetensors"),
          Pattern.compile("pytorch_model\\.bin"),
          Pattern.compile(
              "pytorch_model\\.bin\\.index\\.json|pytorch_model-\\d{5}-of-\\d{5}\\.bin"),
          Pattern.compile("[^/]+\\.gguf"));

  /**
   * Holds the selected files and the others.
   *
   * @param chosen the files to fetch
   * @param left the others
   */
  public record Choice(List<HubFile> chosen, List<HubFile> left) {}

  /** Copies the lists. */
  public Selection {
    include = List.copyOf(include);
    exclude = List.copyOf(exclude);
  }

  /** Returns whether it selects what a model needs, rather than files by name. */
  boolean isModel() {
    return include.isEmpty();
  }

  /** Divides the files of a repository, or of a folder. */
  public Choice of(List<HubFile> files) {
    Set<HubFile> allowed = new LinkedHashSet<>(files);
    allowed.removeIf(file -> matches(exclude, file.name()));
    Predicate<String> wanted = isModel() ? model(allowed) : name -> matches(include, name);
    List<HubFile> chosen = new ArrayList<>();
    List<HubFile> left = new ArrayList<>();
    for (HubFile file : files) {
      (allowed.contains(file) && wanted.test(file.name()) ? chosen : left).add(file);
    }
    return new Choice(chosen, left);
  }

  private static Predicate<String> model(Collection<HubFile> files) {
    for (Pattern kind : WEIGHTS) {
      long found =
          files.stream()
              .map(HubFile::name)
              .filter(name -> kind.matcher(name).matches())
              .map(Selection::whole)
              .distinct()
              .count();
      boolean oneOfMany = kind == WEIGHTS.getLast() && found > 1;
      if (found > 0 && !oneOfMany) {
        return name -> TEXTS.matcher(name).matches() || kind.matcher(name).matches();
      }
    }
    return name -> TEXTS.matcher(name).matches();
  }

  /** Returns the name of a split GGUF file without the number of the part; else the name. */
  static String whole(String name) {
    return name.replaceFirst("-\\d{5}-of-(\\d{5}[.]gguf)$", "-of-$1");
  }

  /** Returns whether {@code name} holds weights of a kind that can be opened. */
  static boolean isWeights(String name) {
    return WEIGHTS.stream().anyMatch(kind -> kind.matcher(name).matches())
        && !name.endsWith(".json");
  }

  private static boolean matches(List<String> patterns, String name) {
    return patterns.stream().anyMatch(pattern -> glob(pattern).matcher(name).matches());
  }

  private static Pattern glob(String pattern) {
    StringBuilder regex = new StringBuilder();
    for (char c : pattern.toCharArray()) {
      regex.append(c == '*' ? ".*" : c == '?' ? "." : Pattern.quote(String.valueOf(c)));
    }
    return Pattern.compile(regex.toString(), Pattern.DOTALL);
  }
}
