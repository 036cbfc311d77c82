package dev.jneox.serve;

import dev.jneox.io.InputException;
import dev.jneox.io.VisibleText;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Names the reverse proxies whose header {@code X-Forwarded-For} is believed. Anyone can send the
 * header: what counts of it is what a trusted proxy has added.
 *
 * @param ranges of addresses of the proxies; none believes nobody
 */
public record TrustedProxies(List<Range> ranges) {
  /** Believes nobody. */
  public static final TrustedProxies NONE = new TrustedProxies(List.of());

  // Of the texts that look like these the JDK takes addresses alone, and asks no name server.
  private static final Pattern ADDRESS =
      Pattern.compile("\\d{1,3}(\\.\\d{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*");
  private static final Pattern WITH_PORT =
      Pattern.compile("(\\d{1,3}(?:\\.\\d{1,3}){3}):\\d+|\\[(.*)](?::\\d+)?");

  /**
   * Holds the addresses that begin with the same bits.
   *
   * @param first an address of them
   * @param bits how many bits are the same
   */
  public record Range(InetAddress first, int bits) {
    /**
     * Reads {@code ADDRESS} or {@code ADDRESS/BITS}.
     *
     * @throws InputException when the text is not of this form
     */
    public static Range parse(String text) {
      int slash = text.indexOf('/');
      Optional<InetAddress> first = address(slash < 0 ? text : text.substring(0, slash));
      String bits = slash < 0 ? "" : text.substring(slash + 1);
      int most = first.map(address -> 8 * address.getAddress().length).orElse(0);
      if (first.isEmpty()
          || slash >= 0 && (!bits.matches("\\d{1,3}") || Integer.parseInt(bits) > most)) {
        throw new InputException(
            "expected an address or a range of them, such as 10.0.0.0/8, found "
                + VisibleText.of(text));
      }
      return new Range(first.get(), slash < 0 ? most : Integer.parseInt(bits));
    }

    boolean contains(InetAddress address) {
      byte[] a = first.getAddress();
      byte[] b = address.getAddress();
      if (a.length != b.length) {
        return false;
      }
      for (int bit = 0; bit < bits; bit++) {
        if (((a[bit >> 3] ^ b[bit >> 3]) >> (7 - (bit & 7)) & 1) != 0) {
          return false;
        }
      }
      return true;
    }
  }

  /** Copies the list. */
  public TrustedProxies {
    ranges = List.copyOf(ranges);
  }

  /**
   * Returns the address of the client: the last one that no trusted proxy has.
   *
   * @param peer address at the other end of the connection
   * @param forwarded values of the header, in their order
   */
  String client(String peer, List<String> forwarded) {
    if (ranges.isEmpty() || forwarded.isEmpty()) {
      return peer;
    }
    List<String> hops = new ArrayList<>();
    forwarded.forEach(value -> Collections.addAll(hops, value.split(",")));
    String client = peer;
    for (String hop : hops.reversed()) {
      Optional<InetAddress> before = address(withoutPort(hop.strip()));
      if (before.isEmpty() || !trusts(client)) {
        return client;
      }
      client = before.get().getHostAddress();
    }
    return client;
  }

  /** Whether an address is one of them. */
  boolean trusts(String text) {
    Optional<InetAddress> address = address(text);
    return address.isPresent() && ranges.stream().anyMatch(range -> range.contains(address.get()));
  }

  private static String withoutPort(String hop) {
    var matcher = WITH_PORT.matcher(hop);
    return matcher.matches() ? matcher.group(1) == null ? matcher.group(2) : matcher.group(1) : hop;
  }

  private static Optional<InetAddress> address(String text) {
    if (!ADDRESS.matcher(text).matches()) {
      return Optional.empty();
    }
    try {
      return Optional.of(InetAddress.ofLiteral(text));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}
