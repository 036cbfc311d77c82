package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.io.PeerException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("slow")
class GlooCollectivesTest {
  @TempDir Path dir;

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  /** Runs {@code size} processes and returns what each printed, line by line. */
  private List<List<String>> run(String what, int size) throws Exception {
    int port = freePort();
    List<Process> processes = new ArrayList<>();
    List<Path> outputs = new ArrayList<>();
    for (int rank = 0; rank < size; rank++) {
      List<String> command = new ArrayList<>();
      command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
      command.addAll(
          ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
              .filter(option -> !option.startsWith("-javaagent") && !option.startsWith("-Xmx"))
              .toList());
      command.addAll(List.of("-cp", System.getProperty("java.class.path")));
      command.addAll(List.of(GlooProcess.class.getName(), what, "" + port, "" + rank, "" + size));
      Path out = dir.resolve(what + rank);
      outputs.add(out);
      processes.add(
          new ProcessBuilder(command)
              .redirectOutput(out.toFile())
              .redirectError(dir.resolve(what + rank + ".err").toFile())
              .start());
    }
    List<List<String>> printed = new ArrayList<>();
    for (int rank = 0; rank < size; rank++) {
      boolean ended = processes.get(rank).waitFor(60, TimeUnit.SECONDS);
      processes.get(rank).destroyForcibly();
      assertThat(ended).as(what + " rank " + rank).isTrue();
      printed.add(
          Files.readAllLines(outputs.get(rank)).stream()
              .filter(line -> !line.startsWith("[Gloo]")) // libtorch's own
              .toList());
    }
    return printed;
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 4})
  void processesExchangeNumbers(int size) throws Exception {
    List<List<String>> printed = run("all", size);
    int n = 24;
    double[] sum =
        IntStream.range(0, n).mapToDouble(i -> size * i + 100.0 * size * (size - 1) / 2).toArray();
    double[] max = IntStream.range(0, n).mapToDouble(i -> i + 100.0 * (size - 1)).toArray();
    double total = Arrays.stream(sum).sum() + n;
    for (int rank = 0; rank < size; rank++) {
      List<String> expected =
          new ArrayList<>(
              List.of(
                  "SUM " + Arrays.toString(sum),
                  "MAX " + Arrays.toString(max),
                  "gathered " + Arrays.toString(sum),
                  "from 1 " + (sum[0] + 1),
                  "received " + total));
      if (size == 4) {
        int other = rank % 2;
        double[] half =
            IntStream.range(0, n).mapToDouble(i -> 2 * i + 100.0 * (other + other + 2)).toArray();
        expected.add("half " + rank / 2 + " " + Arrays.toString(half));
      }
      assertThat(printed.get(rank)).isEqualTo(expected);
    }
  }

  @Test
  void aDeadRankIsNamedWithGroupAndOperation() throws Exception {
    assertThat(run("die", 2).getFirst())
        .singleElement()
        .asString()
        .contains(
            "failed: group data: rank 0 of 2: all-reduce of 24 numbers: another rank is gone or"
                + " does not answer (");
  }

  @Test
  void aRankThatDoesNotAnswerIsGivenUp() throws Exception {
    assertThat(run("hang", 2).getFirst())
        .singleElement()
        .asString()
        .contains("group data: rank 0 of 2: all-reduce of 24 numbers: another rank is gone")
        .containsIgnoringCase("timed out");
  }

  @Test
  void aPortInUseIsNamed() throws IOException {
    try (ServerSocket taken = new ServerSocket(0)) {
      int port = taken.getLocalPort();
      assertThatThrownBy(() -> join("127.0.0.1", port, 0))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith("MASTER_PORT: port " + port + " of 127.0.0.1 cannot be listened")
          .hasMessageContaining("set another");
    }
  }

  @Test
  void anUnreachableMasterIsNamed() throws IOException {
    int port = freePort();
    assertThatThrownBy(() -> join("127.0.0.1", port, 1))
        .isInstanceOf(PeerException.class)
        .hasMessageContaining("MASTER_ADDR 127.0.0.1, MASTER_PORT " + port + " within 1 s");
    assertThatThrownBy(() -> join("no-such-host.invalid", port, 1))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("no-such-host.invalid");
  }

  @ParameterizedTest
  @ValueSource(strings = {"HTTP/1.1 400 Bad Request\r\n\r\n", ""})
  void aForeignServiceIsNamed(String answer) throws Exception {
    try (ServerSocket server = new ServerSocket(0)) {
      Thread.ofPlatform()
          .daemon()
          .start(
              () -> {
                try {
                  while (true) {
                    try (Socket client = server.accept()) {
                      client.getInputStream().read();
                      client.getOutputStream().write(answer.getBytes(StandardCharsets.UTF_8));
                    }
                  }
                } catch (IOException e) {
                  return; // the test is over
                }
              });
      int port = server.getLocalPort();
      assertThatThrownBy(() -> join("127.0.0.1", port, 1))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(
              "MASTER_PORT: what answers at 127.0.0.1:%d is not rank 0 of this run: ", port);
    }
  }

  @Test
  void anUnknownInterfaceIsNamedWithThoseThatThereAre() throws IOException {
    String loopback = NetworkInterface.getByInetAddress(InetAddress.getLoopbackAddress()).getName();
    assertThatThrownBy(() -> Rendezvous.requireInterface("nope0"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("GLOO_SOCKET_IFNAME: nope0 is no interface of this machine")
        .hasMessageContaining(loopback);
    Rendezvous.requireInterface(loopback);
    Rendezvous.requireInterface(" ");
  }

  @Test
  void missingRanksAreNamed() throws IOException {
    int port = freePort();
    assertThatThrownBy(() -> join("127.0.0.1", port, 0))
        .isInstanceOf(PeerException.class)
        .hasMessage("rank 0: of 2 ranks these did not come within 1 s: [1]");
  }

  private static void join(String host, int port, int rank) {
    Rendezvous.join(host, port, rank, 2, Duration.ofSeconds(1), Duration.ofSeconds(1)).close();
  }
}
