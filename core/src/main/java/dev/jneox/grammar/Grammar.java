package dev.jneox.grammar;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.infer.TokenConstraint;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.VisibleText;
import java.util.BitSet;
import java.util.List;

/**
 * Is a form that texts are held to while a model writes them. It is read once and, with the tokens
 * of a model, gives a {@link TokenConstraint} for any number of requests.
 *
 * <p>A text that ends by itself has the form; one that {@code maxTokens} cuts is the beginning of
 * such a text. At any place the text can still be completed. A form for which a walk over the
 * vocabulary would take too long is narrowed: longer tokens, or some of many ambiguous ways to go
 * on, are then left out.
 *
 * <p>JSON is written without white space, except that one space may follow a comma and a colon.
 * Nesting is bounded (about 60 levels). Integers have at most 18 digits, other numbers 15 before
 * and 15 behind the point and an exponent of two digits. Names of properties that a schema does not
 * list may repeat; readers take the last.
 *
 * <p>Immutable.
 */
public final class Grammar {
  /** The longest text of a schema, in UTF-16 units, and the most choices. */
  private static final int LONGEST = 1 << 20;

  private static final ObjectMapper JSON =
      new ObjectMapper(
              JsonFactory.builder()
                  .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(500)
                          .maxNumberLength(500)
                          .build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);

  private final String subject;
  private final Network network;
  private final int rule;

  private Grammar(String subject, Network network, int rule) {
    this.subject = subject;
    this.network = network;
    this.rule = rule;
    String loop = network.leftRecursive();
    if (!loop.isEmpty()) {
      throw new InputException(
          subject
              + ": "
              + shown(loop)
              + ": expected a part that does not begin with itself, found one that does");
    }
    BitSet all = new BitSet();
    all.set(0, 256);
    int[] needs = network.needs(all);
    int need = needs[network.start(rule)];
    if (need == Network.NEVER) {
      throw new InputException(
          subject + ": " + shown(impossible(needs)) + ": expected a text of this form, found none");
    }
    if (need > Network.DEEPEST) {
      throw new InputException(
          subject
              + ": expected parts at most "
              + Network.DEEPEST
              + " deep in each other, found "
              + need);
    }
  }

  /** Returns the name of a rule without a text, one within others if there are several. */
  private String impossible(int[] needs) {
    for (int i = network.rules() - 1; i >= 0; i--) {
      if (needs[network.start(i)] == Network.NEVER && !network.name(i).isEmpty()) {
        return network.name(i);
      }
    }
    return network.name(rule);
  }

  private static String shown(String text) {
    return VisibleText.of(JsonObject.shortened(text));
  }

  /**
   * Reads a regular expression that the whole text is to match: literals, classes, {@code \d \w \s
   * \p{L}}, the dot, groups, alternatives and quantifiers, as ECMAScript has them. An anchor may
   * stand at the ends. Lookaround, backreferences, word boundaries and flags are refused.
   *
   * @throws InputException with the position (from 1), what was expected and what was found
   * @throws dev.jneox.io.CancelledException if the thread is interrupted
   */
  public static Grammar regex(String expression) {
    Nfa nfa = Nfa.of(RegexReader.whole(expression));
    Network network = new Network();
    int rule = network.rule("expression");
    if (nfa.hasText()) {
      nfa.write(network, network.start(rule), network.end(rule), network::characters);
    }
    return new Grammar("regular expression", network, rule);
  }

  /** Reads a JSON Schema from its text; see {@link #jsonSchema(JsonNode)}. */
  public static Grammar jsonSchema(String schema) {
    if (schema.length() > LONGEST) {
      throw new InputException(
          "JSON schema: expected at most " + LONGEST + " characters, found " + schema.length());
    }
    try {
      return jsonSchema(JSON.readTree(schema));
    } catch (JsonProcessingException e) {
      int line = e.getLocation() == null ? 1 : e.getLocation().getLineNr();
      int column = e.getLocation() == null ? 1 : e.getLocation().getColumnNr();
      throw new InputException(
          "JSON schema: line "
              + line
              + ", column "
              + column
              + ": expected JSON, found: "
              + shown(JsonObject.problem(e)),
          e);
    } catch (NumberFormatException e) { // of an exponent that no BigDecimal has
      throw new InputException(
          "JSON schema: expected numbers with exponents of 32 bits, found: "
              + shown(String.valueOf(e.getMessage())),
          e);
    }
  }

  /**
   * Reads a JSON Schema, as draft 2020-12 and earlier ones define it, as far as its values form a
   * grammar.
   *
   * <ul>
   *   <li>Properties come in the order of {@code properties}, then those that are only in {@code
   *       required}, then others. Without {@code additionalProperties} others are written only
   *       where no property is listed.
   *   <li>A schema without a type is one of the type that its keywords are about.
   *   <li>{@code pattern} matches anywhere, as the specification says; {@code ^} and {@code $} may
   *       stand at the ends of its alternatives.
   *   <li>{@code format}: date, time, date-time, duration, email, hostname, ipv4, ipv6, uuid, uri
   *       and json-pointer, each a part of what the format allows; others allow any text.
   *   <li>{@code minimum} and its like are exact. Numbers of a range have at most 15 digits in all
   *       and no exponent. {@code multipleOf} is an integer up to 1000 or a power of a tenth.
   *   <li>The schemas of {@code oneOf} must be told apart by type, by values, or by a required
   *       property. {@code allOf} and a {@code $ref} with keywords beside it hold together.
   *   <li>{@code $ref} leads to a place in the schema and may be recursive.
   *   <li>{@code nullable} adds null. Keywords that say nothing of a value are ignored.
   *   <li>{@code not}, {@code if}, {@code patternProperties}, {@code unevaluatedProperties}, {@code
   *       dependentSchemas}, {@code contains}, {@code uniqueItems} and their like are refused.
   * </ul>
   *
   * @throws InputException with the JSON pointer, what was expected and what was found
   * @throws dev.jneox.io.CancelledException if the thread is interrupted
   */
  public static Grammar jsonSchema(JsonNode schema) {
    Network network = new Network();
    try {
      return new Grammar("JSON schema", network, SchemaReader.write(schema, network));
    } catch (InputException e) {
      String message = String.valueOf(e.getMessage());
      throw message.startsWith("JSON schema") ? e : e.withMessage("JSON schema: " + message);
    }
  }

  /** Returns the form of any JSON object. */
  public static Grammar json() {
    Network network = new Network();
    int rule = network.rule("object");
    new JsonText(network).object(network.start(rule), network.end(rule));
    return new Grammar("JSON", network, rule);
  }

  /**
   * Returns the form of one of some texts.
   *
   * @throws InputException if there is none, or an empty one
   */
  public static Grammar choice(List<String> texts) {
    if (texts.isEmpty() || texts.contains("")) {
      throw new InputException(
          "choice: expected texts, found " + (texts.isEmpty() ? "none" : "an empty one"));
    }
    Network network = new Network();
    int rule = network.rule("choice");
    try {
      network.texts(network.start(rule), texts, network.end(rule));
    } catch (InputException e) {
      throw e.withMessage("choice: " + e.getMessage());
    }
    return new Grammar("choice", network, rule);
  }

  /**
   * Returns the constraint of this form on the ids of a model. It keeps what it finds, for all
   * requests that it is given to.
   *
   * @throws InputException if the vocabulary cannot write the form byte by byte
   */
  public TokenConstraint over(TokenTrie tokens) {
    int[] needs = network.needs(tokens.writable());
    int start = network.start(rule);
    if (needs[start] > Network.DEEPEST) {
      int missing = network.missing(tokens.writable()).nextSetBit(0);
      throw new InputException(
          subject
              + ": expected a vocabulary with a token for each byte of the form, found none for 0x"
              + String.format("%02X", missing)
              + (missing > ' ' && missing < 0x7F ? " ('" + (char) missing + "')" : ""));
    }
    return new TokenMasks(tokens, new Automaton(network, needs, start));
  }
}
