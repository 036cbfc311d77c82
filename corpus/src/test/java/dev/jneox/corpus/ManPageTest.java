package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ManPageTest {
  private static String text(String... lines) {
    return ManPage.text(".TH LS 1\n" + String.join("\n", lines)).orElseThrow();
  }

  @Test
  void paragraphsBecomeLinesAndFontsGo() {
    assertThat(
            text(
                ".\\\" a comment",
                ".SH NAME",
                "ls \\- list \\fIfiles\\fP",
                ".SH \"SEE ALSO\"",
                "The",
                ".BR stat (2)",
                "call, or",
                ".RI \"(\" name \", \\(lq\" x \"\\(rq).\"",
                ".PP",
                "Next\\ one.\\\" rest"))
        .isEqualTo(
            "LS(1)\n\nNAME\n\nls - list files\n\nSEE ALSO\n\n"
                + "The stat(2) call, or (name, \u201Cx\u201D).\n\nNext one.\n");
  }

  @Test
  void taggedParagraphsAreIndentedAndCodeKeepsItsLines() {
    assertThat(
            text(
                ".TP",
                ".BR \\-a \", \" \\-\\-all",
                "Show",
                "all.",
                ".IP \\(bu 2",
                "point",
                ".nf",
                "int  x;",
                "  y\\en",
                ".fi",
                "Then.",
                ".TP",
                "*",
                "star"))
        .isEqualTo(
            "LS(1)\n\n-a, --all\n    Show all.\n\n- point\n\nint  x;\n  y\\n\n\nThen.\n\n- star\n");
  }

  @Test
  void tablesBecomeLinesWithTabs() {
    assertThat(
            text(".TS", "tab(:);", "l l.", "a:b", "_", "c:T{", "long", "cell", "T}", ".TE", "End."))
        .isEqualTo("LS(1)\n\na\tb\nc\tlong cell\n\nEnd.\n");
  }

  @Test
  void definitionsAndConditionsAreLeftOut() {
    assertThat(
            text(
                ".de XX",
                "never",
                "..",
                ".ie n \\{\\",
                "never",
                ".\\}",
                ".el .never",
                ".ds T_ string",
                "One \\*[T_] \\s-1two\\s0 \\[u00E9] \\(:a \\f[B]three\\f[]."))
        .isEqualTo("LS(1)\n\nOne string two \u00E9 \u00E4 three.\n");
  }

  @Test
  void linesOfScriptsWithoutSpacesJoinWithoutOne() {
    assertThat(text("\u4F60", "\u597D", "abc")).isEqualTo("LS(1)\n\n\u4F60\u597D abc\n");
  }

  @Test
  void otherPagesHaveNoText() {
    assertThat(ManPage.text(".so man2/open.2\n")).isEmpty();
    assertThat(ManPage.text(".Dd today\n.Dt LS 1\n.Sh NAME\n")).isEmpty();
  }
}
