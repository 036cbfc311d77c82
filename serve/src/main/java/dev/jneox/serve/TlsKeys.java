package dev.jneox.serve;

import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import io.helidon.common.configurable.Resource;
import io.helidon.common.pki.Keys;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.util.List;

/**
 * Holds a private key and the chain of certificates of its public key.
 *
 * @param chain the server's own certificate first
 */
record TlsKeys(PrivateKey key, List<X509Certificate> chain) {
  private static final String CERTIFICATE = "-----BEGIN CERTIFICATE-----";
  private static final String KEY = "PRIVATE KEY-----";

  /**
   * Reads the files, and checks that they belong together.
   *
   * @throws InputException that names the file at fault
   */
  static TlsKeys read(ServerSettings.TlsFiles files) {
    check(files.certificates(), CERTIFICATE, "a certificate");
    String key = check(files.key(), KEY, "a private key");
    if (key.contains("ENCRYPTED")) {
      throw new InputException(
          files.key() + ": expected a private key without a password: see openssl pkey");
    }
    Keys keys;
    try {
      keys =
          Keys.builder()
              .pem(
                  pem ->
                      pem.key(Resource.create(files.key()))
                          .certChain(Resource.create(files.certificates())))
              .build();
    } catch (RuntimeException e) {
      throw new InputException(
          "%s, %s: expected a chain of certificates and a private key (PKCS #8) in PEM: %s"
              .formatted(files.certificates(), files.key(), ModelServer.reason(e)),
          e);
    }
    TlsKeys read = new TlsKeys(keys.privateKey().orElseThrow(), keys.certChain());
    if (!read.match()) {
      throw new InputException(
          "%s: the key is not that of the first certificate in %s"
              .formatted(files.key(), files.certificates()));
    }
    return read;
  }

  private static String check(Path file, String mark, String expected) {
    String text;
    try {
      text = Files.readString(file, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
    if (!text.contains(mark)) {
      throw new InputException(
          "%s: expected %s in PEM, found %s"
              .formatted(
                  file,
                  expected,
                  text.contains(CERTIFICATE)
                      ? "a certificate: are --tls-cert and --tls-key exchanged?"
                      : text.contains(KEY)
                          ? "a private key: are --tls-cert and --tls-key exchanged?"
                          : "none"));
    }
    return text;
  }

  /** Whether what the key signs is verified by the certificate. */
  private boolean match() {
    String algorithm =
        switch (key.getAlgorithm()) {
          case "RSA" -> "SHA256withRSA";
          case "EC" -> "SHA256withECDSA";
          default -> "SHA256with" + key.getAlgorithm();
        };
    byte[] text = "jneox".getBytes(StandardCharsets.UTF_8);
    try {
      Signature signing = Signature.getInstance(algorithm);
      signing.initSign(key);
      signing.update(text);
      Signature verifying = Signature.getInstance(algorithm);
      verifying.initVerify(chain.getFirst().getPublicKey());
      verifying.update(text);
      return verifying.verify(signing.sign());
    } catch (GeneralSecurityException e) { // a key of another kind
      return false;
    }
  }
}
