package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.JneoxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@Tag("slow")
class TlsKeysTest {
  private static final List<String> KINDS = List.of("EC", "RSA", "EC-other");

  @TempDir static Path dir;

  @BeforeAll
  static void make() throws Exception {
    for (String kind : KINDS) {
      pair(kind);
    }
  }

  /** Writes a certificate and its key. */
  private static void pair(String kind) throws Exception {
    Path store = dir.resolve(kind + ".p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "a",
                "-keyalg",
                kind.replace("-other", ""),
                "-dname",
                "CN=localhost",
                "-storetype",
                "PKCS12",
                "-storepass",
                "changeit",
                "-keystore",
                store.toString())
            .redirectErrorStream(true)
            .start();
    assertThat(keytool.waitFor())
        .as(new String(keytool.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
        .isZero();
    KeyStore keys = KeyStore.getInstance(store.toFile(), "changeit".toCharArray());
    pem(kind + ".cert", "CERTIFICATE", keys.getCertificate("a").getEncoded());
    pem(kind + ".key", "PRIVATE KEY", keys.getKey("a", "changeit".toCharArray()).getEncoded());
  }

  private static void pem(String file, String name, byte[] bytes) throws Exception {
    Files.writeString(
        dir.resolve(file),
        "-----BEGIN %s-----\n%s\n-----END %1$s-----\n"
            .formatted(name, Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes)));
  }

  private static TlsKeys read(String certificate, String key) {
    return TlsKeys.read(new ServerSettings.TlsFiles(dir.resolve(certificate), dir.resolve(key)));
  }

  @Test
  void aKeyIsThatOfItsCertificate() {
    for (String certificate : KINDS) {
      for (String key : KINDS) {
        if (certificate.equals(key)) {
          assertThat(read(certificate + ".cert", key + ".key").chain()).hasSize(1);
        } else {
          assertThatThrownBy(() -> read(certificate + ".cert", key + ".key"))
              .isInstanceOf(JneoxException.class)
              .hasMessageContaining(key + ".key: the key is not that of the first certificate");
        }
      }
    }
  }

  @Test
  void filesThatAreNoneAreNamed() throws Exception {
    assertThatThrownBy(() -> read("EC.cert", "nope.pem"))
        .isInstanceOf(JneoxException.class)
        .hasMessageContaining("nope.pem: cannot be read: no such file");
    assertThatThrownBy(() -> read("EC.key", "EC.cert"))
        .hasMessageContaining("EC.key: expected a certificate in PEM, found a private key")
        .hasMessageContaining("exchanged?");
    Files.writeString(dir.resolve("text"), "hello\n");
    assertThatThrownBy(() -> read("EC.cert", "text"))
        .hasMessageContaining("text: expected a private key in PEM, found none");
    pem("locked", "ENCRYPTED PRIVATE KEY", new byte[8]);
    assertThatThrownBy(() -> read("EC.cert", "locked")).hasMessageContaining("without a password");
    pem("broken", "PRIVATE KEY", new byte[8]);
    assertThatThrownBy(() -> read("EC.cert", "broken"))
        .isInstanceOf(JneoxException.class)
        .hasMessageContaining("broken");
  }
}
