package dev.jneox.grammar;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.StringJoiner;

/**
 * Holds the formats of JSON Schema that are kept, as regular expressions. Each is a part of what
 * the format allows: years have four digits from 1000 on, seconds end at 59, mail addresses and
 * host names are of ASCII and of bounded length, URIs begin with http or https.
 */
final class Formats {
  private static final String DATE =
      "[1-9]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])"
          + "|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))"
          + "|(?:[1-9]\\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29";
  private static final String TIME =
      "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?" + "(?:Z|[+-](?:0\\d|1[0-3]):[0-5]\\d)";
  private static final String OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  private static final String IPV4 = OCTET + "(?:\\." + OCTET + "){3}";
  private static final String LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?";
  private static final String HOST = LABEL + "(?:\\." + LABEL + "){0,3}";
  private static final String ATOM = "[A-Za-z0-9_+-]{1,20}";
  private static final String PATH = "[A-Za-z0-9._~!$&'()*+,;=:@-]";

  private static final Map<String, String> PATTERNS =
      Map.ofEntries(
          Map.entry("date", DATE),
          Map.entry("time", TIME),
          Map.entry("date-time", "(?:" + DATE + ")T" + TIME),
          Map.entry(
              "duration",
              "P(?:\\d{1,4}W|(?:\\d{1,4}Y(?:\\d{1,4}M(?:\\d{1,4}D)?)?|\\d{1,4}M(?:\\d{1,4}D)?"
                  + "|\\d{1,4}D)(?:T\\d{1,4}S)?|T(?:\\d{1,4}H(?:\\d{1,4}M(?:\\d{1,4}S)?)?"
                  + "|\\d{1,4}M(?:\\d{1,4}S)?|\\d{1,4}S))"),
          Map.entry("email", ATOM + "(?:\\." + ATOM + "){0,2}@" + HOST + "\\.[A-Za-z]{2,6}"),
          Map.entry("hostname", HOST),
          Map.entry("ipv4", IPV4),
          Map.entry("ipv6", ipv6()),
          Map.entry(
              "uuid",
              "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"),
          Map.entry(
              "uri",
              "https?://"
                  + HOST
                  + "(?::[1-9]\\d{0,3})?(?:/"
                  + PATH
                  + "*)*(?:\\?(?:"
                  + PATH
                  + "|[/?])*)?(?:#(?:"
                  + PATH
                  + "|[/?])*)?"),
          Map.entry("json-pointer", "(?:/(?:[^~/]|~[01])*)*"));

  private static final Map<String, Regex> READ = new HashMap<>();

  private Formats() {}

  /** Returns the expression of a format; empty for one that is not known, which allows any text. */
  static synchronized Optional<Regex> of(String name) {
    String pattern = PATTERNS.get(name);
    return pattern == null
        ? Optional.empty()
        : Optional.of(READ.computeIfAbsent(name, key -> RegexReader.whole(pattern)));
  }

  /** Writes eight groups, or fewer around a double colon. */
  private static String ipv6() {
    String group = "[0-9a-fA-F]{1,4}";
    StringJoiner forms = new StringJoiner("|");
    forms.add(group + "(?::" + group + "){7}");
    for (int before = 0; before <= 6; before++) {
      String left = before == 0 ? "" : group + "(?::" + group + "){" + (before - 1) + "}";
      int after = 6 - before;
      String right =
          after == 0 ? "" : "(?:" + group + "(?::" + group + "){0," + (after - 1) + "})?";
      forms.add(left + "::" + right);
    }
    return forms.toString();
  }
}
