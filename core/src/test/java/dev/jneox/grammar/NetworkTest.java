package dev.jneox.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class NetworkTest {
  /** Builds rules of random edges, calls and loops, many of them without an end. */
  private static Network network(Random random) {
    Network network = new Network();
    List<Integer> from = new ArrayList<>();
    List<Integer> to = new ArrayList<>();
    int rules = 1 + random.nextInt(4);
    for (int rule = 0; rule < rules; rule++) {
      network.rule("rule " + rule);
      from.add(network.start(rule));
      to.add(network.end(rule));
    }
    for (int i = random.nextInt(10); i > 0; i--) {
      int node = network.node();
      from.add(node);
      to.add(node);
    }
    for (int i = random.nextInt(25); i > 0; i--) {
      int source = from.get(random.nextInt(from.size()));
      int target = to.get(random.nextInt(to.size()));
      switch (random.nextInt(5)) {
        case 0 -> network.call(source, random.nextInt(rules), target);
        case 1 -> {
          int[] loop = network.loop(source, random.nextInt(3), 2 + random.nextInt(3), target);
          from.add(loop[0]);
          to.add(loop[1]);
        }
        case 2 -> network.empty(source, target);
        default -> network.bytes(source, 'a', 'a' + random.nextInt(2), target);
      }
    }
    return network;
  }

  /** Returns the needs as they are defined, by passes over all nodes until nothing changes. */
  private static int[] needs(Network network, BitSet writable) {
    int[] needs = new int[network.size()];
    Arrays.fill(needs, Network.NEVER);
    for (boolean more = true; more; ) {
      more = false;
      for (int node = 0; node < needs.length; node++) {
        int need = need(network, node, needs, writable);
        more |= need < needs[node];
        needs[node] = Math.min(need, needs[node]);
      }
    }
    return needs;
  }

  private static int need(Network network, int node, int[] needs, BitSet writable) {
    return switch (network.kind(node)) {
      case END, BACK -> 0;
      case CALL -> {
        int start = needs[network.called(node).start()];
        int after = needs[network.after(node)];
        boolean last = network.kind(network.after(node)) == Network.Kind.END;
        yield start == Network.NEVER || after == Network.NEVER
            ? Network.NEVER
            : Math.max(last ? start : start + 1, after);
      }
      case ENTER -> {
        int exit = needs[network.loop(node).exit()];
        int body = needs[network.loop(node).body()];
        yield network.loop(node).least() == 0
            ? exit
            : exit == Network.NEVER || body == Network.NEVER
                ? Network.NEVER
                : Math.max(1 + body, exit);
      }
      case PLAIN -> {
        int need = Network.NEVER;
        for (int edge = network.firstEdge(node); edge >= 0; edge = network.nextEdge(edge)) {
          int at = edge;
          if (network.isEmpty(at) || writable.stream().anyMatch(b -> network.reads(at, b))) {
            need = Math.min(need, needs[network.target(edge)]);
          }
        }
        yield need;
      }
    };
  }

  @Test
  void theNeedsAreThoseOfTheDefinition() {
    BitSet seen = new BitSet();
    for (int seed = 0; seed < 3000; seed++) {
      Network network = network(new Random(seed));
      BitSet writable = new BitSet();
      writable.set(seed % 3 == 0 ? 'b' : 'a');
      int[] needs = needs(network, writable);
      assertThat(network.needs(writable)).as("seed %d", seed).isEqualTo(needs);
      Arrays.stream(needs).filter(need -> need != Network.NEVER).forEach(seen::set);
    }
    assertThat(seen.cardinality()).isGreaterThan(4);
  }

  @Test
  void aClassOfManyMembersIsReadInNearLinearTime() {
    StringBuilder members = new StringBuilder();
    for (int i = 29_999; i >= 0; i--) {
      members.appendCodePoint(0x10000 + 2 * i);
    }
    long start = Forms.cpuNanos();
    Grammar.regex("[" + members + "]");
    assertThat(Forms.cpuNanos() - start).isLessThan(2_000_000_000L);
  }

  /** Each took a heap of gigabytes. */
  @Test
  void aFormOfTooManyAlternativesIsRefused() {
    assertThatThrownBy(() -> Grammar.regex("(" + "|".repeat(60_000) + "x){1000}"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected a pattern of at most 200000 alternatives");
    String any =
        IntStream.range(0x4E00, 0x4E00 + 14_000)
            .mapToObj(Character::toString)
            .collect(Collectors.joining("|"));
    String pattern = "{\"type\":\"string\",\"pattern\":\"^(" + any + ")$\"}";
    assertThatThrownBy(() -> Grammar.jsonSchema("{\"allOf\":[" + pattern + "," + pattern + "]}"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected a pattern of at most some thousand alternatives");
  }

  @Test
  void anInterruptEndsTheReading() {
    Thread.currentThread().interrupt();
    try {
      for (String regex : List.of("a{9000}", "(?:a|b)*")) {
        assertThatThrownBy(() -> Grammar.regex(regex)).isInstanceOf(CancelledException.class);
      }
      assertThatThrownBy(() -> Grammar.jsonSchema("{\"enum\":[1]}"))
          .isInstanceOf(CancelledException.class);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void aNodeOfManyWaysIsReadInLinearTime() {
    long start = Forms.cpuNanos();
    Grammar.regex("(" + "|".repeat(60_000) + "x)*y1");
    assertThat(Forms.cpuNanos() - start)
        .isLessThan(2_000_000_000L); // some 39 s where it is quadratic
  }
}
