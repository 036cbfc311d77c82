package dev.jneox.eval;

import dev.hardwood.InputFile;
import dev.hardwood.reader.ParquetFileReader;
import dev.hardwood.reader.RowReader;
import dev.hardwood.row.PqList;
import dev.hardwood.row.PqMap;
import dev.hardwood.row.PqStruct;
import dev.hardwood.row.StructAccessor;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Reads the rows of a Parquet file as documents. */
final class ParquetRows {
  /** The library tells of its start. Kept here, because a logger that nobody has is forgotten. */
  private static final Logger LIBRARY = Logger.getLogger("dev.hardwood");

  static {
    LIBRARY.setLevel(Level.WARNING);
  }

  private ParquetRows() {}

  static List<Document> read(Path file) {
    List<Document> documents = new ArrayList<>();
    try (ParquetFileReader reader = ParquetFileReader.open(InputFile.of(file));
        RowReader rows = reader.rowReader()) {
      while (rows.hasNext()) {
        rows.next();
        documents.add(Document.of(fields(rows), file + ": row " + (documents.size() + 1)));
      }
      return documents;
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read: " + AtomicFile.reason(e), e);
    } catch (InputException e) {
      throw e.withMessage(file + ": row " + (documents.size() + 1) + ": " + e.getMessage());
    } catch (RuntimeException | LinkageError e) { // of a file that is not whole
      throw new InputException(
          file
              + ": row "
              + (documents.size() + 1)
              + ": expected a Parquet file, found one that cannot be read: "
              + e.getMessage(),
          e);
    }
  }

  private static Map<String, @Nullable Object> fields(StructAccessor row) {
    Map<String, @Nullable Object> fields = new LinkedHashMap<>();
    for (int i = 0; i < row.getFieldCount(); i++) {
      fields.put(row.getFieldName(i), row.isNull(i) ? null : value(row.getValue(i)));
    }
    return fields;
  }

  private static @Nullable Object value(@Nullable Object value) {
    return switch (value) {
      case null -> null;
      case PqStruct struct -> fields(struct);
      case PqList list -> {
        List<@Nullable Object> values = new ArrayList<>();
        for (int i = 0; i < list.size(); i++) {
          values.add(list.isNull(i) ? null : value(list.get(i)));
        }
        yield values;
      }
      case PqMap map -> {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        for (PqMap.Entry entry : map.getEntries()) {
          values.put(String.valueOf(entry.getKey()), value(entry.getValue()));
        }
        yield values;
      }
      case Boolean flag -> flag;
      case String text -> text;
      case Number number -> JsonValues.of(number);
      default ->
          throw new InputException(
              "expected texts, numbers, lists and structs, found a "
                  + value.getClass().getSimpleName());
    };
  }
}
