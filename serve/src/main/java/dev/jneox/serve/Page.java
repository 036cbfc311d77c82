package dev.jneox.serve;

import io.helidon.http.HeaderNames;
import io.helidon.http.Method;
import io.helidon.http.PathMatchers;
import io.helidon.http.Status;
import io.helidon.webserver.http.HttpRules;
import io.helidon.webserver.http.HttpService;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/**
 * Serves the page on which a person writes with a model: {@code GET /}, and its files below {@code
 * /page/}. They lie in the jar, hold no secret, and ask for no key; what the page does, it does
 * through the API.
 */
final class Page implements HttpService {
  /**
   * Nothing but the page's own files, and no inline script or style. The page puts text of models
   * into text nodes alone; trusted types have the browser refuse anything else.
   */
  static final String CONTENT_SECURITY_POLICY =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
          + " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
          + " require-trusted-types-for 'script'; trusted-types 'none'";

  static final List<String> FILES =
      List.of(
          "index.html",
          "page.css",
          "theme.js",
          "main.js",
          "api.js",
          "text.js",
          "share.js",
          "gallery.js",
          "icon.svg");

  @Override
  public void routing(HttpRules rules) {
    for (String name : FILES) {
      byte[] content = read(name);
      String type = type(name);
      String tag = '"' + sha256(content) + '"';
      rules.route(
          Method.predicate(Method.GET, Method.HEAD),
          PathMatchers.exact(name.equals("index.html") ? "/" : "/page/" + name),
          (request, response) -> send(request, response, content, type, tag));
    }
  }

  private static void send(
      ServerRequest request, ServerResponse response, byte[] content, String type, String tag) {
    response.header(HeaderNames.CONTENT_TYPE, type);
    response.header(HeaderNames.ETAG, tag);
    response.header(HeaderNames.CACHE_CONTROL, "no-cache"); // kept, and asked for by its tag
    response.header("Content-Security-Policy", CONTENT_SECURITY_POLICY);
    response.header("X-Content-Type-Options", "nosniff");
    response.header("Referrer-Policy", "no-referrer");
    response.header("Cross-Origin-Opener-Policy", "same-origin");
    response.header("Cross-Origin-Resource-Policy", "same-origin");
    boolean kept =
        request.headers().contains(HeaderNames.IF_NONE_MATCH)
            && request.headers().get(HeaderNames.IF_NONE_MATCH).allValues().stream()
                .anyMatch(value -> value.contains(tag) || value.strip().equals("*"));
    if (kept) {
      response.status(Status.NOT_MODIFIED_304).send();
    } else if (request.prologue().method().equals(Method.HEAD)) {
      response.contentLength(content.length);
      response.send();
    } else {
      response.send(content);
    }
  }

  private static byte[] read(String name) {
    try (InputStream file = Page.class.getResourceAsStream("page/" + name)) {
      if (file == null) {
        throw new IllegalStateException("the jar of module serve lacks page/" + name);
      }
      return file.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String type(String name) {
    return switch (name.substring(name.lastIndexOf('.'))) {
      case ".html" -> "text/html; charset=utf-8";
      case ".css" -> "text/css; charset=utf-8";
      case ".js" -> "text/javascript; charset=utf-8";
      case ".svg" -> "image/svg+xml";
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content), 0, 16);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every JVM has it
    }
  }
}
