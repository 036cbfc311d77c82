package dev.jneox.corpus;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.jneox.io.JsonObject;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Path;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.example.GroupReadSupport;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;
import org.jspecify.annotations.Nullable;

/** Reads rows: the column of the text; other columns that are texts or numbers become the meta. */
final class ParquetRecords implements RecordReader {
  private final ParquetReader<Group> reader;
  private final String textField;
  private long line;

  /**
   * Reads a file.
   *
   * @param textField the column of the text
   */
  ParquetRecords(Path file, String textField) throws IOException {
    this.textField = textField;
    reader =
        ParquetReader.builder(new GroupReadSupport(), new org.apache.hadoop.fs.Path(file.toUri()))
            .build();
  }

  @Override
  public @Nullable Raw next() throws IOException {
    Group row;
    try {
      row = reader.read();
    } catch (RuntimeException e) { // what the library throws for a file that is damaged
      throw new IOException(
          "expected a row of Parquet, found: "
              + String.valueOf(e.getMessage()).lines().findFirst().orElse(""),
          e);
    }
    if (row == null) {
      return null;
    }
    line++;
    if (!row.getType().containsField(textField)
        || !row.getType().getType(textField).isPrimitive()
        || row.getFieldRepetitionCount(textField) != 1) {
      return Raw.malformed(
          line, "expected a text in the column " + JsonObject.quoted(textField) + ", found none");
    }
    StringWriter out = new StringWriter();
    try (JsonGenerator json = JsonObject.LINES.createGenerator(out)) {
      json.writeStartObject();
      for (Type type : row.getType().getFields()) {
        String name = type.getName();
        if (!type.isPrimitive()
            || row.getFieldRepetitionCount(name) != 1
            || name.equals(textField)
            || java.util.Set.of("document", "pile_set_name").contains(name)) {
          continue;
        }
        PrimitiveTypeName kind = type.asPrimitiveType().getPrimitiveTypeName();
        switch (kind) {
          case BINARY -> json.writeStringField(name, row.getString(name, 0));
          case INT32 -> json.writeNumberField(name, row.getInteger(name, 0));
          case INT64 -> json.writeNumberField(name, row.getLong(name, 0));
          case DOUBLE -> json.writeNumberField(name, row.getDouble(name, 0));
          case FLOAT -> json.writeNumberField(name, row.getFloat(name, 0));
          case BOOLEAN -> json.writeBooleanField(name, row.getBoolean(name, 0));
          case INT96, FIXED_LEN_BYTE_ARRAY -> {} // no text and no number
        }
      }
      json.writeEndObject();
    }
    String meta = out.toString();
    return new Raw(line, row.getString(textField, 0), meta.equals("{}") ? "" : meta, false);
  }

  @Override
  public long lines() {
    return line;
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
