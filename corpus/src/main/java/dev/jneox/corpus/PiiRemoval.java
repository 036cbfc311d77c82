package dev.jneox.corpus;

import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Replaces personal data by the name of its kind: mail addresses {@code <EMAIL>}, public IPv4
 * addresses {@code <IP>}, telephone numbers with a country code {@code <PHONE>}, credit card
 * numbers with a right checksum {@code <CARD>}, and keys of well-known forms {@code <KEY>}. Each is
 * counted.
 *
 * @param mail whether mail addresses are replaced
 * @param ip whether IP addresses are
 * @param phone whether telephone numbers are
 * @param card whether credit card numbers are
 * @param key whether keys are
 */
record PiiRemoval(boolean mail, boolean ip, boolean phone, boolean card, boolean key)
    implements TextStep {
  private static final Pattern MAIL =
      Pattern.compile(
          "[A-Za-z0-9][\\w.+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?\\.){1,8}"
              + "[A-Za-z]{2,24}(?![\\w@])");
  private static final Pattern IP =
      Pattern.compile("(?<![\\d.])(?:\\d{1,3}\\.){3}\\d{1,3}(?![\\d]|\\.\\d)");
  private static final Pattern PHONE =
      Pattern.compile("(?<![\\w+])\\+[1-9]\\d{0,2}(?:[ .-]?\\(?\\d{1,4}\\)?){2,5}(?!\\d)");
  private static final Pattern CARD =
      Pattern.compile("(?<![\\d.-])\\d(?:[ -]?\\d){12,18}(?![\\d-])");
  private static final Pattern KEY =
      Pattern.compile(
          "\\b(?:AKIA|ASIA)[0-9A-Z]{16}\\b|\\bgh[pousr]_[A-Za-z0-9]{36,}\\b|\\bxox[abprs]-[A-Za-z0-9-]{10,}|\\bAIza[0-9A-Za-z_-]{35}\\b|\\bsk-[A-Za-z0-9_-]{20,}|-----BEGIN"
              + " (?:[A-Z]+ )?PRIVATE KEY-----[A-Za-z0-9+/=\\s]*-----END (?:[A-Z]+ )?PRIVATE"
              + " KEY-----");

  /** Every key has one of these: to look for them is faster than the pattern. */
  private static final List<String> KEY_BEGINNINGS =
      List.of(
          "AKIA",
          "ASIA",
          "ghp_",
          "gho_",
          "ghu_",
          "ghs_",
          "ghr_",
          "xox",
          "AIza",
          "sk-",
          "PRIVATE KEY");

  static Step of(Settings options) {
    return new PiiRemoval(
        options.flag("mail", true),
        options.flag("ip", true),
        options.flag("phone", true),
        options.flag("card", true),
        options.flag("key", true));
  }

  @Override
  public String name() {
    return "pii";
  }

  @Override
  public String describe() {
    boolean[] on = {mail, ip, phone, card, key};
    String[] kinds = {
      "mail addresses",
      "public IPv4 addresses",
      "telephone numbers with a country code",
      "card numbers",
      "keys"
    };
    return "replaces "
        + IntStream.range(0, on.length)
            .filter(i -> on[i])
            .mapToObj(i -> kinds[i])
            .collect(Collectors.joining(", "))
        + "; not names, postal addresses, private or IPv6 addresses, local telephone numbers";
  }

  @Override
  public @Nullable String apply(Page page) {
    String text = page.text();
    if (key && KEY_BEGINNINGS.stream().anyMatch(text::contains)) {
      text = replace(KEY, page, text, "key", found -> true);
    }
    if (mail && text.indexOf('@') >= 0) {
      text = withoutMail(page, text);
    }
    if (ip) {
      text = replace(IP, page, text, "ip", PiiRemoval::isPublic);
    }
    if (phone && text.indexOf('+') >= 0) {
      text = replace(PHONE, page, text, "phone", PiiRemoval::isPhone);
    }
    if (card) {
      text = replace(CARD, page, text, "card", PiiRemoval::isCard);
    }
    page.text(text);
    return null;
  }

  /** Looks at each @ alone: to try the pattern at every letter takes most of the time. */
  private static String withoutMail(Page page, String text) {
    Matcher matcher = MAIL.matcher(text);
    StringBuilder out = new StringBuilder(text.length());
    int copied = 0;
    for (int at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
      int from = at;
      while (from > copied && isLocal(text.charAt(from - 1))) {
        from--;
      }
      while (from < at && !isAlphanumeric(text.charAt(from))) {
        from++;
      }
      if (from < at && matcher.region(from, text.length()).lookingAt()) {
        page.count("email", 1);
        out.append(text, copied, from).append("<EMAIL>");
        copied = matcher.end();
      }
    }
    return copied == 0 ? text : out.append(text, copied, text.length()).toString();
  }

  private static boolean isAlphanumeric(char c) {
    return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9';
  }

  private static boolean isLocal(char c) {
    return isAlphanumeric(c) || "_.+-".indexOf(c) >= 0;
  }

  private interface Test {
    boolean is(String found);
  }

  private static String replace(Pattern pattern, Page page, String text, String kind, Test test) {
    String by = "<" + kind.toUpperCase(Locale.ROOT) + ">";
    return pattern
        .matcher(text)
        .replaceAll(
            (MatchResult found) -> {
              boolean is = test.is(found.group());
              page.count(kind, is ? 1 : 0);
              return Matcher.quoteReplacement(is ? by : found.group());
            });
  }

  private static boolean isPublic(String address) {
    String[] words = address.split("\\.");
    int[] parts = new int[4];
    for (int i = 0; i < 4; i++) {
      parts[i] = Integer.parseInt(words[i]);
      if (parts[i] > 255 || words[i].length() > 1 && words[i].startsWith("0")) {
        return false;
      }
    }
    return parts[0] != 0
        && parts[0] != 10
        && parts[0] != 127
        && parts[0] < 224
        && !(parts[0] == 192 && parts[1] == 168)
        && !(parts[0] == 172 && parts[1] >= 16 && parts[1] < 32)
        && !(parts[0] == 169 && parts[1] == 254);
  }

  private static boolean isPhone(String number) {
    long digits = number.chars().filter(Character::isDigit).count();
    return digits >= 8 && digits <= 15;
  }

  /** Returns whether a number of 13 to 19 digits has the checksum of Luhn. */
  static boolean isCard(String number) {
    int sum = 0;
    int place = 0;
    for (int i = number.length() - 1; i >= 0; i--) {
      char c = number.charAt(i);
      if (c >= '0' && c <= '9') {
        int digit = (c - '0') * (place % 2 + 1);
        sum += digit > 9 ? digit - 9 : digit;
        place++;
      }
    }
    return sum % 10 == 0 && "3456".indexOf(number.charAt(0)) >= 0;
  }
}
