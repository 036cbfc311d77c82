package dev.jneox.template;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Holds the chat templates that a model came with, and the special tokens that they may name.
 *
 * @param sources text of each template by name; {@link #DEFAULT} is used unless there are tools and
 *     a template {@link #TOOLS}
 * @param specialTokens text of each by its variable, {@code bos_token} and the like
 * @param origin the folder or file, for errors
 */
public record ChatTemplates(
    Map<String, String> sources, Map<String, String> specialTokens, String origin) {
  /** The name of the template for any conversation. */
  public static final String DEFAULT = "default";

  /** The name of the template for conversations with tools, where a model has one. */
  public static final String TOOLS = "tool_use";

  /** The variables of special tokens. */
  public static final List<String> SPECIAL_TOKENS =
      List.of(
          "bos_token",
          "eos_token",
          "unk_token",
          "sep_token",
          "pad_token",
          "cls_token",
          "mask_token");

  /** The file of a tokenizer's settings, with a template or several, in a folder of HF. */
  public static final String CONFIG = "tokenizer_config.json";

  /** The file of the default template alone. */
  public static final String FILE = "chat_template.jinja";

  /** The folder of further templates, each a file of its name. */
  public static final String FOLDER = "additional_chat_templates";

  private static final String KEY = "chat_template";
  private static final String OLD_FILE = "chat_template.json";
  private static final String TOKENS = "special_tokens_map.json";
  private static final String ENDING = ".jinja";
  private static final long MAX_JSON = 16 << 20;

  /** Copies the maps, in their order. */
  public ChatTemplates {
    sources = Collections.unmodifiableMap(new LinkedHashMap<>(sources));
    specialTokens = Collections.unmodifiableMap(new LinkedHashMap<>(specialTokens));
  }

  /**
   * Reads the templates of a folder of HF transformers. {@code chat_template.jinja} and {@code
   * additional_chat_templates} replace those in {@code tokenizer_config.json}.
   *
   * @return empty when the folder has none
   * @throws InputException when a file has another form
   */
  public static Optional<ChatTemplates> of(Path folder) {
    Map<String, String> sources = files(folder);
    Optional<JsonObject> config = json(folder.resolve(CONFIG));
    if (sources.isEmpty() && config.isPresent()) {
      sources = listed(config.get());
    }
    if (sources.isEmpty()) {
      sources = json(folder.resolve(OLD_FILE)).map(ChatTemplates::listed).orElse(sources);
    }
    if (sources.isEmpty()) {
      return Optional.empty();
    }
    Map<String, String> tokens = new LinkedHashMap<>();
    config.ifPresent(json -> tokens(json, tokens));
    json(folder.resolve(TOKENS)).ifPresent(json -> tokens(json, tokens));
    return Optional.of(new ChatTemplates(sources, tokens, folder.toString()));
  }

  private static Optional<JsonObject> json(Path file) {
    return Files.isRegularFile(file)
        ? Optional.of(JsonObject.read(file, MAX_JSON))
        : Optional.empty();
  }

  private static Map<String, String> files(Path folder) {
    Map<String, String> sources = new LinkedHashMap<>();
    if (Files.isRegularFile(folder.resolve(FILE))) {
      sources.put(DEFAULT, text(folder.resolve(FILE)));
    }
    Path more = folder.resolve(FOLDER);
    if (Files.isDirectory(more)) {
      Map<String, Path> named = new TreeMap<>();
      try (Stream<Path> files = Files.list(more)) {
        files.forEach(file -> named.put(file.getFileName().toString(), file));
      } catch (IOException e) {
        throw StorageException.of(more, "cannot be read", e);
      }
      named.forEach(
          (name, file) -> {
            if (name.endsWith(ENDING)) {
              sources.put(name.substring(0, name.length() - ENDING.length()), text(file));
            }
          });
    }
    return sources;
  }

  private static String text(Path file) {
    try {
      return InputFile.text(file, 4L * Limits.SOURCE);
    } catch (IOException e) {
      throw StorageException.ofText(file, e);
    }
  }

  /** Reads a template, or a list of templates with names. */
  private static Map<String, String> listed(JsonObject json) {
    Map<String, String> sources = new LinkedHashMap<>();
    JsonNode value = json.node(KEY).orElse(null);
    if (value == null) {
      return sources;
    }
    if (value.isTextual()) {
      sources.put(DEFAULT, value.textValue());
      return sources;
    }
    for (JsonNode each : value) {
      if (!value.isArray()
          || !each.path("name").isTextual()
          || !each.path("template").isTextual()) {
        throw json.unsupported(KEY, "text, or a list of objects with a name and a template");
      }
      sources.put(each.path("name").textValue(), each.path("template").textValue());
    }
    if (sources.isEmpty()) {
      throw json.unsupported(KEY, "text, or a list of objects with a name and a template");
    }
    return sources;
  }

  /** Reads special tokens: texts, or objects with a content. Those that are there stay. */
  private static void tokens(JsonObject json, Map<String, String> into) {
    for (String name : SPECIAL_TOKENS) {
      JsonNode value = json.node(name).orElse(null);
      JsonNode text = value != null && value.isObject() ? value.path("content") : value;
      if (text != null && text.isTextual()) {
        into.putIfAbsent(name, text.textValue());
      } else if (text != null) {
        throw json.unsupported(name, "text, or an object with a content");
      }
    }
  }

  /** Returns the keys of a {@link #CONFIG} that hold the templates and the special tokens. */
  public Map<String, Object> config() {
    Map<String, Object> json = new LinkedHashMap<>(specialTokens);
    String only = sources.size() == 1 ? sources.get(DEFAULT) : null;
    if (only != null) {
      json.put(KEY, only);
    } else {
      List<Map<String, String>> list = new ArrayList<>();
      sources.forEach(
          (name, source) -> {
            Map<String, String> each = new LinkedHashMap<>();
            each.put("name", name);
            each.put("template", source);
            list.add(each);
          });
      json.put(KEY, list);
    }
    return json;
  }

  /**
   * Parses a template; keep the result where it is rendered often.
   *
   * @throws InputException when there is none of the name, or it is no template
   */
  public ChatTemplate template(String name) {
    String source = sources.get(name);
    if (source == null) {
      throw new InputException(
          origin
              + ": chat template: expected one of "
              + String.join(", ", sources.keySet())
              + ", found "
              + JsonObject.quoted(name));
    }
    boolean plain = name.equals(DEFAULT);
    return ChatTemplate.parse(source, origin + ": chat template" + (plain ? "" : " " + name));
  }

  /**
   * Parses the template for a conversation.
   *
   * @param tools whether it has tools
   * @throws InputException when it is no template, or the model has none for it
   */
  public ChatTemplate template(boolean tools) {
    return template(tools && sources.containsKey(TOOLS) ? TOOLS : DEFAULT);
  }

  /**
   * Renders a conversation by the template for it, with the special tokens.
   *
   * @param messages each with a {@code role} and a {@code content}
   * @param tools JSON schemas of functions; empty for none
   * @param addGenerationPrompt whether the text ends where the answer begins
   * @param more further variables, which replace special tokens of the same name
   * @throws InputException when the template raises an exception, fails, or costs too much
   */
  public String render(
      List<? extends Map<String, ?>> messages,
      List<? extends Map<String, ?>> tools,
      boolean addGenerationPrompt,
      Map<String, ? extends @Nullable Object> more) {
    Map<String, @Nullable Object> variables = new LinkedHashMap<>(specialTokens);
    variables.putAll(more);
    return template(!tools.isEmpty()).render(messages, tools, addGenerationPrompt, variables);
  }
}
