package dev.jneox.corpus;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.jspecify.annotations.Nullable;

/**
 * Reads an XML dump as a stream, an element at a time. Entities from outside are never fetched.
 * What is not XML ends the file with an error that names the line.
 */
abstract class XmlRecords implements RecordReader {
  private final InputStream in;
  final XMLStreamReader xml;
  long line;

  XmlRecords(Path file) throws IOException {
    in = RecordReader.open(file);
    XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
    factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
    factory.setProperty(XMLInputFactory.IS_COALESCING, false); // whole texts have no bound
    // The JDK's limits are for messages; a dump has gigabytes.
    factory.setProperty("jdk.xml.totalEntitySizeLimit", "0");
    factory.setProperty("jdk.xml.maxGeneralEntitySizeLimit", "0");
    factory.setProperty("jdk.xml.entityExpansionLimit", "0");
    try {
      xml = factory.createXMLStreamReader(in, "UTF-8");
    } catch (XMLStreamException e) {
      in.close();
      throw notXml(e);
    }
  }

  private static IOException notXml(XMLStreamException e) {
    int row = e.getLocation() == null ? 1 : e.getLocation().getLineNumber();
    return new IOException(
        "line "
            + row
            + ": expected XML, found: "
            + String.valueOf(e.getMessage()).replaceAll("(?s).*Message: ", ""),
        e);
  }

  @Override
  public @Nullable Raw next() throws IOException {
    try {
      return read();
    } catch (XMLStreamException e) {
      throw notXml(e);
    }
  }

  /**
   * Reads the text up to the end of the element; null where it is longer than a document may be.
   */
  @Nullable String text() throws XMLStreamException {
    StringBuilder text = new StringBuilder();
    boolean tooLong = false;
    while (true) {
      switch (xml.next()) {
        case XMLStreamConstants.CHARACTERS, XMLStreamConstants.CDATA, XMLStreamConstants.SPACE -> {
          tooLong |= text.length() + (long) xml.getTextLength() > LIMIT;
          if (!tooLong) {
            text.append(xml.getTextCharacters(), xml.getTextStart(), xml.getTextLength());
          }
        }
        case XMLStreamConstants.END_ELEMENT -> {
          return tooLong ? null : text.toString();
        }
        case XMLStreamConstants.COMMENT, XMLStreamConstants.PROCESSING_INSTRUCTION -> {}
        default ->
            throw new XMLStreamException(
                "expected text alone in an element, found another element", xml.getLocation());
      }
    }
  }

  /** Returns the next record; null at the end. */
  abstract @Nullable Raw read() throws XMLStreamException;

  @Override
  public long lines() {
    return line;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
