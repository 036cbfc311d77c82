package dev.jneox.serve;

import java.nio.file.Path;

/** Takes the pictures of docs/ from a running server: {@code PagePictures URL FOLDER SEED}. */
final class PagePictures {
  private PagePictures() {}

  public static void main(String... args) {
    try (Chromium browser = new Chromium()) {
      browser.open(args[0], true);
      browser.await("document.querySelector('#model').options.length > 0");
      browser.find("#font").sendKeys("fixed width");
      browser.type(
          "#editor",
          """
          /**
           * Returns the number of elements in this list that are not null.
           */
          public int size() {
          """);
      browser.type("#max_tokens", "140");
      browser.type("#temperature", "0.7");
      browser.type("#seed", args[2]);
      browser.click("#write");
      browser.await("document.querySelector('#status').textContent.startsWith('Wrote')");
      browser.run("scrollTo(0, 0)");
      browser.run(
          "[...document.querySelectorAll('#reading .token')].find(e => /p[23]/.test(e.className) &&"
              + " /^ [a-z]/.test(e.textContent)).id = 'looked-at'");
      browser.hover("#looked-at");
      browser.await("document.querySelector('#choices').matches(':popover-open')");
      browser.picture(Path.of(args[1], "page-light.png"));
      browser.window(390, 844, "dark");
      browser.run("scrollTo(0, 0)");
      browser.click("h1");
      browser.picture(Path.of(args[1], "page-dark-phone.png"));
      System.out.println(browser.console());
      System.out.println(browser.axe());
    }
  }
}
