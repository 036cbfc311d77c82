package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroupFactory;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reads a file of each format that the test has made. */
class ReadersTest {
  @TempDir private Path folder;

  private static List<RecordReader.Raw> read(Format format, Path file) throws IOException {
    List<RecordReader.Raw> records = new ArrayList<>();
    try (RecordReader reader =
        format.open(new Part(0, 0, file.toString(), format, 0, Files.size(file)))) {
      for (RecordReader.Raw raw = reader.next(); raw != null; raw = reader.next()) {
        records.add(raw);
      }
    }
    return records;
  }

  private static RecordReader.Raw raw(long line, String text, String meta) {
    return new RecordReader.Raw(line, text, meta, false);
  }

  private static RecordReader.Raw bad(long line, String problem) {
    return RecordReader.Raw.malformed(line, problem);
  }

  @Test
  void lines() throws IOException {
    String text =
        "\uFEFF{\"text\": \"a\", \"meta\": {\"pile_set_name\": \"X\", \"url\": [1, 2.50]}}\n\n"
            + "[]\n"
            + "{\"text\": \"b\"} {}\n"
            + "{\"text\": \"b\", \"meta\": 7}\n"
            + "{\"text\": \"\\ud800\"}\n"
            + "{\"x\": 1}\n"
            + "{\"text\"";
    List<RecordReader.Raw> expected =
        List.of(
            raw(1, "a", "{\"url\":[1,2.50]}"),
            bad(3, "expected a JSON object, found another value"),
            bad(4, "expected one JSON object, found more behind it"),
            raw(5, "b", ""),
            bad(6, "expected Unicode, found half of a surrogate pair"),
            bad(7, "expected the key \"text\" with a string, found none"));
    Path plain = Files.writeString(folder.resolve("a.jsonl"), text);
    Path packed = folder.resolve("a.jsonl.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(packed))) {
      out.write(text.getBytes(StandardCharsets.UTF_8));
    }
    for (Path file : List.of(plain, packed)) {
      List<RecordReader.Raw> records = read(Format.JSONL, file);
      assertThat(records.subList(0, 6)).isEqualTo(expected);
      assertThat(records).hasSize(7);
      assertThat(records.get(6).text()).startsWith("expected JSON, found: ");
    }
    Files.write(plain, new byte[] {'{', '}', '\n', '"', (byte) 0xC3, '"', '\n'});
    assertThat(read(Format.JSONL, plain).get(1))
        .isEqualTo(bad(2, "byte 1: expected UTF-8, found byte 0xc3"));
  }

  @Test
  void aFileThatIsOneDocument() throws IOException {
    Path file = Files.writeString(folder.resolve("a.txt"), "\uFEFFone\ntwo\n");
    assertThat(read(Format.TEXT, file)).containsExactly(raw(1, "one\ntwo\n", ""));
    Files.write(file, new byte[] {'a', (byte) 0x80});
    assertThat(read(Format.TEXT, file))
        .containsExactly(bad(1, "byte 1: expected UTF-8, found byte 0x80"));
  }

  @Test
  void archives() throws IOException {
    Path file = folder.resolve("a.zip");
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
      for (String name : new String[] {"A.java", "META-INF/x", "B.java"}) {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(("class " + name).getBytes(StandardCharsets.UTF_8));
      }
    }
    assertThat(read(Format.ARCHIVE, file))
        .containsExactly(raw(1, "class A.java", ""), raw(2, "class B.java", ""));
  }

  @Test
  void parquet() throws IOException {
    MessageType schema =
        MessageTypeParser.parseMessageType(
            "message m { optional binary text (STRING); required int64 id; optional binary url"
                + " (STRING); }");
    Path file = folder.resolve("a.parquet");
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new org.apache.hadoop.fs.Path(file.toUri()))
            .withType(schema)
            .build()) {
      SimpleGroupFactory rows = new SimpleGroupFactory(schema);
      writer.write(rows.newGroup().append("text", "größe").append("id", 7L).append("url", "u"));
      writer.write(rows.newGroup().append("id", 8L));
    }
    assertThat(read(Format.PARQUET, file))
        .containsExactly(
            raw(1, "größe", "{\"id\":7,\"url\":\"u\"}"),
            bad(2, "expected a text in the column \"text\", found none"));
    Files.write(file, new byte[100]);
    assertThatThrownBy(() -> read(Format.PARQUET, file)).isInstanceOf(IOException.class);
  }

  private static String warc(String type, String target, String contentType, String body) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    return "WARC/1.0\r\nWARC-Type: "
        + type
        + "\r\nWARC-Target-URI: "
        + target
        + "\r\n"
        + "WARC-Date: 2024-01-01T00:00:00Z\r\n"
        + "WARC-Record-ID: <urn:uuid:12345678-1234-1234-1234-123456789012>\r\n"
        + "Content-Type: "
        + contentType
        + "\r\nContent-Length: "
        + bytes.length
        + "\r\n\r\n"
        + body
        + "\r\n\r\n";
  }

  @Test
  void webArchives() throws IOException {
    String page =
        "<html><head><title>t</title><script>x()</script></head><body><nav><a href=/>Home</a> of"
            + " the site.</nav><h1>Größe</h1><p>This is the <b>main</b> text of the"
            + " page.</p><div>Menu</div><ul><li>one</ul><p><a href=x>A paragraph that is nothing"
            + " but a link to somewhere else, and long.</a></p><pre>a\n"
            + "  b</pre><footer>Imprint and more words here.</footer></body></html>";
    String http =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: "
            + page.getBytes(StandardCharsets.UTF_8).length
            + "\r\n\r\n"
            + page;
    String missing =
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno";
    Path file = folder.resolve("a.warc.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write(
          (warc("response", "http://a/", "application/http;msgtype=response", http)
                  + warc("response", "http://b/", "application/http;msgtype=response", missing)
                  + warc("conversion", "http://c/", "text/plain", "a text of WET"))
              .getBytes(StandardCharsets.UTF_8));
    }
    assertThat(read(Format.WARC, file))
        .containsExactly(
            raw(
                1,
                "Größe\n\nThis is the main text of the page.\n\none\n\na\n  b",
                "{\"url\":\"http://a/\"}"),
            raw(3, "a text of WET", "{\"url\":\"http://c/\"}"));
  }

  @Test
  void mails() throws IOException {
    Path file = folder.resolve("a.mbox");
    Files.writeString(
        file,
        """
        From a@b Thu Jan 1 00:00:00 2024
        Subject: =?UTF-8?Q?Gr=C3=B6=C3=9Fe?= of
         things

        Hello.
        >From here on.

        From a@b Thu Jan 1 00:00:00 2024
        Content-Type: multipart/alternative; boundary="xx"

        --xx
        Content-Type: text/html

        <p>no</p>
        --xx
        Content-Type: text/plain; charset=ISO-8859-1
        Content-Transfer-Encoding: quoted-printable

        Gr=F6=DFe and a soft =
        break
        --xx--
        From a@b Thu Jan 1 00:00:00 2024
        Content-Type: text/html

        <p>only</p>
        From a@b Thu Jan 1 00:00:00 2024
        Content-Type: text/plain; charset=no-such-set

        x
        """);
    assertThat(read(Format.MBOX, file))
        .containsExactly(
            raw(1, "Größe of things\n\nHello.\nFrom here on.", ""),
            raw(2, "Größe and a soft break", ""),
            bad(4, "expected a mail in its character set, found other bytes"));
  }

  @Test
  void dumpsOfMediaWiki() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("pages.xml"),
            """
            <mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">
            <page><title>Talk:A</title><ns>1</ns><revision><text>no</text></revision></page>
            <page><title>Old</title><ns>0</ns><revision><text>#REDIRECT [[A]]</text></revision></page>
            <page><title>A</title><ns>0</ns><revision><text>'''A''' is [[Letter|a letter]]&lt;ref&gt;x&lt;/ref&gt; of
            the {{lang|{{x}}}}[[alphabet]].[[File:a.png|thumb|An [[A]] here]]

            == Use ==
            * See [http://a.b the page].
            {| class="x"
            | table
            |}
            [[Category:Letters]]</text></revision></page>
            </mediawiki>
            """);
    assertThat(read(Format.MEDIAWIKI, file))
        .containsExactly(
            raw(
                3,
                "A\n\nA is a letter of\nthe alphabet.\n\nUse\nSee the page.",
                "{\"title\":\"A\"}"));
    Files.writeString(file, "<mediawiki><page>\n<title>A</tit");
    assertThatThrownBy(() -> read(Format.MEDIAWIKI, file))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("line 2: expected XML, found: ");
  }

  @Test
  void dumpsOfStackExchange() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("Posts.xml"),
            """
            <posts>
            <row Id="1" PostTypeId="1" Title="Why?" Body="&lt;p&gt;A &lt;a href='x'&gt;link&lt;/a&gt;&lt;/p&gt;&lt;pre&gt;a&#xA;  b&lt;/pre&gt;" />
            <row Id="2" PostTypeId="2" Body="&lt;p&gt;So&lt;/p&gt;" />
            <row Id="3" PostTypeId="4" Body="a tag" />
            <row Id="4" />
            </posts>
            """);
    assertThat(read(Format.STACKEXCHANGE, file))
        .containsExactly(
            raw(1, "Why?\n\nA link\n\na\n  b", "{\"post\":\"1\"}"),
            raw(2, "So", "{\"post\":\"2\"}"),
            bad(4, "expected a row with Id and Body, found none"));
  }

  /** Writes {@code begin}, more letters than a document may have, and {@code end}. */
  private static void bomb(OutputStream out, String begin, String end) throws IOException {
    byte[] letters = new byte[1 << 20];
    java.util.Arrays.fill(letters, (byte) 'a');
    try (out) {
      out.write(begin.getBytes(StandardCharsets.UTF_8));
      for (long n = 0; n <= RecordReader.LIMIT; n += letters.length) {
        out.write(letters);
      }
      out.write(end.getBytes(StandardCharsets.UTF_8));
    }
  }

  /**
   * A document that is too large, or a small file that grows to one, is skipped in small memory.
   */
  @org.junit.jupiter.api.Tag("slow")
  @Test
  void bombsAreMalformedRecords() throws IOException {
    String limit =
        "expected a record of at most "
            + RecordReader.LIMIT / 1_000_000
            + " MB (256 MB, and a sixteenth of the heap), found a longer one";
    String begin = "{\"text\": \"first\"}\n{\"text\": \"";
    String end = "\"}\n{\"text\": \"last\"}\n";
    Path gz = folder.resolve("a.jsonl.gz");
    bomb(new GZIPOutputStream(Files.newOutputStream(gz)), begin, end);
    Path zst = folder.resolve("a.jsonl.zst");
    bomb(new com.github.luben.zstd.ZstdOutputStream(Files.newOutputStream(zst)), begin, end);
    for (Path file : List.of(gz, zst)) {
      assertThat(Files.size(file)).isLessThan(1_000_000);
      assertThat(read(Format.JSONL, file))
          .containsExactly(raw(1, "first", ""), bad(2, limit), raw(3, "last", ""));
    }
    Path wiki = folder.resolve("a.xml.gz");
    String page = "<page><title>T</title><ns>0</ns><revision><text>";
    bomb(
        new GZIPOutputStream(Files.newOutputStream(wiki)),
        "<mediawiki>" + page,
        "</text></revision></page>" + page + "x</text></revision></page></mediawiki>");
    assertThat(read(Format.MEDIAWIKI, wiki))
        .containsExactly(bad(1, limit), raw(2, "T\n\nx", "{\"title\":\"T\"}"));
    Path text = folder.resolve("a.txt");
    bomb(Files.newOutputStream(text), "", "");
    assertThat(read(Format.TEXT, text)).containsExactly(bad(1, limit));
    Files.delete(text);
    Path zip = folder.resolve("a.zip");
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(zip))) {
      out.putNextEntry(new ZipEntry("bomb.txt"));
      byte[] letters = new byte[1 << 20];
      java.util.Arrays.fill(letters, (byte) 'a');
      for (long n = 0; n <= RecordReader.LIMIT; n += letters.length) {
        out.write(letters);
      }
      out.putNextEntry(new ZipEntry("last.txt"));
      out.write("last".getBytes(StandardCharsets.UTF_8));
    }
    List<RecordReader.Raw> members = read(Format.ARCHIVE, zip);
    assertThat(members).hasSize(2);
    assertThat(members.get(0).malformed()).isTrue();
    assertThat(members.get(0).text()).startsWith("bomb.txt: expected ");
    assertThat(members.get(1).text()).isEqualTo("last");
  }

  @Test
  void aCompressedFileThatIsCutOffIsNamed() throws IOException {
    Path gz = folder.resolve("a.jsonl.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(gz))) {
      out.write("{\"text\": \"first\"}\n".repeat(1000).getBytes(StandardCharsets.UTF_8));
    }
    byte[] whole = Files.readAllBytes(gz);
    Files.write(gz, java.util.Arrays.copyOf(whole, whole.length / 2));
    assertThatThrownBy(() -> read(Format.JSONL, gz)).isInstanceOf(IOException.class);
    Path zip = folder.resolve("a.zip");
    Files.write(zip, java.util.Arrays.copyOf(whole, whole.length / 2));
    assertThatThrownBy(() -> read(Format.ARCHIVE, zip)).hasMessageContaining("a.zip");
  }
}
