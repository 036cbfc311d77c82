package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServeCommandTest {
  @TempDir private Path folder;

  private static Output serve(String... more) {
    String[] args = new String[more.length + 5];
    System.arraycopy(new String[] {"serve", "--model", "/nowhere", "--port", "0"}, 0, args, 0, 5);
    System.arraycopy(more, 0, args, 5, more.length);
    return Output.of(args);
  }

  @Test
  void keyFilesAreCheckedLineByLine() throws IOException {
    Path keys =
        Files.writeString(folder.resolve("keys"), "# ours\n\nsecret-1\nsecret-2 ann lots\n");
    Output wrong = serve("--api-key-file", keys.toString());
    assertThat(wrong.code()).isNotZero();
    assertThat(wrong.err())
        .contains(keys + ", line 4: requests per minute: expected a number from 1 to 1000000")
        .doesNotContain("secret");
    Files.writeString(keys, "# none\n");
    assertThat(serve("--api-key-file", keys.toString()).err())
        .contains("expected keys, one a line, found none");
    assertThat(serve("--api-key-file", folder.resolve("other").toString()).err())
        .contains("other: cannot be read", "no such file");
    Files.writeString(keys, "k1 ann 60\nk2\n\nk1 bob\n");
    assertThat(serve("--api-key-file", keys.toString()).err())
        .contains(keys + ", line 4: expected a new key, found that of line 1")
        .doesNotContain("k1");
  }

  @Test
  void theKeyOfAdminIsOne() throws IOException {
    Path keys = Files.writeString(folder.resolve("admin"), "one\ntwo\n");
    assertThat(serve("--admin-key-file", keys.toString()).err())
        .contains(keys + ": expected one key, found 2");
    Files.writeString(keys, "");
    assertThat(serve("--admin-key-file", keys.toString()).err())
        .contains("expected keys, one a line, found none");
  }

  @Test
  void theMemoryOfAllModelsIsASize() {
    assertThat(serve("--memory", "lots").err()).contains("--memory: expected a size");
    assertThat(serve("--memory", "0B").code()).isEqualTo(2);
  }

  @Test
  void withoutAModelItSaysHowToMakeOne() {
    Output none = Output.of("serve");
    assertThat(none.code()).isEqualTo(2);
    assertThat(none.err())
        .contains(
            "--model: expected a model, found none in this folder: run ./jneox demo, or give"
                + " --model DIR|FILE.gguf|ORG/NAME");
  }

  @Test
  void optionsAreChecked() {
    Output half = serve("--tls-cert", "cert.pem");
    assertThat(half.code()).isEqualTo(2);
    assertThat(half.err()).contains("--tls-cert and --tls-key: expected both or none");
    assertThat(serve("--access-log", folder.resolve("no/log").toString()).err())
        .contains("log: cannot be written");
    Output proxy = serve("--trusted-proxy", "::1", "--trusted-proxy", "nginx");
    assertThat(proxy.code()).isEqualTo(2);
    assertThat(proxy.err()).contains("--trusted-proxy: expected an address", "found nginx");
    assertThat(serve("--host", "").err()).contains("host: expected an address");
    assertThat(serve("--allowed-origin", "app.example.com").err())
        .contains("--allowed-origin", "https://app.example.com");
    assertThat(serve("--allowed-host", "a:80").err()).contains("--allowed-host", "without a port");
    assertThat(serve("--max-body", "lots").err()).contains("--max-body: expected a size");
    assertThat(serve("--sessions", "0").err()).startsWith("jneox: --sessions: expected 1 to");
    assertThat(Output.of("serve", "--port", "80a").err())
        .startsWith("jneox: --port: expected a whole number, found 80a");
    assertThat(Output.of("serve", "--model", "/nowhere", "--port", "70000").err())
        .startsWith("jneox: --port: expected 0 to 65535");
    assertThat(serve("--dtype", "f8").err())
        .startsWith("jneox: --dtype: expected one of stored, f32, bf16, found f8");
    assertThat(serve("--kv-memory", "0B").err()).startsWith("jneox: --kv-memory: expected");
    assertThat(serve("--max-connections", "0").err())
        .startsWith("jneox: --max-connections: expected");
  }
}
