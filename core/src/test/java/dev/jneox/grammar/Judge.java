package dev.jneox.grammar;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.util.List;
import java.util.stream.Collectors;

/** Validates texts by a schema with software of others. */
final class Judge {
  private final Schema schema;

  Judge(JsonNode schema) {
    this.schema =
        SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
            .getSchema(schema.toString(), InputFormat.JSON);
  }

  /** Returns what is wrong with a text; empty where it is valid. */
  List<String> faults(String text) {
    try {
      Forms.JSON.readTree(text);
    } catch (JsonProcessingException e) {
      return List.of(e.getMessage());
    }
    return schema
        .validate(
            text,
            InputFormat.JSON,
            context -> context.executionConfig(config -> config.formatAssertionsEnabled(true)))
        .stream()
        .map(Object::toString)
        .collect(Collectors.toList());
  }
}
