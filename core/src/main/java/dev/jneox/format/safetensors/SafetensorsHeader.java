package dev.jneox.format.safetensors;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.util.ByteBufferBackedInputStream;
import dev.jneox.format.safetensors.Safetensors.Entry;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Parses the JSON of a safetensors file as a stream and trusts none of it: it checks every offset
 * against the file before any tensor is returned.
 */
final class SafetensorsHeader {
  /** The reference implementation's limit for the header, in bytes. */
  static final long MAX_BYTES = 100_000_000;

  static final String METADATA = "__metadata__";

  /** libtorch's limit for the axes of a tensor. */
  private static final int MAX_AXES = 64;

  private final Path file;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  private SafetensorsHeader(Path file) {
    this.file = file;
  }

  Map<String, Entry> entries() {
    return entries;
  }

  Map<String, String> metadata() {
    return metadata;
  }

  /**
   * Parses and checks a header.
   *
   * @param header the bytes of the JSON object
   * @param dataBytes how many bytes follow it in the file
   */
  static SafetensorsHeader read(Path file, MemorySegment header, long dataBytes) {
    SafetensorsHeader read = new SafetensorsHeader(file);
    try (JsonParser json =
        JsonObject.JSON.createParser(new ByteBufferBackedInputStream(header.asByteBuffer()))) {
      read.object(json);
    } catch (IOException e) {
      throw JsonObject.unreadable(file, "header", e);
    }
    read.checkPlaces(dataBytes);
    return read;
  }

  private void object(JsonParser json) throws IOException {
    if (json.nextToken() != JsonToken.START_OBJECT) {
      throw InputException.in(file, "header", "a JSON object", describe(json));
    }
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String name = json.currentName();
      json.nextToken();
      if (name.equals(METADATA)) {
        metadata(json);
      } else {
        entries.put(name, entry(json, name));
      }
    }
    if (json.nextToken() != null) {
      throw InputException.in(
          file, "header", "nothing but spaces after the JSON object", describe(json));
    }
  }

  private void metadata(JsonParser json) throws IOException {
    if (json.currentToken() != JsonToken.START_OBJECT) {
      throw InputException.in(file, METADATA, "an object of strings", describe(json));
    }
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String key = json.currentName();
      if (json.nextToken() != JsonToken.VALUE_STRING) {
        throw InputException.in(
            file, METADATA + " " + JsonObject.quoted(key), "a string", describe(json));
      }
      metadata.put(key, json.getText());
    }
  }

  private Entry entry(JsonParser json, String name) throws IOException {
    String place = "tensor " + JsonObject.quoted(name);
    if (json.currentToken() != JsonToken.START_OBJECT) {
      throw InputException.in(file, place, "an object", describe(json));
    }
    Dtype dtype = null;
    List<Long> shape = null;
    List<Long> offsets = null;
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String key = json.currentName();
      json.nextToken();
      switch (key) {
        case "dtype" -> dtype = dtype(json, place);
        case "shape" -> shape = naturals(json, place + ", shape", MAX_AXES);
        case "data_offsets" -> offsets = naturals(json, place + ", data_offsets", 2);
        default -> json.skipChildren();
      }
    }
    if (dtype == null || shape == null || offsets == null) {
      String missing = dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets";
      throw InputException.in(file, place, "dtype, shape and data_offsets", "no " + missing);
    }
    if (offsets.size() != 2) {
      throw InputException.in(file, place + ", data_offsets", "two numbers", offsets.toString());
    }
    Entry entry = new Entry(name, dtype, shape, offsets.get(0), offsets.get(1));
    long bytes = dtype.bytes(shape);
    if (bytes < 0) {
      throw InputException.in(
          file,
          place + ", shape",
          "a whole number of bytes that fits in a file",
          dtype + shape.toString());
    }
    if (entry.end() - entry.begin() != bytes) {
      String expected = bytes + " bytes for " + dtype + shape;
      throw InputException.in(file, place + ", data_offsets", expected, offsets.toString());
    }
    return entry;
  }

  private Dtype dtype(JsonParser json, String place) throws IOException {
    String found = json.currentToken() == JsonToken.VALUE_STRING ? json.getText() : "";
    Optional<Dtype> dtype = Dtype.of(found);
    if (dtype.isEmpty()) {
      throw InputException.in(
          file, place + ", dtype", "one of " + List.of(Dtype.values()), describe(json));
    }
    return dtype.get();
  }

  private List<Long> naturals(JsonParser json, String place, int most) throws IOException {
    if (json.currentToken() != JsonToken.START_ARRAY) {
      throw InputException.in(file, place, "an array of integers", describe(json));
    }
    List<Long> values = new ArrayList<>();
    while (json.nextToken() != JsonToken.END_ARRAY) {
      boolean fits =
          json.currentToken() == JsonToken.VALUE_NUMBER_INT
              && json.getNumberType() != JsonParser.NumberType.BIG_INTEGER;
      if (!fits || json.getLongValue() < 0) {
        throw InputException.in(
            file, place, "integers from 0 to " + Long.MAX_VALUE, describe(json));
      }
      if (values.size() == most) {
        throw InputException.in(file, place, "at most " + most + " numbers", "more");
      }
      values.add(json.getLongValue());
    }
    return List.copyOf(values);
  }

  /**
   * Checks that the tensors lie end to end and fill the data: no overlap, no hole, nothing after
   * the last.
   */
  private void checkPlaces(long dataBytes) {
    List<Entry> byPlace = new ArrayList<>(entries.values());
    byPlace.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    long at = 0;
    for (Entry entry : byPlace) {
      String place = "tensor " + JsonObject.quoted(entry.name()) + ", data_offsets";
      String found = entry.begin() + " to " + entry.end();
      if (entry.end() > dataBytes) {
        throw InputException.in(
            file,
            place,
            "within the " + dataBytes + " bytes of data in the file (is it complete?)",
            found);
      }
      if (entry.begin() != at) {
        String why =
            entry.begin() < at ? " (it overlaps the tensor before it)" : " (it leaves a hole)";
        throw InputException.in(file, place, "to begin at " + at + why, found);
      }
      at = entry.end();
    }
    if (at != dataBytes) {
      throw InputException.in(
          file,
          "data",
          at + " bytes, the end of the last tensor",
          dataBytes + " bytes in the file");
    }
  }

  private static String describe(JsonParser json) throws IOException {
    JsonToken token = json.currentToken();
    if (token == null) {
      return "nothing";
    }
    return switch (token) {
      case START_OBJECT -> "an object";
      case START_ARRAY -> "an array";
      case VALUE_STRING, FIELD_NAME -> JsonObject.quoted(json.getText());
      default -> json.getText();
    };
  }
}
