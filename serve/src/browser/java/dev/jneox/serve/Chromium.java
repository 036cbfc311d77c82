package dev.jneox.serve;

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import org.jspecify.annotations.Nullable;
import org.openqa.selenium.By;
import org.openqa.selenium.Keys;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.interactions.Actions;
import org.openqa.selenium.logging.LogEntry;
import org.openqa.selenium.logging.LogType;
import org.openqa.selenium.logging.LoggingPreferences;
import org.openqa.selenium.support.ui.WebDriverWait;

/** Drives Debian's Chromium, without a window, over the page. */
final class Chromium implements AutoCloseable {
  private static final List<Path> PROGRAMS =
      List.of(Path.of("/usr/bin/chromium"), Path.of("/usr/bin/chromedriver"));

  private final ChromeDriver driver;
  private final WebDriverWait wait;

  Chromium() {
    for (Path program : PROGRAMS) {
      if (!Files.isExecutable(program)) {
        throw new IllegalStateException(
            program + ": not found: apt-get install chromium chromium-driver");
      }
    }
    ChromeOptions options = new ChromeOptions();
    options.setBinary(PROGRAMS.get(0).toFile());
    options.addArguments(
        "--headless=new",
        "--no-sandbox", // which root, as in a container, has not
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--hide-scrollbars",
        "--lang=en");
    LoggingPreferences logs = new LoggingPreferences();
    logs.enable(LogType.BROWSER, Level.ALL);
    options.setCapability("goog:loggingPrefs", logs);
    ChromeDriverService service =
        new ChromeDriverService.Builder()
            .usingDriverExecutable(PROGRAMS.get(1).toFile())
            .usingAnyFreePort()
            .build();
    this.driver = new ChromeDriver(service, options);
    this.wait = new WebDriverWait(driver, Duration.ofSeconds(60), Duration.ofMillis(50));
    window(1280, 900, "light");
  }

  /** Sets the size of the view and the scheme that the system prefers. */
  void window(int width, int height, String scheme) {
    driver.executeCdpCommand(
        "Emulation.setDeviceMetricsOverride",
        Map.of("width", width, "height", height, "deviceScaleFactor", 1, "mobile", false));
    driver.executeCdpCommand(
        "Emulation.setEmulatedMedia",
        Map.of(
            "features",
            List.of(
                Map.of("name", "prefers-color-scheme", "value", scheme),
                Map.of("name", "prefers-reduced-motion", "value", "reduce"))));
  }

  /** Bounds what comes over the network, in bytes a second; -1 is no bound. */
  void slow(int rate) {
    driver.executeCdpCommand("Network.enable", Map.of());
    driver.executeCdpCommand(
        "Network.emulateNetworkConditions",
        Map.of("offline", false, "latency", 0, "downloadThroughput", rate, "uploadThroughput", -1));
  }

  /** Opens a URL, as a new visitor where {@code fresh}. */
  void open(String url, boolean fresh) {
    driver.get("about:blank"); // a URL that differs behind # alone would not load anew
    if (fresh) {
      driver.get(url);
      driver.executeCdpCommand(
          "Runtime.evaluate",
          Map.of(
              "expression",
              "localStorage.clear(); sessionStorage.clear(); Storage.prototype.setItem = () =>"
                  + " {}"));
      driver.get("about:blank");
    }
    driver.get(url);
  }

  void reload() {
    driver.navigate().refresh();
  }

  @Nullable Object run(String script, Object... arguments) {
    return driver.executeScript(script, arguments);
  }

  WebElement find(String selector) {
    return driver.findElement(By.cssSelector(selector));
  }

  List<WebElement> all(String selector) {
    return driver.findElements(By.cssSelector(selector));
  }

  String text(String selector) {
    return String.valueOf(run("return document.querySelector(arguments[0]).textContent", selector));
  }

  String value(String selector) {
    return String.valueOf(run("return document.querySelector(arguments[0]).value", selector));
  }

  boolean shown(String selector) {
    return all(selector).stream().anyMatch(WebElement::isDisplayed);
  }

  void click(String selector) {
    find(selector).click();
  }

  void type(String selector, String text) {
    WebElement field = find(selector);
    field.sendKeys(Keys.chord(Keys.CONTROL, "a"), Keys.DELETE);
    field.sendKeys(text);
  }

  /** Presses keys in whatever has the focus. */
  void press(CharSequence... keys) {
    new Actions(driver).sendKeys(keys).perform();
  }

  void press(Keys held, Keys key) {
    new Actions(driver).keyDown(held).sendKeys(key).keyUp(held).perform();
  }

  void hover(String selector) {
    new Actions(driver).moveToElement(find(selector)).perform();
  }

  /** Waits until a script returns true. */
  void await(String condition, Object... arguments) {
    wait.withMessage(() -> condition + "; the page says: " + text("#status") + text("#error"))
        .until(_ -> Boolean.TRUE.equals(run("return Boolean(" + condition + ")", arguments)));
  }

  void awaitText(String selector, String part) {
    await(
        "document.querySelector(arguments[0]).textContent.includes(arguments[1])", selector, part);
  }

  /** Returns warnings and errors of the console since the last call. */
  List<String> console() {
    return driver.manage().logs().get(LogType.BROWSER).getAll().stream()
        .filter(entry -> entry.getLevel().intValue() >= Level.WARNING.intValue())
        .map(LogEntry::getMessage)
        .toList();
  }

  /** Returns what axe-core finds wrong, one rule a line. */
  String axe() {
    try (InputStream file = Chromium.class.getResourceAsStream("/axe.min.js")) {
      run(new String(file.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Object found =
        driver.executeAsyncScript(
            """
            const done = arguments[0];
            axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(
                result => done(result.violations.flatMap(rule => rule.nodes.slice(0, 3).map(
                    node => rule.id + ': ' + node.html.slice(0, 200) + ' ' + node.failureSummary))),
                e => done(['axe: ' + e]));
            """);
    return found instanceof List<?> list
        ? list.stream().map(Object::toString).collect(joining("\n"))
        : "axe gave nothing";
  }

  void picture(Path file) {
    try {
      Files.createDirectories(file.getParent());
      Files.write(file, driver.getScreenshotAs(OutputType.BYTES));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    driver.quit();
  }
}
