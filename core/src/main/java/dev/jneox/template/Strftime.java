package dev.jneox.template;

import java.time.LocalDateTime;
import java.time.format.TextStyle;
import java.time.temporal.IsoFields;
import java.util.Locale;

/** Formats a time as C's strftime does in the locale C. */
final class Strftime {
  private Strftime() {}

  static String format(LocalDateTime time, String format) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%' || i + 1 == format.length()) {
        out.append(c);
        continue;
      }
      char flag = format.charAt(++i);
      boolean flagged = "-_0^#".indexOf(flag) >= 0 && i + 1 < format.length();
      String part = part(time, flagged ? format.charAt(++i) : flag);
      out.append(flagged ? flagged(part, flag) : part);
    }
    return out.toString();
  }

  private static String flagged(String part, char flag) {
    String number = part.strip();
    return switch (flag) {
      case '-' -> number.matches("\\d+") ? number.replaceFirst("^0+(?=.)", "") : part;
      case '_' ->
          number.matches("\\d+")
              ? " ".repeat(part.length() - part.strip().replaceFirst("^0+(?=.)", "").length())
                  + number.replaceFirst("^0+(?=.)", "")
              : part;
      case '^' -> part.toUpperCase(Locale.ROOT);
      default -> part.replace(' ', '0');
    };
  }

  private static String part(LocalDateTime time, char directive) {
    int hour = time.getHour();
    int twelve = hour % 12 == 0 ? 12 : hour % 12;
    int day = time.getDayOfYear();
    // From Sunday, 0, to Saturday.
    int weekday = time.getDayOfWeek().getValue() % 7;
    return switch (directive) {
      case '%' -> "%";
      case 'n' -> "\n";
      case 't' -> "\t";
      case 'Y' -> String.valueOf(time.getYear());
      case 'C' -> two(time.getYear() / 100);
      case 'y' -> two(time.getYear() % 100);
      case 'm' -> two(time.getMonthValue());
      case 'd' -> two(time.getDayOfMonth());
      case 'e' -> padded(time.getDayOfMonth());
      case 'H' -> two(hour);
      case 'I' -> two(twelve);
      case 'k' -> padded(hour);
      case 'l' -> padded(twelve);
      case 'M' -> two(time.getMinute());
      case 'S' -> two(time.getSecond());
      case 'f' -> "%06d".formatted(time.getNano() / 1000);
      case 'p' -> hour < 12 ? "AM" : "PM";
      case 'P' -> hour < 12 ? "am" : "pm";
      case 'j' -> "%03d".formatted(day);
      case 'u' -> String.valueOf(time.getDayOfWeek().getValue());
      case 'w' -> String.valueOf(weekday);
      case 'U' -> two((day + 6 - weekday) / 7);
      case 'W' -> two((day + 6 - (weekday + 6) % 7) / 7);
      case 'V' -> two(time.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR));
      case 'G' -> String.valueOf(time.get(IsoFields.WEEK_BASED_YEAR));
      case 'g' -> two(time.get(IsoFields.WEEK_BASED_YEAR) % 100);
      case 'B' -> time.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
      case 'b', 'h' ->
          time.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH).substring(0, 3);
      case 'A' -> time.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
      case 'a' ->
          time.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH).substring(0, 3);
      case 'D', 'x' -> format(time, "%m/%d/%y");
      case 'F' -> format(time, "%Y-%m-%d");
      case 'T', 'X' -> format(time, "%H:%M:%S");
      case 'R' -> format(time, "%H:%M");
      case 'r' -> format(time, "%I:%M:%S %p");
      case 'c' -> format(time, "%a %b %e %H:%M:%S %Y");
      // The time of chat templates has no zone.
      case 'Z', 'z' -> "";
      default ->
          throw TemplateFault.expected("a directive of strftime such as %Y or %d", "%" + directive);
    };
  }

  private static String two(int number) {
    return "%02d".formatted(number);
  }

  private static String padded(int number) {
    return "%2d".formatted(number);
  }
}
