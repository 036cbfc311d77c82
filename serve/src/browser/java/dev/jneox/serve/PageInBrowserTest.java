package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.Keys;

/**
 * Uses the page as people do, in headless Chromium, on a tiny model of random weights. After each
 * test axe-core looks at what is shown, the console must be silent, and a picture goes to {@code
 * target/page}.
 */
@Tag("page")
class PageInBrowserTest {
  private static final String TOKENS = "#reading .token";
  private static final int CONTEXT = 512;

  @TempDir static Path dir;

  private static ModelServer server;
  private static Chromium browser;

  @BeforeAll
  static void start() {
    server =
        ModelServer.start(Map.of("tiny", TestServer.model(dir, CONTEXT)), TestServer.settings());
    browser = new Chromium();
  }

  @AfterAll
  static void stop() {
    browser.close();
    server.close();
  }

  @BeforeEach
  void open() {
    browser.window(1280, 900, "light");
    browser.open(server.url() + "/", true);
    ready();
    browser.console(); // of a page before this one, whose server has gone
    seed();
  }

  @AfterEach
  void isAccessibleAndSilent(TestInfo test) {
    browser.picture(
        Path.of("target", "page", test.getTestMethod().orElseThrow().getName() + ".png"));
    assertThat(browser.axe()).isEmpty();
    assertThat(browser.console()).isEmpty();
  }

  private static void ready() {
    browser.await("document.querySelector('#model').options.length === 1");
  }

  /** Has the same text drawn in each run, where the page has no seed: another may end at once. */
  private static void seed() {
    browser.run("const seed = document.querySelector('#seed'); seed.value ||= '3'");
  }

  private static void write(String prompt, int tokens) {
    seed();
    browser.type("#editor", prompt);
    browser.type("#max_tokens", String.valueOf(tokens));
    browser.click("#write");
    written();
  }

  private static void written() {
    browser.await("document.querySelector('#status').textContent.startsWith('Wrote')");
  }

  private static String text() {
    return browser.shown("#reading") ? browser.text("#reading") : browser.value("#editor");
  }

  private static int count() {
    return browser.all(TOKENS).size();
  }

  private static @Nullable Object focused(String property) {
    return browser.run("return document.activeElement." + property);
  }

  private static void openChoices(int token) {
    browser.run("document.querySelectorAll(arguments[0])[arguments[1]].id = 'it'", TOKENS, token);
    browser.click("#it");
    browser.await("document.querySelector('#choices').matches(':popover-open')");
  }

  @Test
  void aTextGoesOnWithTokensTintedByTheirProbability() {
    write("int max(", 24);
    assertThat(text()).startsWith("int max(").hasSizeGreaterThan(12);
    assertThat(browser.text("#reading .plain")).isEqualTo("int max(");
    assertThat(count()).isBetween(10, 24);
    assertThat(browser.all(TOKENS))
        .allSatisfy(
            token -> {
              assertThat(token.getDomAttribute("class")).matches("token p[0-4]");
              assertThat(token.getDomAttribute("aria-label")).matches("(?s).+, .*\\d %");
            });
    // Random weights find every token unlikely.
    assertThat(
            browser.run(
                "return getComputedStyle(document.querySelector('.token')).backgroundColor"))
        .isNotEqualTo("rgba(0, 0, 0, 0)");
    assertThat(browser.text("#speed")).endsWith("tokens/s");
    assertThat(browser.text("#first")).endsWith(" s");
    assertThat(browser.text("#context-text")).matches("\\d+ of 512 tokens");
    assertThat(browser.text("#heard")).isNotBlank();
    browser.click("#tint");
    assertThat(
            browser.run(
                "return getComputedStyle(document.querySelectorAll('#reading .token')[3])"
                    + ".backgroundColor"))
        .isEqualTo("rgba(0, 0, 0, 0)");
  }

  @Test
  void stopEndsTheRequestAndKeepsWhatIsWritten() {
    browser.type("#editor", "a");
    browser.type("#max_tokens", "200");
    browser.slow(20_000);
    browser.click("#write");
    browser.await("document.querySelectorAll('#reading .token').length > 3");
    assertThat(browser.find("#write").getDomAttribute("aria-disabled")).isEqualTo("true");
    browser.click("#stop");
    browser.awaitText("#status", "Stopped after");
    browser.slow(-1);
    int kept = count();
    assertThat(kept).isBetween(4, 199);
    assertThat(browser.find("#write").getDomAttribute("aria-disabled")).isEqualTo("false");
    browser.click("#undo");
    assertThat(text()).isEqualTo("a");
  }

  @Test
  void anotherTokenIsChosenAndTheTextGoesOnFromIt() {
    write("int max(", 20);
    String before = text();
    String start =
        String.valueOf(
            browser.run(
                "return [...document.querySelector('#reading').children].slice(0, 6).map(e =>"
                    + " e.textContent).join('')"));
    openChoices(5);
    assertThat(browser.all("#choices button").size()).isBetween(5, 7);
    assertThat(browser.text("#choices")).contains("written", "%");
    browser.run(
        "[...document.querySelectorAll('#choices button')].find(b =>"
            + " !b.querySelector('.written') && b.ariaDisabled === 'false').id = 'other'");
    String other = browser.find("#other").getDomAttribute("aria-label");
    browser.click("#other");
    written();
    assertThat(text()).startsWith(start).isNotEqualTo(before);
    assertThat(browser.all(TOKENS).get(5).getDomAttribute("class")).contains("chosen");
    assertThat(browser.all(TOKENS).get(5).getDomAttribute("aria-label"))
        .isEqualTo(other + ", chosen by you");
    assertThat(count()).isGreaterThan(6);
    browser.click("#undo");
    assertThat(text()).isEqualTo(before);
  }

  @Test
  void hoverShowsTheChoicesAndLeavingHidesThem() {
    write("int max(", 20);
    browser.hover(TOKENS);
    browser.await("document.querySelector('#choices').matches(':popover-open')");
    browser.hover("h1");
    browser.await("!document.querySelector('#choices').matches(':popover-open')");
  }

  @Test
  void regenerateWritesAnewFromTheNextSeed() {
    browser.type("#seed", "5");
    write("int max(", 20);
    String first = text();
    browser.click("#again");
    browser.await("document.querySelector('#status').textContent.startsWith('Wrote')");
    String second = text();
    assertThat(browser.value("#seed")).isEqualTo("6");
    assertThat(second).startsWith("int max(").isNotEqualTo(first);
    browser.click("#undo");
    assertThat(text()).isEqualTo(first);
    browser.click("#undo");
    assertThat(text()).isEqualTo("int max(");
    // The same seed, the same text.
    browser.type("#seed", "5");
    browser.click("#write");
    written();
    assertThat(text()).isEqualTo(first);
  }

  @Test
  void aLinkHoldsTextTintsAndSettings() {
    browser.type("#temperature", "0.6");
    browser.type("#stop_strings", "\\n\\n");
    String prompt = "// \u00fcber \u4e2d <b>&amp; \"x\" ".repeat(12);
    write(prompt, 20);
    String text = text();
    browser.click("#share");
    browser.await("document.querySelector('#share-dialog').open");
    String link = browser.value("#link");
    assertThat(link).startsWith(server.url() + "/#z=").hasSizeLessThan(1200);
    assertThat(browser.axe()).isEmpty();
    browser.open(server.url() + "/", true);
    browser.open(link, false);
    ready();
    browser.await("!document.querySelector('#reading').hidden");
    assertThat(text()).isEqualTo(text);
    assertThat(browser.value("#temperature")).isEqualTo("0.6");
    assertThat(browser.value("#stop_strings")).isEqualTo("\\n\\n");
    assertThat(count()).isGreaterThan(10);
    assertThat(browser.run("return location.hash")).isEqualTo("");
    // A link has no alternatives: the model is asked.
    openChoices(3);
    browser.await("document.querySelectorAll('#choices button').length >= 5");
  }

  @Test
  void aBrokenLinkIsSaid() {
    browser.open(server.url() + "/#z=AAAA", false);
    ready();
    browser.awaitText("#error", "The link is broken");
    browser.open(server.url() + "/#j=eyJ2IjoxLCJ0ZXh0IjpbW11dfQ", false); // {"v":1,"text":[[]]}
    browser.awaitText("#error", "a text in it is not a text");
  }

  @Test
  void aReloadKeepsTextTintsAndSettings() {
    browser.type("#top_k", "17");
    write("int max(", 20);
    String text = text();
    int tokens = count();
    browser.reload();
    ready();
    assertThat(text()).isEqualTo(text);
    assertThat(count()).isEqualTo(tokens);
    assertThat(browser.value("#top_k")).isEqualTo("17");
    openChoices(3);
    assertThat(browser.all("#choices button").size()).isBetween(5, 7);
  }

  @Test
  void theKeyboardAloneIsEnough() {
    browser.press(Keys.TAB); // the colours
    assertThat(focused("id")).isEqualTo("theme");
    browser.press(Keys.TAB);
    assertThat(focused("id")).isEqualTo("editor");
    browser.press("int max(");
    browser.press(Keys.CONTROL, Keys.ENTER);
    written();
    browser.press(Keys.TAB); // from where the editor was
    assertThat(focused("dataset.index")).isEqualTo("1");
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT);
    assertThat(focused("dataset.index")).isEqualTo("3");
    browser.await("document.querySelector('#choices').matches(':popover-open')"); // by focus
    browser.press(Keys.ENTER);
    browser.await("document.querySelector('#choices').contains(document.activeElement)");
    browser.press(Keys.ESCAPE);
    assertThat(browser.shown("#choices")).isFalse();
    assertThat(focused("dataset.index")).isEqualTo("3");
    browser.press(Keys.ENTER);
    browser.await("document.querySelector('#choices').contains(document.activeElement)");
    browser.press(Keys.ARROW_DOWN);
    String text = text();
    browser.press(Keys.ENTER);
    browser.await("document.querySelector('#reading').textContent !== arguments[0]", text);
    written();
    assertThat(focused("dataset.index")).isEqualTo("3");
    browser.press(Keys.END, Keys.ARROW_UP, Keys.HOME);
    assertThat(focused("dataset.index")).isEqualTo("1");
    browser.press(Keys.TAB);
    assertThat(focused("id")).isEqualTo("write");
  }

  @Test
  void anEditKeepsTheTintsBeforeIt() {
    write("int max(", 20);
    int tokens = count();
    String text = text();
    browser.click("#edit");
    assertThat(browser.value("#editor")).isEqualTo(text);
    browser.press(" and more");
    browser.press(Keys.TAB);
    assertThat(text()).isEqualTo(text + " and more");
    assertThat(count()).isEqualTo(tokens);
    browser.click("#edit");
    browser.run("document.querySelector('#editor').setSelectionRange(3, 3)");
    browser.press("eger");
    browser.press(Keys.TAB);
    assertThat(text()).isEqualTo("integer" + text.substring(3) + " and more");
    assertThat(count()).isZero();
    browser.click("#undo");
    assertThat(count()).isEqualTo(tokens);
  }

  @Test
  void anErrorNamesItsSetting() {
    browser.type("#editor", "a");
    browser.type("#temperature", "-1");
    browser.click("#write");
    browser.await("!document.querySelector('#error').hidden");
    assertThat(browser.text("#error")).contains("temperature", "-1");
    assertThat(browser.find("#temperature").getDomAttribute("aria-invalid")).isEqualTo("true");
    assertThat(text()).isEqualTo("a");
    // The browser tells of the status 400 by itself.
    assertThat(browser.console())
        .hasSize(1)
        .allSatisfy(line -> assertThat(line).contains("v1/completions", "400"));
  }

  @Test
  void aTextThatIsTooLongIsSaid() {
    browser.run(
        "const e = document.querySelector('#editor'); e.value = 'x y '.repeat(400);"
            + " e.dispatchEvent(new Event('input'))");
    browser.click("#write");
    browser.awaitText("#error", "512 in all");
  }

  @Test
  void maxTokensEndWhereTheContextDoes() {
    write("int max(", 100_000);
    assertThat(browser.text("#status")).containsAnyOf("The context is full", "ended the text");
  }

  @Test
  void markupOfTheModelIsText() {
    browser.type("#editor", "<img src=x onerror=alert(1)><script>alert(2)</script>");
    browser.click("#write");
    written();
    assertThat(browser.all("#reading img, #reading script")).isEmpty();
    assertThat(text()).startsWith("<img src=x onerror=alert(1)><script>alert(2)</script>");
  }

  @Test
  void theGalleryPutsTextAndSettingsInPlace() {
    assertThat(browser.all("#gallery button").size()).isGreaterThanOrEqualTo(6);
    browser.type("#editor", "mine");
    browser.click("#gallery li:nth-child(4) button");
    assertThat(text()).contains("Q:").endsWith("A:");
    assertThat(browser.value("#temperature")).isEqualTo("0");
    assertThat(browser.value("#stop_strings")).isEqualTo("\\nQ:");
    browser.click("#undo");
    assertThat(text()).isEqualTo("mine");
    assertThat(browser.value("#temperature")).isEqualTo("0.8");
    assertThat(browser.value("#seed")).isEqualTo("3");
  }

  @Test
  void aPhoneNeedsNoSidewaysScrolling() {
    browser.window(360, 740, "light");
    browser.open(server.url() + "/", true);
    ready();
    assertThat(browser.shown("#temperature")).isFalse();
    browser.click("#settings summary");
    write("int max(int a, int b) { return ", 40);
    assertThat(browser.run("return document.documentElement.scrollWidth")).isEqualTo(360L);
    openChoices(8);
    assertThat(
            browser.run(
                "const b = document.querySelector('#choices').getBoundingClientRect();"
                    + " return b.left >= 0 && b.right <= 360 && b.bottom <= 740"))
        .isEqualTo(true);
  }

  @Test
  void darkFollowsTheSystemAndTheSwitch() {
    String ground = "return getComputedStyle(document.body).backgroundColor";
    String light = String.valueOf(browser.run(ground));
    browser.window(1280, 900, "dark");
    String dark = String.valueOf(browser.run(ground));
    assertThat(dark).isNotEqualTo(light);
    browser.find("#theme").sendKeys("light");
    assertThat(browser.run(ground)).isEqualTo(light);
    browser.reload();
    ready();
    assertThat(browser.run(ground)).isEqualTo(light);
    browser.find("#theme").sendKeys("as the system");
    assertThat(browser.run(ground)).isEqualTo(dark);
    write("int max(", 40);
    openChoices(4);
  }

  @Test
  void noButtonHasARowOfItsOwn() {
    browser.window(500, 800, "light");
    Object alone =
        browser.run(
            "const tops = [...document.querySelectorAll('.write .actions button')].filter(b =>"
                + " b.checkVisibility()).map(b => b.offsetTop);return tops.filter(top =>"
                + " tops.filter(other => other === top).length < 2).length");
    browser.window(1280, 900, "light");
    assertThat(alone).isEqualTo(0L);
  }

  @Test
  void aServerWithKeysHasThePageAskForOne() {
    try (ModelServer closed =
        ModelServer.start(
            Map.of("tiny", dir.resolve("model-" + CONTEXT)), TestServer.settings("secret"))) {
      browser.open(closed.url() + "/", true);
      browser.await("document.querySelector('#key-dialog').open");
      assertThat(browser.axe()).isEmpty();
      browser.awaitText("#error", "This server asks for a key.");
      browser.press("wrong", Keys.ENTER);
      browser.awaitText("#error", "This server does not take the key");
      browser.await("document.querySelector('#key-dialog').open");
      browser.press("secret", Keys.ENTER);
      ready();
      assertThat(browser.shown("#error")).isFalse();
      write("int max(", 10);
      assertThat(count()).isPositive();
      browser.reload();
      ready();
      assertThat(String.valueOf(browser.run("return JSON.stringify({...localStorage})")))
          .doesNotContain("secret");
      List<String> console = browser.console();
      assertThat(console).isNotEmpty().allSatisfy(line -> assertThat(line).contains("401"));
      browser.open(server.url() + "/", true);
      ready();
    }
  }

  @Test
  void aServerThatIsGoneIsSaid() {
    ModelServer other =
        ModelServer.start(Map.of("tiny", dir.resolve("model-" + CONTEXT)), TestServer.settings());
    browser.open(other.url() + "/", true);
    ready();
    other.close();
    browser.type("#editor", "a");
    browser.click("#write");
    browser.awaitText("#error", "does not answer");
    assertThat(browser.console())
        .isNotEmpty()
        .allSatisfy(line -> assertThat(line).contains("ERR_CONNECTION"));
  }
}
