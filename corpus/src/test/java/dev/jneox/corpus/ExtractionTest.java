package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ExtractionTest {
  private static List<String> read(Extraction as, String text) {
    List<String> documents = new ArrayList<>();
    assertThat(as.read(text.getBytes(StandardCharsets.UTF_8), documents::add)).isTrue();
    return documents;
  }

  @Test
  void htmlKeepsContentAndLeavesNavigation() {
    assertThat(
            read(
                Extraction.HTML,
                """
                <html><head><title>t</title></head><body><nav>Home</nav>
                <div class="navheader">Prev</div><h1>Title<a class="headerlink">#</a></h1>
                <p>One <b>two</b>
                three.</p><ul><li><p>a</p></li><li>b<p>more</p></li></ul>
                <pre>
                int x;
                  y
                </pre><table><tr><td>1</td><td>2 <i>3</i></td></tr><tr><td>4</td></tr></table>
                <script>no()</script></body></html>
                """))
        .containsExactly(
            "Title\n\nOne two three.\n\n- a\n- b\n\nmore\n\nint x;\n  y\n\n1\t2 3\n4\n");
  }

  @Test
  void xmlOfMallardAndDocBook() {
    assertThat(
            read(
                Extraction.XML,
                """
                <?xml version="1.0"?><page xmlns="http://projectmallard.org/1.0/">
                <info><credit><name>N</name></credit></info><title>Keys</title>
                <p>Press <gui>OK</gui>.</p><steps><item><p>First</p></item>
                <item><p>Second</p></item></steps><screen>ls -l
                x</screen></page>
                """))
        .containsExactly("Keys\n\nPress OK.\n\n- First\n- Second\n\nls -l\nx\n");
  }

  @Test
  void dictionariesLoseBracesAndEditions() {
    assertThat(
            read(
                Extraction.DICT,
                """
                00-database-info
                   About.

                Adverb \\Ad"verb\\, n.
                   See {Verb}.
                   [1913 Webster]

                   More.
                   [1913 Webster +PJC]

                Verb \\Verb\\, n.
                   A word.
                """))
        .containsExactly(
            "Adverb \\Ad\"verb\\, n.\n   See Verb.\n\n   More.\n   [1913 Webster +PJC]\n\n"
                + "Verb \\Verb\\, n.\n   A word.\n");
  }

  @Test
  void synsetsAreWrittenWithWhatTheyAreKindsOf() {
    assertThat(
            read(
                Extraction.WORDNET,
                """
                  1 This is the licence.
                00000010 04 n 01 game 0 000 | an amusement; "a game"
                00000020 04 n 02 table_tennis 0 Ping-Pong 0 001 @ 00000010 n 0000 | played with paddles
                00000030 00 s 01 able(p) 0 000 | having skill
                """))
        .containsExactly(
            "game (noun): an amusement; \"a game\"\n\n"
                + "table tennis, Ping-Pong (noun): played with paddles\nA kind of: game\n\n"
                + "able (adjective): having skill\n");
  }

  @Test
  void fortunesAreDividedAtPercentSigns() {
    assertThat(read(Extraction.FORTUNES, "One.\n\t\t-- A\n%\nTwo\nlines\n%\n%\n"))
        .containsExactly("One.\n\t\t-- A\n%\nTwo\nlines\n");
    assertThat(read(Extraction.FORTUNES, ("x".repeat(3000) + "\n%\n").repeat(3))).hasSize(3);
  }

  @Test
  void listsAndRecordsBecomeDocumentsOfAFewThousandCharacters() {
    assertThat(read(Extraction.LINES, "# comment\nHund :: dog\n\nKatze :: cat\n"))
        .containsExactly("Hund :: dog\nKatze :: cat\n");
    assertThat(read(Extraction.PARAGRAPHS, "a\n\n  b\n  c\n\n" + "d".repeat(4000)))
        .containsExactly("a\n\n  b\n  c\n", "d".repeat(4000) + "\n");
  }

  @Test
  void poemsAreFoundAtAnyDepth() {
    assertThat(
            read(
                Extraction.POEMS,
                """
                {"content":[{"title":"T","author":"A","paragraphs":["one","<FI>two<Fi>"]},
                 {"type":"x","content":[{"chapter":"C","content":["three"]}]}]}
                """))
        .containsExactly("T\nA\none\ntwo\n\nC\nthree\n");
    assertThat(read(Extraction.POEMS, "[\"In the beginning\", \"And\"]"))
        .containsExactly("In the beginning\nAnd\n");
    assertThat(Extraction.POEMS.read("[1".getBytes(StandardCharsets.UTF_8), text -> {})).isFalse();
  }

  @Test
  void textIsUtf8OrLatin1() {
    List<String> documents = new ArrayList<>();
    assertThat(Extraction.TEXT.read(new byte[] {'a', (byte) 0xE9}, documents::add)).isTrue();
    assertThat(Extraction.TEXT.read(new byte[] {'a', 0}, documents::add)).isFalse();
    assertThat(Extraction.TEXT.read(new byte[] {'a', (byte) 0x81}, documents::add)).isFalse();
    byte[] damaged = "\u4F60\u597D".repeat(1000).getBytes(StandardCharsets.UTF_8);
    damaged[3] = 'x';
    assertThat(Extraction.TEXT.read(damaged, documents::add)).isTrue();
    assertThat(documents.get(0)).isEqualTo("a\u00E9");
    assertThat(documents.get(1)).startsWith("\u4F60x\uFFFD").endsWith("\u4F60\u597D");
  }
}
