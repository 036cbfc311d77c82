package dev.jneox.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.grammar.Forms.Case;
import dev.jneox.grammar.Forms.Drawn;
import dev.jneox.infer.TokenConstraint;
import dev.jneox.io.InputException;
import dev.jneox.tokenizer.Tokenizer;
import java.math.BigDecimal;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.ToIntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class JsonSchemaTest {
  private static final Tokenizer TOKENIZER = Forms.tokenizer();
  private static final TokenTrie TRIE = TokenTrie.of(TOKENIZER, List.of(0));

  static Stream<Case> cases() {
    return Forms.cases().stream();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void everyTextThatEndsIsValid(Case each) {
    Judge judge = new Judge(each.schema());
    TokenConstraint constraint = Grammar.jsonSchema(each.schema()).over(TRIE);
    Set<String> texts = new HashSet<>();
    int ended = 0;
    for (int seed = 0; seed < 40; seed++) {
      Random random = new Random(seed);
      Drawn drawn =
          Forms.draw(constraint, TRIE, 600, seed % 2 == 0 ? Forms.any(random) : closing(random));
      if (drawn.ended()) {
        ended++;
        texts.add(drawn.text());
        assertThat(judge.faults(drawn.text())).as(drawn.text()).isEmpty();
        assertThat(TOKENIZER.decode(drawn.ids().stream().mapToInt(Integer::intValue).toArray()))
            .isEqualTo(drawn.text());
      }
    }
    assertThat(ended).isGreaterThanOrEqualTo(10);
    assertThat(texts).isNotEmpty();
  }

  /** Takes ids that close something where there are some, half of the times. */
  private static ToIntFunction<BitSet> closing(Random random) {
    ToIntFunction<BitSet> any = Forms.any(random);
    return allowed -> {
      BitSet closing = new BitSet();
      allowed.stream()
          .filter(
              id ->
                  "]}\""
                          .indexOf(
                              (char)
                                  (TRIE.bytes(id, false).length == 0
                                      ? 0
                                      : TRIE.bytes(id, false)[0]))
                      >= 0)
          .forEach(closing::set);
      return closing.isEmpty() || random.nextBoolean()
          ? any.applyAsInt(allowed)
          : any.applyAsInt(closing);
    };
  }

  /** Makes a schema of random keywords. */
  private static ObjectNode schema(Random random, int depth) {
    ObjectNode schema = Forms.JSON.createObjectNode();
    switch (random.nextInt(depth > 0 ? 11 : 7)) {
      case 0 -> schema.put("type", random.nextBoolean() ? "boolean" : "null");
      case 1 -> {
        int low = random.nextInt(2000) - 1000;
        schema
            .put("type", "integer")
            .put(random.nextBoolean() ? "minimum" : "exclusiveMinimum", low);
        schema.put("maximum", low + 1 + random.nextInt(random.nextBoolean() ? 3 : 3000));
      }
      case 2 -> {
        BigDecimal low = BigDecimal.valueOf(random.nextInt(20000) - 10000, random.nextInt(4));
        BigDecimal high = low.add(BigDecimal.valueOf(1 + random.nextInt(5000), random.nextInt(5)));
        schema
            .put("type", "number")
            .put(random.nextBoolean() ? "minimum" : "exclusiveMinimum", low);
        schema.put(random.nextBoolean() ? "maximum" : "exclusiveMaximum", high);
      }
      case 3 -> {
        int least = random.nextInt(4);
        schema.put("type", "string").put("minLength", least);
        schema.put("maxLength", least + random.nextInt(6));
      }
      case 4 -> schema.put("type", "string").put("pattern", "^[a-cé\"]{1,3}(x|yz)?$");
      case 5 -> schema.putArray("enum").add(1).add("ä\"").addNull().add("1");
      case 6 -> schema.put("type", "integer").put("multipleOf", 1 + random.nextInt(40));
      case 7, 8 -> {
        schema.put("type", "object");
        ObjectNode properties = schema.putObject("properties");
        for (int i = random.nextInt(4); i >= 0; i--) {
          String name = "p\"" + (char) ('a' + i);
          properties.set(name, schema(random, depth - 1));
          if (random.nextBoolean()) {
            schema.withArray("required").add(name);
          }
        }
        switch (random.nextInt(3)) {
          case 0 -> schema.put("additionalProperties", false);
          case 1 -> schema.set("additionalProperties", schema(random, 0));
          default -> {}
        }
        schema.put("maxProperties", properties.size() + random.nextInt(2));
      }
      case 9 -> {
        schema.put("type", "array").set("items", schema(random, depth - 1));
        int least = random.nextInt(3);
        schema.put("minItems", least).put("maxItems", least + random.nextInt(3));
        if (random.nextBoolean()) {
          schema.putArray("prefixItems").add(schema(random, depth - 1));
        }
      }
      default -> {
        ArrayNode any = schema.putArray(random.nextInt(4) == 0 ? "allOf" : "anyOf");
        any.add(schema(random, depth - 1)).add(schema(random, depth - 1));
      }
    }
    return schema;
  }

  @Tag("slow")
  @Test
  void textsOfRandomSchemasAreValid() {
    int ended = 0;
    int refused = 0;
    for (int n = 0; n < 400; n++) {
      Random random = new Random(n);
      ObjectNode schema = schema(random, 3);
      TokenConstraint constraint;
      try {
        constraint = Grammar.jsonSchema(schema).over(TRIE);
      } catch (InputException e) {
        // Two schemas that no value has, or names beyond the largest number.
        assertThat(e.getMessage()).as(schema.toString()).contains("JSON schema: #");
        assertThat(schema.toString()).contains("allOf");
        refused++;
        continue;
      }
      Judge judge = new Judge(schema);
      for (int i = 0; i < 5; i++) {
        Drawn drawn =
            Forms.draw(constraint, TRIE, 300, i % 2 == 0 ? Forms.any(random) : closing(random));
        if (drawn.ended()) {
          ended++;
          assertThat(judge.faults(drawn.text())).as(schema + " " + drawn.text()).isEmpty();
        }
      }
    }
    assertThat(refused).isLessThan(60);
    assertThat(ended).isGreaterThan(1200);
  }

  /** The first and the last id that is allowed: what a model likes least. */
  @ParameterizedTest
  @MethodSource("cases")
  void stubbornChoicesLeadToBeginningsThatCanBeCompleted(Case each) {
    Judge judge = new Judge(each.schema());
    TokenConstraint constraint = Grammar.jsonSchema(each.schema()).over(TRIE);
    for (ToIntFunction<BitSet> choose :
        List.<ToIntFunction<BitSet>>of(
            allowed -> allowed.length() - 1, allowed -> allowed.nextSetBit(0))) {
      Drawn drawn = Forms.draw(constraint, TRIE, 300, choose);
      if (drawn.ended()) {
        assertThat(judge.faults(drawn.text())).as(drawn.text()).isEmpty();
      } else {
        assertThat(drawn.ids()).hasSize(300);
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '§',
      quoteCharacter = '`',
      value = {
        "{\"not\":{}}§#/not: expected a keyword that is supported, found one that is not",
        "{\"properties\":{\"a/b~\":{\"if\":true}}}§#/properties/a~1b~0/if: expected a keyword",
        "{\"items\":{\"patternProperties\":{}}}§#/items/patternProperties: expected a keyword",
        "{\"type\":\"array\",\"uniqueItems\":true}§#/uniqueItems: expected a keyword",
        "{\"type\":\"strin\"}§#/type: expected array, boolean",
        "{\"$ref\":\"#/$defs/x\"}§#/$ref: expected a place that is in this schema, found #/$defs/x",
        "{\"$ref\":\"http://x.org/y\"}§#/$ref: expected a place in this schema",
        "{\"$ref\":\"#\"}§#: expected references that lead to a value within this one",
        "{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}§#/anyOf/0: expected a part that does"
            + " not begin with itself, found one",
        "{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}§#/properties/a: expected a"
            + " text of this form",
        "{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}§#: expected a text of this form, found"
            + " none",
        "{\"type\":\"string\",\"enum\":[1]}§#: expected a text of this form, found none",
        "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}§#/oneOf/1: expected a schema"
            + " that cannot",
        "{\"pattern\":\"a(?=b)\"}§#/pattern: regular expression: position 2: expected no"
            + " lookaround",
        "{\"multipleOf\":0.3}§#/multipleOf: expected an integer from 1 to 1000, or 0.1",
        "{\"minLength\":-1}§#/minLength: expected a count, found -1",
        "{\"required\":\"a\"}§#/required: expected a list of names, found",
        "{\"minProperties\":2}§#/minProperties: expected at most the 1 required",
        "[1]§#: expected a schema: an object, true or false, found [1]",
        "false§#: expected a text of this form, found none",
        "{\"a\":1,\"a\":2}§line 1, column 11: expected JSON, found: Duplicate",
        "{\"enum\":[\"\\ud800\"]}§#: expected whole characters, found half of a surrogate pair",
        "{§line 1, column 2: expected JSON",
      })
  void whatIsNotSupportedIsNamedWithItsPointer(String schema, String message) {
    assertThatThrownBy(() -> Grammar.jsonSchema(schema))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("JSON schema: " + message)
        .hasMessageNotContaining("\n");
  }

  static Stream<String> hostile() {
    StringBuilder names = new StringBuilder("\"x\"");
    for (int i = 0; i < 60_000; i++) {
      names.append(",\"").append(Integer.toString(i * 7919, 36)).append("zzzzz\"");
    }
    StringBuilder groups = new StringBuilder("{\"allOf\":[");
    for (int i = 0; i < 30; i++) {
      groups.append(i == 0 ? "" : ",").append("{\"anyOf\":[{\"minLength\":").append(i);
      groups.append("},{\"maxLength\":").append(100 + i).append("}]}");
    }
    StringBuilder chain = new StringBuilder("{\"$ref\":\"#/$defs/a0\",\"$defs\":{");
    for (int i = 0; i < 3000; i++) {
      chain.append("\"a" + i + "\":{\"$ref\":\"#/$defs/a" + (i + 1) + "\"},");
    }
    StringBuilder diamonds = new StringBuilder("{\"$ref\":\"#/$defs/a0\",\"$defs\":{");
    for (int i = 0; i < 90; i++) {
      String next = "{\"$ref\":\"#/$defs/a" + (i + 1) + "\"}";
      diamonds.append("\"a" + i + "\":{\"allOf\":[" + next + "," + next + "]},");
    }
    return Stream.of(
        "{\"enum\":[" + names + "]}",
        groups + "]}",
        chain + "\"a3000\":{\"type\":\"null\"}}}",
        diamonds + "\"a90\":{\"not\":{}}}}",
        "{\"items\":".repeat(600) + "{}" + "}".repeat(600),
        "{\"minItems\":1,\"items\":".repeat(200) + "{\"type\":\"null\"}" + "}".repeat(200),
        "{\"pattern\":\"^(a|b){0,100000}$\"}",
        "{\"pattern\":\"^((a|b){0,1000}){0,1000}$\"}",
        "{\"required\":[\"a\"],\"properties\":{\"a\":".repeat(150)
            + "{\"type\":\"null\"}"
            + "}}".repeat(150));
  }

  @Tag("slow")
  @ParameterizedTest
  @MethodSource("hostile")
  void hostileSchemasAreRefusedSoon(String schema) {
    long start = Forms.cpuNanos();
    assertThatThrownBy(() -> Grammar.jsonSchema(schema))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("JSON schema: ")
        .hasMessageContaining("expected")
        .hasMessageNotContaining("\n");
    assertThat((Forms.cpuNanos() - start) / 1e9).isLessThan(2);
  }

  @Test
  void nullableAddsNull() {
    TokenConstraint constraint =
        Grammar.jsonSchema("{\"type\":\"boolean\",\"nullable\":true}").over(TRIE);
    Set<String> texts = new HashSet<>();
    for (int seed = 0; seed < 60; seed++) {
      texts.add(Forms.draw(constraint, TRIE, 20, Forms.any(new Random(seed))).text());
    }
    assertThat(texts).containsExactlyInAnyOrder("true", "false", "null");
  }

  @Test
  void aLongStringTakesNoMoreNodesThanAShortOne() {
    TokenConstraint constraint =
        Grammar.jsonSchema("{\"type\":\"string\",\"minLength\":70000,\"maxLength\":100000}")
            .over(TRIE);
    Drawn drawn = Forms.draw(constraint, TRIE, 500, Forms.any(new Random(1)));
    assertThat(drawn.ended()).isFalse();
  }
}
