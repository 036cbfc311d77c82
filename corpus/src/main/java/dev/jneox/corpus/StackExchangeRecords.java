package dev.jneox.corpus;

import java.io.IOException;
import java.nio.file.Path;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import org.jsoup.Jsoup;
import org.jspecify.annotations.Nullable;

/**
 * Reads {@code Posts.xml} of a StackExchange dump: each post is a document, a question with its
 * title, an answer without. To join answers to their question the whole file would have to be kept.
 * The text is that of the post's HTML. Other kinds of posts are passed over.
 */
final class StackExchangeRecords extends XmlRecords {
  StackExchangeRecords(Path file) throws IOException {
    super(file);
  }

  @Override
  @Nullable Raw read() throws XMLStreamException {
    while (xml.hasNext()) {
      if (xml.next() != XMLStreamConstants.START_ELEMENT || !xml.getLocalName().equals("row")) {
        continue;
      }
      line++;
      String body = xml.getAttributeValue(null, "Body");
      String id = xml.getAttributeValue(null, "Id");
      if (body == null || id == null) {
        return Raw.malformed(line, "expected a row with Id and Body, found none");
      }
      String type = xml.getAttributeValue(null, "PostTypeId");
      if ("1".equals(type) || "2".equals(type)) {
        String title = xml.getAttributeValue(null, "Title");
        String text = MainText.whole(Jsoup.parseBodyFragment(body));
        return new Raw(
            line,
            title == null ? text : title + "\n\n" + text,
            RecordReader.meta("post", id),
            false);
      }
    }
    return null;
  }
}
