package dev.jneox.hub;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Describes a file of a repository. Git LFS keeps large files under the SHA-256 of their content.
 * Small files have git's blob id: the SHA-1 of {@code "blob " + size + "\0"} and the content.
 *
 * @param name path within the repository, checked by {@code SafePath}
 * @param size in bytes; -1 where the server did not state it
 * @param gitId git's id of the file, for a file in LFS that of its pointer; empty where the server
 *     did not state it
 * @param sha256 of the content of a file in LFS; else empty
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

  /** Names the kind of {@link #blob} for messages. */
  String hashName() {
    return sha256.isPresent() ? "SHA-256" : "git blob id";
  }

  /** Creates a digest whose result over the content is {@link #blob}. */
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
