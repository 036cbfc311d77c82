package dev.jneox.hub;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * A file of a repository. Large ones are kept in git LFS and known by the SHA-256 of their bytes;
 * small ones by git's own blob id, the SHA-1 of {@code "blob " + size + "\0"} and the bytes.
 *
 * @param name path within the repository; always a {@link SafeName}
 * @param size in bytes
 * @param gitId git's id of the file, for a file in LFS that of the pointer to it; null where the
 *     server did not say
 * @param sha256 of the bytes, for a file in LFS; else null
 */
public record HubFile(String name, long size, Optional<String> gitId, Optional<String> sha256) {
  private static final Pattern SHA1 = Pattern.compile("[0-9a-f]{40}");
  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

  static boolean isSha1(String text) {
    return SHA1.matcher(text).matches();
  }

  static boolean isSha256(String text) {
    return SHA256.matcher(text).matches();
  }

  /** Returns whether the server stated a hash of the content. */
  boolean isHashed() {
    return sha256.isPresent() || gitId.isPresent();
  }

  /**
   * Returns the hash of the content, by which the cache names it.
   *
   * @throws java.util.NoSuchElementException unless {@link #isHashed}
   */
  String blob() {
    return sha256.or(() -> gitId).orElseThrow();
  }

  /** What {@link #blob} is called in messages. */
  String hashName() {
    return sha256.isPresent() ? "SHA-256" : "git blob id";
  }

  /** A digest that gives {@link #blob} once it is fed with all bytes of the file. */
  MessageDigest digest() {
    try {
      if (sha256.isPresent()) {
        return MessageDigest.getInstance("SHA-256");
      }
      MessageDigest digest = MessageDigest.getInstance("SHA-1");
      digest.update(("blob " + size + "\0").getBytes(StandardCharsets.US_ASCII));
      return digest;
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
