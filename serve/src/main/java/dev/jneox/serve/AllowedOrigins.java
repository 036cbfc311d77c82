package dev.jneox.serve;

import dev.jneox.io.InputException;
import dev.jneox.io.VisibleText;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * Names the web pages that may send requests, and the names under which they may reach a server of
 * this machine alone. A browser runs pages of any site: without this each of them could use the
 * server.
 *
 * @param origins such as {@code https://app.example.com}, or {@code *} for all; pages of the server
 *     itself need no entry
 * @param hosts names in the header {@code Host} beside those of this machine
 */
public record AllowedOrigins(List<String> origins, List<String> hosts) {
  /** Allows the server's own pages, under the names of this machine. */
  public static final AllowedOrigins NONE = new AllowedOrigins(List.of(), List.of());

  private static final String ALL = "*";
  private static final Pattern ORIGIN =
      Pattern.compile("\\*|null|[a-z][a-z0-9+.-]*://[^/\\s?#@]+", Pattern.CASE_INSENSITIVE);
  private static final Pattern HOST = Pattern.compile("[A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+]");
  private static final Pattern LOOPBACK =
      Pattern.compile("localhost|.+\\.localhost|127(\\.\\d{1,3}){3}|\\[(0*:)*:?0*1]");

  /**
   * Copies the lists.
   *
   * @throws InputException that names an entry of another form
   */
  public AllowedOrigins {
    origins = origins.stream().map(AllowedOrigins::lower).toList();
    hosts = hosts.stream().map(AllowedOrigins::lower).toList();
    for (String origin : origins) {
      if (!ORIGIN.matcher(origin).matches()) {
        throw new InputException(
            "allowed origin: expected one such as https://app.example.com, without a path, or *,"
                + " found "
                + VisibleText.of(origin));
      }
    }
    for (String host : hosts) {
      if (!HOST.matcher(host).matches()) {
        throw new InputException(
            "allowed host: expected a name such as models.example.com, without a port, found "
                + VisibleText.of(host));
      }
    }
  }

  private static String lower(String text) {
    return text.toLowerCase(Locale.ROOT);
  }

  /** Whether pages of an origin may send requests. */
  boolean allows(String origin) {
    return origins.contains(ALL) || origins.contains(lower(origin));
  }

  /** Returns what tells a browser that pages of an allowed origin may read the answer. */
  String answerTo(String origin) {
    return origins.contains(ALL) ? ALL : origin;
  }

  /**
   * Whether the header {@code Host} names this machine, or a name that is allowed.
   *
   * @param authority name, with or without a port
   * @param listening the name or address that the server listens on
   */
  boolean isHere(String authority, String listening) {
    String name = lower(withoutPort(authority));
    if (name.endsWith(".")) {
      name = name.substring(0, name.length() - 1);
    }
    return LOOPBACK.matcher(name).matches()
        || name.equals(lower(listening))
        || hosts.contains(name);
  }

  /** Whether an origin is that of the server itself, which a request named by {@code authority}. */
  static boolean isSame(String origin, String authority) {
    int scheme = origin.indexOf("://");
    return scheme > 0 && lower(origin.substring(scheme + 3)).equals(lower(authority));
  }

  private static String withoutPort(String authority) {
    int colon = authority.lastIndexOf(':');
    return colon > authority.lastIndexOf(']') ? authority.substring(0, colon) : authority;
  }
}
