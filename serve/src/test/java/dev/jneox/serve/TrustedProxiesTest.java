package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrustedProxiesTest {
  private static TrustedProxies proxies(String... ranges) {
    return new TrustedProxies(Stream.of(ranges).map(TrustedProxies.Range::parse).toList());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        // peer | the header | who asks
        "127.0.0.1 | 203.0.113.7 | 203.0.113.7",
        "127.0.0.1 | 6.6.6.6, 203.0.113.7 | 203.0.113.7", // the client has sent the first one
        "127.0.0.1 | 203.0.113.7, 10.9.8.7 | 203.0.113.7", // two proxies
        "127.0.0.1 | 6.6.6.6, 203.0.113.7 , 10.9.8.7 | 203.0.113.7",
        "127.0.0.1 | 10.1.1.1 | 10.1.1.1", // a proxy asks for itself
        "192.0.2.1 | 203.0.113.7 | 192.0.2.1", // not a proxy
        "0:0:0:0:0:0:0:1 | 203.0.113.7 | 203.0.113.7",
        "::ffff:127.0.0.1 | 203.0.113.7 | 203.0.113.7",
        "127.0.0.1 | 2001:db8::7 | 2001:db8:0:0:0:0:0:7",
        "127.0.0.1 | [2001:db8::7]:4711 | 2001:db8:0:0:0:0:0:7",
        "127.0.0.1 | 203.0.113.7:4711 | 203.0.113.7",
        "127.0.0.1 | unknown | 127.0.0.1",
        "127.0.0.1 | 203.0.113.7, localhost | 127.0.0.1",
        "127.0.0.1 | 300.0.113.7 | 127.0.0.1",
        "127.0.0.1 | 203.0.113.7, | 203.0.113.7",
        "127.0.0.1 | 7 | 127.0.0.1",
        "10.255.255.255 | 203.0.113.7 | 203.0.113.7",
        "11.0.0.0 | 203.0.113.7 | 11.0.0.0",
      })
  void theLastAddressBeforeTheProxiesAsks(String peer, String header, String client) {
    assertThat(proxies("127.0.0.0/8", "10.0.0.0/8", "::1").client(peer, List.of(header)))
        .isEqualTo(client);
  }

  @Test
  void linesOfTheHeaderAreOneList() {
    assertThat(proxies("127.0.0.1").client("127.0.0.1", List.of("6.6.6.6", "203.0.113.7")))
        .isEqualTo("203.0.113.7");
  }

  @Test
  void withoutProxiesThePeerAsks() {
    assertThat(TrustedProxies.NONE.client("127.0.0.1", List.of("203.0.113.7")))
        .isEqualTo("127.0.0.1");
  }

  @Test
  void bitsOfAByteAreCompared() {
    TrustedProxies proxies = proxies("172.16.0.0/12");
    assertThat(proxies.client("172.31.1.1", List.of("203.0.113.7"))).isEqualTo("203.0.113.7");
    assertThat(proxies.client("172.32.1.1", List.of("203.0.113.7"))).isEqualTo("172.32.1.1");
    assertThat(proxies("0.0.0.0/0").client("8.8.8.8", List.of("203.0.113.7")))
        .isEqualTo("203.0.113.7");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "10", "10/8", "localhost", "10.0.0.0/", "10.0.0.0/33", "::/129", "1.2.3.4/-1"})
  void otherTextsAreRefused(String text) {
    assertThatThrownBy(() -> TrustedProxies.Range.parse(text))
        .isInstanceOf(InputException.class)
        .hasMessage("expected an address or a range of them, such as 10.0.0.0/8, found %s", text);
  }
}
