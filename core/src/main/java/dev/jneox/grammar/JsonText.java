package dev.jneox.grammar;

import com.fasterxml.jackson.databind.node.TextNode;
import dev.jneox.tokenizer.CodePointSet;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Writes the parts of JSON into a network. Between the parts of a value stands no white space, but
 * one space may follow a comma and a colon.
 */
final class JsonText {
  /** The characters that stand in a string as they are. */
  private static final CodePointSet PLAIN =
      CodePointSet.range(0, 0x1F)
          .union(CodePointSet.of('"'))
          .union(CodePointSet.of('\\'))
          .complement();

  private final Network network;
  private final Map<CodePointSet, CodePointSet> plain = new HashMap<>();
  private final Map<NumberForm, Integer> numbers = new HashMap<>();
  private int string = -1; // rules, once made
  private int any = -1;

  JsonText(Network network) {
    this.network = network;
  }

  /** Adds a character that may be followed by one space. */
  private void spaced(int from, String text, int to) {
    int after = network.node();
    network.text(from, text, after);
    network.empty(after, to);
    network.text(after, " ", to);
  }

  void comma(int from, int to) {
    spaced(from, ",", to);
  }

  void colon(int from, int to) {
    spaced(from, ":", to);
  }

  /** Adds a text as JSON writes it, in quotes. */
  void quoted(int from, String text, int to) {
    network.text(from, TextNode.valueOf(text).toString(), to);
  }

  /**
   * Adds one character of a set as it stands in a string. Each has one spelling: characters that
   * need an escape have the short one.
   */
  void character(int from, CodePointSet set, int to) {
    network.characters(from, plain.computeIfAbsent(set, PLAIN::intersection), to);
    for (int c = 0; c <= '\\'; c++) {
      if (!PLAIN.contains(c) && set.contains(c)) {
        String quoted = TextNode.valueOf(Character.toString(c)).toString();
        network.text(from, quoted.substring(1, quoted.length() - 1), to);
      }
    }
  }

  /** Adds one character as it stands in a string, by any of its spellings. */
  private void anyCharacter(int from, int to) {
    network.characters(from, PLAIN, to);
    int escape = network.node();
    network.text(from, "\\", escape);
    for (String letter : List.of("\"", "\\", "/", "b", "f", "n", "r", "t")) {
      network.text(escape, letter, to);
    }
    int digits = network.node();
    network.text(escape, "u", digits);
    // All but surrogates; then pairs of these.
    hex(digits, "0123456789abcefABCEF", 3, to);
    int surrogate = network.node();
    network.text(digits, "d", surrogate);
    network.text(digits, "D", surrogate);
    hex(surrogate, "01234567", 2, to);
    int pair = network.node();
    hex(surrogate, "89abAB", 2, pair);
    int low = network.node();
    network.text(pair, "\\ud", low);
    network.text(pair, "\\uD", low);
    hex(low, "cdefCDEF", 2, to);
  }

  /** Adds one of some digits and then a number of any. */
  private void hex(int from, String first, int then, int to) {
    int at = then == 0 ? to : network.node();
    first.chars().forEach(digit -> network.bytes(from, digit, digit, at));
    if (then > 0) {
      hex(at, "0123456789abcdefABCDEF", then - 1, to);
    }
  }

  /** Adds a number of a range. */
  void number(int from, NumberForm form, int to) {
    Integer rule = numbers.get(form);
    if (rule == null) {
      rule = network.rule("");
      numbers.put(form, rule);
      form.write(network, network.start(rule), network.end(rule));
    }
    network.call(from, rule, to);
  }

  /** Adds any string. */
  void string(int from, int to) {
    if (string < 0) {
      string = network.rule("string");
      int body = network.node();
      network.text(network.start(string), "\"", body);
      anyCharacter(body, body);
      network.text(body, "\"", network.end(string));
    }
    network.call(from, string, to);
  }

  /** Adds a string of so many characters. */
  void string(int from, int least, int most, int to) {
    int begun = network.node();
    int done = network.node();
    network.text(from, "\"", begun);
    network.text(done, "\"", to);
    int[] loop = network.loop(begun, least, most, done);
    anyCharacter(loop[0], loop[1]);
  }

  /** Adds a string whose characters have a form. */
  void string(int from, Nfa form, int to) {
    int begun = network.node();
    int done = network.node();
    network.text(from, "\"", begun);
    network.text(done, "\"", to);
    form.write(network, begun, done, this::character);
  }

  /** Adds a string that is none of some others. */
  void stringExcept(int from, Iterable<String> names, int to) {
    int free = network.node();
    character(free, CodePointSet.ALL, free);
    network.text(free, "\"", to);
    List<Name> open = new ArrayList<>();
    Name root = new Name(network.node());
    names.forEach(name -> root.add(name, network));
    network.text(from, "\"", root.node);
    open.add(root);
    while (!open.isEmpty()) {
      Name name = open.removeLast();
      CodePointSet others = CodePointSet.NONE;
      for (Map.Entry<Integer, Name> next : name.next.entrySet()) {
        others = others.union(CodePointSet.of(next.getKey()));
        character(name.node, CodePointSet.of(next.getKey()), next.getValue().node);
        open.add(next.getValue());
      }
      character(name.node, others.complement(), free);
      if (!name.end) {
        network.text(name.node, "\"", to);
      }
    }
  }

  /** Is the beginning of some names. */
  private static final class Name {
    private final int node;
    private final Map<Integer, Name> next = new TreeMap<>();
    private boolean end;

    Name(int node) {
      this.node = node;
    }

    void add(String name, Network network) {
      Name at = this;
      for (int codePoint : name.codePoints().toArray()) {
        Name known = at.next.get(codePoint);
        if (known == null) {
          known = new Name(network.node());
          at.next.put(codePoint, known);
        }
        at = known;
      }
      at.end = true;
    }
  }

  /** Adds any value. */
  void any(int from, int to) {
    if (any < 0) {
      any = network.rule("value");
      int start = network.start(any);
      int end = network.end(any);
      network.texts(start, List.of("null", "true", "false"), end);
      number(start, NumberForm.ANY, end);
      string(start, end);
      object(start, end);
      int first = network.node();
      int after = network.node();
      network.text(start, "[", first);
      network.text(first, "]", end);
      network.call(first, any, after);
      int next = network.node();
      comma(after, next);
      network.call(next, any, after);
      network.text(after, "]", end);
    }
    network.call(from, any, to);
  }

  /** Adds any object. */
  void object(int from, int to) {
    int first = network.node();
    int pair = network.node();
    int after = network.node();
    network.text(from, "{", first);
    network.text(first, "}", to);
    network.empty(first, pair);
    int named = network.node();
    int value = network.node();
    string(pair, named);
    colon(named, value);
    any(value, after);
    comma(after, pair);
    network.text(after, "}", to);
  }
}
