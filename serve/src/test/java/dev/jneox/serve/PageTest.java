package dev.jneox.serve;

import static java.util.stream.Collectors.toCollection;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What of the page needs no browser; {@code PageInBrowserTest} has the rest. */
@Tag("slow")
class PageTest {
  private static final Path SOURCES = Path.of("src/main/resources/dev/jneox/serve/page");

  @TempDir static Path dir;

  private static ModelServer server;
  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  @BeforeAll
  static void start() {
    server =
        ModelServer.start(
            Map.of("tiny", TestServer.model(dir, 128)), TestServer.settings("secret"));
  }

  @AfterAll
  static void stop() {
    server.close();
    CLIENT.close();
  }

  private static HttpResponse<String> get(String path, String... headers) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(server.url() + path));
    if (headers.length > 0) {
      request.headers(headers);
    }
    return CLIENT.send(request.build(), BodyHandlers.ofString());
  }

  private static String path(String file) {
    return file.equals("index.html") ? "/" : "/page/" + file;
  }

  static Stream<String> files() {
    return Page.FILES.stream();
  }

  static Stream<String> scripts() {
    return files().filter(file -> file.endsWith(".js"));
  }

  @Test
  void everyFileOfTheFolderIsServed() throws IOException {
    try (Stream<Path> found = Files.list(SOURCES)) {
      assertThat(found.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrderElementsOf(Page.FILES);
    }
  }

  @ParameterizedTest
  @MethodSource("files")
  void aFileComesWithItsTypeAndWithoutAKey(String file) throws Exception {
    HttpResponse<String> response = get(path(file));
    assertThat(response.statusCode()).isEqualTo(200);
    assertThat(response.body()).isEqualTo(Files.readString(SOURCES.resolve(file)));
    String extension = file.substring(file.lastIndexOf('.') + 1);
    assertThat(response.headers().allValues("Content-Type"))
        .containsExactly(
            Map.of(
                    "html", "text/html; charset=utf-8",
                    "css", "text/css; charset=utf-8",
                    "js", "text/javascript; charset=utf-8",
                    "svg", "image/svg+xml")
                .get(extension));
  }

  @ParameterizedTest
  @MethodSource("files")
  void aFileMayRunNothingFromElsewhere(String file) throws Exception {
    Map<String, java.util.List<String>> headers = get(path(file)).headers().map();
    String policy = String.join(",", headers.get("content-security-policy"));
    assertThat(policy.split("; *"))
        .contains(
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'");
    assertThat(policy).doesNotContain("unsafe", "http:", "https:", "*", "data:");
    assertThat(headers.get("x-content-type-options")).containsExactly("nosniff");
    assertThat(headers.get("referrer-policy")).containsExactly("no-referrer");
  }

  @ParameterizedTest
  @MethodSource("files")
  void aFileThatTheBrowserHasIsNotSentAgain(String file) throws Exception {
    HttpResponse<String> first = get(path(file));
    assertThat(first.headers().allValues("Cache-Control")).containsExactly("no-cache");
    String tag = first.headers().firstValue("ETag").orElseThrow();
    assertThat(tag).matches("\"[0-9a-f]{32}\"");
    HttpResponse<String> second = get(path(file), "If-None-Match", "\"other\", W/" + tag);
    assertThat(second.statusCode()).isEqualTo(304);
    assertThat(second.body()).isEmpty();
    assertThat(second.headers().firstValue("ETag")).contains(tag);
    assertThat(get(path(file), "If-None-Match", "\"other\"").statusCode()).isEqualTo(200);
  }

  @Test
  void headTellsOfTheFileWithoutSendingIt() throws Exception {
    HttpRequest head = HttpRequest.newBuilder(URI.create(server.url() + "/")).HEAD().build();
    HttpResponse<String> response = CLIENT.send(head, BodyHandlers.ofString());
    assertThat(response.statusCode()).isEqualTo(200);
    assertThat(response.body()).isEmpty();
    assertThat(response.headers().firstValueAsLong("Content-Length"))
        .hasValue(Files.size(SOURCES.resolve("index.html")));
    assertThat(get("/").statusCode()).isEqualTo(200);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/page/",
        "/page/index.html",
        "/page/Page.class",
        "/page/../main.js",
        "/page/%2e%2e/Page.class"
      })
  void nothingElseIsServed(String path) throws Exception {
    assertThat(get(path).statusCode()).isEqualTo(401);
    assertThat(get(path, "Authorization", "Bearer secret").statusCode()).isEqualTo(404);
  }

  @Test
  void theApiStillAsksForItsKey() throws Exception {
    assertThat(get("/v1/models").statusCode()).isEqualTo(401);
    assertThat(get("/v1/models", "Authorization", "Bearer secret").statusCode()).isEqualTo(200);
  }

  @Test
  void theHtmlHasNoInlineScriptOrStyleAndAsksForOurFilesAlone() throws IOException {
    String html = Files.readString(SOURCES.resolve("index.html"));
    assertThat(html).doesNotContain("javascript:", "style=", "<style", "//");
    assertThat(Pattern.compile("<script(?![^>]* src=)").matcher(html).find()).isFalse();
    assertThat(Pattern.compile("<script[^>]*>[^<]").matcher(html).find()).isFalse();
    assertThat(Pattern.compile("\\son[a-z]+\\s*=").matcher(html).find()).isFalse();
    Set<String> asked =
        Pattern.compile("(?:src|href)=\"([^\"]*)\"")
            .matcher(html)
            .results()
            .map(match -> match.group(1))
            .collect(toCollection(TreeSet::new));
    assertThat(asked)
        .containsExactly("page/icon.svg", "page/main.js", "page/page.css", "page/theme.js");
  }

  @ParameterizedTest
  @MethodSource("scripts")
  void aScriptMakesNoHtmlOfTextAndImportsOurFilesAlone(String file) throws IOException {
    String script = Files.readString(SOURCES.resolve(file));
    assertThat(script)
        .doesNotContain(
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "://");
    Matcher imports = Pattern.compile("from '([^']*)'").matcher(script);
    while (imports.find()) {
      assertThat(imports.group(1)).startsWith("./");
      assertThat(Page.FILES).contains(imports.group(1).substring(2));
    }
  }

  @Test
  void theStyleAsksForNothing() throws IOException {
    assertThat(Files.readString(SOURCES.resolve("page.css")))
        .doesNotContain("url(", "@import", "://");
  }
}
