package dev.jneox.tokenizer;

import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Implements any tokenizer that a {@code tokenizer.json} describes, with the results of the Hugging
 * Face {@code tokenizers} library (0.21). It cuts added tokens out, normalizes the rest, splits it
 * into words and encodes them by a model; a decoder turns tokens into text. It rejects features of
 * the file that it does not have. It adds no special tokens and does not apply truncation and
 * padding.
 */
public final class PipelineTokenizer implements Tokenizer {
  /** The most parts of nested sequences, each of which takes space on a thread's stack. */
  private static final int MOST_PARTS = 100;

  private final Path path;
  private final @Nullable Normalizer normalizer; // null for none
  private final PreTokenizer preTokenizer;
  private final WordModel model;
  private final Decoder decoder;
  private final Map<String, Integer> addedIds = new HashMap<>();
  private final Map<Integer, AddedToken> addedTokens = new HashMap<>();
  private final AddedTokens raw;
  private final AddedTokens normalized;
  private final int vocabSize;
  private final ConcurrentLinkedDeque<Encoder> idle = new ConcurrentLinkedDeque<>();

  private PipelineTokenizer(TokenizerFile file) {
    path = file.path();
    JsonKey version = key(file, "version");
    if (!version.isAbsent() && !version.string().equals("1.0")) {
      throw version.expected("1.0");
    }
    JsonKey key = key(file, "normalizer");
    normalizer = key.isAbsent() ? null : Normalizer.read(key);
    key = key(file, "pre_tokenizer");
    preTokenizer = key.isAbsent() ? new PreTokenizer.Sequence(List.of()) : PreTokenizer.read(key);
    key = key(file, "post_processor");
    if (!key.isAbsent()) {
      checkPostProcessor(key);
    }
    key = key(file, "decoder");
    decoder = key.isAbsent() ? new Decoder.Spaces() : Decoder.read(key);
    model = WordModel.read(file, key(file, "model"));

    List<AddedToken> tokens = number(file);
    raw = finder(tokens.stream().filter(token -> !token.normalized()).toList(), null);
    normalized = finder(tokens.stream().filter(AddedToken::normalized).toList(), normalizer);
    int lastAdded = addedTokens.keySet().stream().max(Integer::compare).orElse(-1);
    vocabSize = Math.max(file.modelSize(), 1 + lastAdded);
  }

  private static JsonKey key(TokenizerFile file, String name) {
    JsonKey key = new JsonKey(file.path(), name, file.node(name));
    int parts = key.node().findValues("type").size();
    if (parts > MOST_PARTS) {
      throw key.expected("at most " + MOST_PARTS + " parts", parts + " parts");
    }
    return key;
  }

  /**
   * Loads a local {@code tokenizer.json}.
   *
   * @throws InputException when it cannot be used; the message has the reason
   */
  public static PipelineTokenizer load(Path path) {
    return of(TokenizerFile.read(path));
  }

  static PipelineTokenizer of(TokenizerFile file) {
    return new PipelineTokenizer(file);
  }

  /**
   * Checks that the post-processor leaves a single text unchanged when special tokens are not
   * requested.
   */
  private static void checkPostProcessor(JsonKey key) {
    switch (key.type()) {
      case "ByteLevel", "BertProcessing", "RobertaProcessing" -> {}
      case "Sequence" ->
          key.at("processors").entries().forEach(PipelineTokenizer::checkPostProcessor);
      case "TemplateProcessing" -> {
        List<String> texts =
            key.at("single").entries().stream()
                .map(piece -> piece.at("Sequence").at("id"))
                .filter(id -> !id.isAbsent())
                .map(JsonKey::string)
                .toList();
        if (!texts.equals(List.of("A"))) {
          throw key.at("single").expected("a template with the text A in it once");
        }
      }
      default ->
          throw key.at("type")
              .expected(
                  "BertProcessing, ByteLevel, RobertaProcessing, Sequence or TemplateProcessing");
    }
  }

  /**
   * Assigns each added token its id: the id in the vocabulary, or the next free one, whatever id
   * the file states. Returns the tokens to match, special ones first, with the flags and ids that
   * apply.
   */
  private List<AddedToken> number(TokenizerFile file) {
    Map<String, AddedToken> special = new LinkedHashMap<>();
    for (AddedToken token : file.added()) {
      if (!Utf8.wellFormed(token.content()).equals(token.content())) {
        throw InputException.in(
            path,
            "key added_tokens, token " + JsonObject.shortened(token.content()),
            "whole characters",
            "half of a surrogate pair");
      }
      if (token.special() && !token.content().isEmpty()) {
        special.putIfAbsent(token.content(), token);
      }
    }
    List<AddedToken> others = new ArrayList<>();
    int next = model.size();
    for (AddedToken token : file.added()) {
      if (token.content().isEmpty()) {
        continue;
      }
      Integer id = addedIds.getOrDefault(token.content(), model.id(token.content()));
      if (id == null) {
        id = next;
      }
      if (token.withId(id).equals(addedTokens.get(id))) {
        continue; // there twice with the same flags
      }
      next = Math.max(next, id + 1);
      addedIds.put(token.content(), id);
      addedTokens.put(id, token.withId(id));
      if (!special.containsKey(token.content())) {
        others.add(token);
      }
    }
    List<AddedToken> all = new ArrayList<>(special.values());
    all.addAll(others);
    return all.stream()
        .map(token -> token.withId(Objects.requireNonNull(addedIds.get(token.content()))))
        .toList();
  }

  private AddedTokens finder(List<AddedToken> tokens, @Nullable Normalizer form) {
    List<AddedToken> found = new ArrayList<>();
    List<char[]> written = new ArrayList<>();
    Work work = new Work(path);
    long length = 0;
    for (AddedToken token : tokens) {
      String text = token.content();
      if (form != null) {
        text = form.normalize(text, work.begin(text.length()));
      }
      length += text.length();
      if (text.isEmpty() || length >= Trie.LARGEST) {
        throw InputException.in(
            path,
            "key added_tokens, token " + JsonObject.shortened(token.content()),
            text.isEmpty() ? "something left of it when normalized" : "shorter tokens",
            text.isEmpty() ? "nothing" : "more than " + Trie.LARGEST + " characters in all");
      }
      written.add(text.toCharArray());
      found.add(addedTokens.get(token.id())); // its last flags count
    }
    return new AddedTokens(found, written);
  }

  @Override
  public int[] encode(String text) {
    Encoder encoder = idle.pollFirst();
    if (encoder == null) {
      encoder = new Encoder();
    }
    int[] ids = encoder.encode(Utf8.wellFormed(text));
    idle.offerFirst(encoder); // an encoder that failed is not reused
    return ids;
  }

  /** Views a text as UTF-16, in which added tokens are matched. */
  private record Utf16(String string) implements AddedTokens.Text {
    @Override
    public int symbol(int at) {
      return string.charAt(at);
    }

    @Override
    public int codePoint(int at) {
      return string.codePointAt(at);
    }

    @Override
    public int before(int at) {
      return at - Character.charCount(string.codePointBefore(at));
    }

    @Override
    public int after(int at) {
      return at + Character.charCount(string.codePointAt(at));
    }
  }

  /** Encodes one text at a time. */
  private final class Encoder {
    private static final int CACHED_WORDS = 1 << 15;
    private static final int LONGEST_CACHED = 64;

    private final IdList ids = new IdList();
    private final Work work = new Work(path);

    /** The ids of words encoded before. */
    private final Map<String, int[]> cache = new HashMap<>();

    int[] encode(String text) {
      work.begin(text.length());
      if (!text.isEmpty()) {
        Piece all = Piece.of(text, true, Character.charCount(text.codePointAt(0)));
        cut(raw, all, this::normalize);
      }
      work.end();
      return ids.take();
    }

    private void cut(AddedTokens tokens, Piece piece, Consumer<Piece> between) {
      tokens.cut(
          new Utf16(piece.text()),
          piece.from(),
          piece.to(),
          new AddedTokens.Parts() {
            @Override
            public void token(int id) {
              ids.add(id);
            }

            @Override
            public void text(int from, int to) {
              between.accept(piece.part(from, to));
            }
          });
    }

    private void normalize(Piece piece) {
      if (normalizer == null) {
        cut(normalized, piece, this::split);
        return;
      }
      String text = piece.string();
      String form = normalizer.normalize(text, work);
      int leading =
          piece.first() ? normalizer.leading(text, piece.leading() - piece.from(), work) : 0;
      if (!form.isEmpty()) {
        cut(normalized, Piece.of(form, piece.first(), leading), this::split);
      }
    }

    private void split(Piece piece) {
      preTokenizer.split(piece, work, this::encode);
    }

    private void encode(Piece word) {
      String text = word.string();
      if (text.length() > LONGEST_CACHED) {
        model.encode(text, ids, work);
        return;
      }
      int[] known = cache.get(text);
      if (known != null) {
        ids.addAll(known);
        return;
      }
      int start = ids.size();
      model.encode(text, ids, work);
      if (cache.size() == CACHED_WORDS) {
        cache.clear();
      }
      cache.put(text, ids.from(start));
    }
  }

  @Override
  public String decode(int[] ids) {
    Decoding decoding = new Decoding();
    StringBuilder text = new StringBuilder();
    for (int id : ids) {
      text.append(decoding.next(id));
    }
    return text.append(decoding.end()).toString();
  }

  /** Decodes ids one at a time. */
  final class Decoding {
    private final StringBuilder ready = new StringBuilder();
    private final Work work = new Work(path);
    private final Decoder.Sink sink =
        decoder.to(
            new Decoder.Sink() {
              @Override
              public void part(String text) {
                ready.append(text);
              }

              @Override
              public void endToken() {}

              /** Returns the remaining text. */
              @Override
              public void end() {}
            },
            work.begin(0));

    /** Returns the text that is final after this id. */
    String next(int id) {
      AddedToken added = addedTokens.get(id);
      String token = added != null ? added.content() : model.token(id);
      if (token == null) {
        return "";
      }
      work.grant(token.length());
      sink.token(token);
      return take();
    }

    /** Returns the rest of the text. */
    String end() {
      sink.end();
      return take();
    }

    private String take() {
      String text = ready.toString();
      ready.setLength(0);
      return text;
    }
  }

  @Override
  public byte[] bytes(int id, boolean first) {
    String token = addedTokens.containsKey(id) ? null : model.token(id);
    if (token == null) {
      return new byte[0];
    }
    return decoder
        .bytes(token, first, new Work(path).begin(token.length()))
        .orElseThrow(
            () ->
                InputException.in(
                    path,
                    "key decoder",
                    "one by which each token adds a text of its own",
                    decoder.getClass().getSimpleName()));
  }

  @Override
  public int vocabSize() {
    return vocabSize;
  }

  @Override
  public OptionalInt id(String token) {
    Integer id = addedIds.getOrDefault(token, model.id(token));
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /** Clears the cache of words; no other resource is held. */
  @Override
  public void close() {
    idle.clear();
  }
}
