package dev.jneox.hub;

import dev.jneox.hub.Attempts.TransientFailure;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;

/**
 * Fetches one file into its blob. The bytes go to {@code HASH.jneox.incomplete} beside it, which a
 * later run continues. The file gets the name of the blob only when its size and hash are right, so
 * a file of that name is complete.
 */
final class BlobDownload {
  static final String INCOMPLETE = ".jneox.incomplete";

  private static final Pattern CONTENT_RANGE =
      Pattern.compile("bytes (\\d{1,18})-(\\d{1,18})/(\\d{1,18}|\\*)");
  private static final int BUFFER = 1 << 18;

  private final HubHttp http;
  private final RetryPolicy retries;
  private final HubName name;
  private final String commit;
  private final HubFile file;
  private final URI uri;
  private final Path blob;
  private final Path partial;
  private final Progress progress;

  private MessageDigest digest;

  /** Bytes in the partial file; all of them are in {@link #digest}. */
  private long have;

  /** The ETag of the version that the bytes belong to. */
  private String etag = "";

  /** Whether the partial file has bytes of an earlier run. */
  private boolean resumed;

  private boolean hashWasWrong;

  BlobDownload(
      HubHttp http,
      RetryPolicy retries,
      HubName name,
      String commit,
      HubFile file,
      URI uri,
      Path blob,
      Progress progress) {
    this.http = http;
    this.retries = retries;
    this.name = name;
    this.commit = commit;
    this.file = file;
    this.digest = file.digest();
    this.uri = uri;
    this.blob = blob;
    this.partial = partial(blob);
    this.progress = progress;
  }

  static Path partial(Path blob) {
    return blob.resolveSibling(blob.getFileName() + INCOMPLETE);
  }

  /** Returns how many bytes an earlier run left, which this one need not fetch. */
  static long bytesThere(Path blob, HubFile file) {
    try {
      Path partial = partial(blob);
      long there = Files.isRegularFile(partial) ? Files.size(partial) : 0;
      return there <= file.size() ? there : 0;
    } catch (IOException e) {
      return 0;
    }
  }

  /** Fetches the file; the caller holds the blob's lock. */
  void run() throws InterruptedException {
    goOn();
    Attempts attempts = http.attempts(name + ", file \"" + file.name() + "\"");
    while (true) {
      long before = have;
      try {
        if (have < file.size() || file.size() == 0) {
          fetch();
        }
        if (isRight()) {
          commit();
          return;
        }
      } catch (IOException e) {
        attempts.after(e, have - before >= retries.progressBytes());
      }
    }
  }

  /** Continues the partial file of an earlier run. */
  private void goOn() throws InterruptedException {
    long there = bytesThere(blob, file);
    if (there == 0) {
      startOver();
      return;
    }
    digest = file.digest();
    byte[] buffer = new byte[BUFFER];
    try (InputStream in = Files.newInputStream(partial)) {
      for (int n; have < there && (n = in.read(buffer)) >= 0; have += n) {
        digest.update(buffer, 0, n);
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
      }
    } catch (IOException e) {
      throw StorageException.of(partial, "cannot be read", e);
    }
    resumed = true;
  }

  private void startOver() {
    progress.expect(have);
    have = 0;
    etag = "";
    resumed = false;
    digest = file.digest();
    try {
      Files.deleteIfExists(partial);
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  /** Sends one request and appends its body. */
  private void fetch() throws IOException, InterruptedException {
    try (HubHttp.Answer answer = http.send(name, file.name(), "GET", uri, have > 0 ? have : -1)) {
      answer.first().firstValue("X-Repo-Commit").ifPresent(this::checkCommit);
      if (answer.status() == 416 || answer.status() == 206 && !isRest(answer)) {
        boolean asked = have > 0;
        startOver();
        String whole = "answered " + answer.status() + " to a request for the whole file";
        throw new IOException(asked ? "the rest was refused" : whole);
      }
      if (answer.status() != 206 && have > 0) {
        // The server does not know ranges: this is the whole file.
        startOver();
      }
      etag = answer.header("ETag");
      if (!answer.isGzip()) {
        checkLength(answer);
        copy(answer.body());
        return;
      }
      try (InputStream unpacked = new GZIPInputStream(answer.body())) {
        copy(unpacked);
      }
    }
  }

  private void checkCommit(String found) {
    if (!found.equals(commit)) {
      throw new InputException(
          name + ", file \"" + file.name() + "\": expected commit " + commit + ", found " + found);
    }
  }

  /** Returns whether a partial answer continues the bytes at hand, of the same version. */
  private boolean isRest(HubHttp.Answer answer) {
    Matcher range = CONTENT_RANGE.matcher(answer.header("Content-Range"));
    boolean sameVersion =
        etag.isEmpty() || answer.header("ETag").isEmpty() || etag.equals(answer.header("ETag"));
    return have > 0
        && sameVersion
        && !answer.isGzip()
        && range.matches()
        && Long.parseLong(range.group(1)) == have
        && (range.group(3).equals("*") || Long.parseLong(range.group(3)) == file.size());
  }

  private void checkLength(HubHttp.Answer answer) throws IOException {
    long expected = file.size() - have;
    long announced = answer.headers().firstValueAsLong("Content-Length").orElse(expected);
    if (announced != expected) {
      throw new TransientFailure(
          "expected " + expected + " bytes, the server announces " + announced, null);
    }
  }

  private void copy(InputStream body) throws IOException, InterruptedException {
    byte[] buffer = new byte[BUFFER];
    try (FileOutputStream out = open()) {
      for (int n; (n = body.read(buffer)) >= 0; ) {
        if (have + n > file.size()) {
          startOver();
          throw new IOException("expected " + file.size() + " bytes, the server sends more");
        }
        write(out, buffer, n);
        digest.update(buffer, 0, n);
        have += n;
        progress.step(n);
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
      }
    }
    if (have < file.size()) {
      throw new IOException("the connection ended after " + have + " of " + file.size() + " bytes");
    }
  }

  private FileOutputStream open() {
    try {
      return new FileOutputStream(partial.toFile(), have > 0);
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  private void write(FileOutputStream out, byte[] bytes, int count) {
    try {
      out.write(bytes, 0, count);
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  /** Creates the error for a cache that cannot be written, which another attempt would not cure. */
  private StorageException unwritable(IOException e) {
    return new StorageException(
        partial,
        "cannot be written",
        AtomicFile.reason(e) + "; run it again to go on from here",
        e);
  }

  /**
   * Returns whether the bytes have the expected hash. Deletes them if not; the second time that is
   * an error.
   */
  private boolean isRight() {
    String found = HexFormat.of().formatHex(digest.digest());
    if (found.equals(file.blob())) {
      return true;
    }
    // The bytes of the earlier run may be wrong; that is no failure of the server.
    boolean again = resumed || !hashWasWrong;
    hashWasWrong |= !resumed;
    startOver();
    if (!again) {
      throw new InputException(
          name
              + ", file \""
              + file.name()
              + "\": expected "
              + file.hashName()
              + " "
              + file.blob()
              + ", found "
              + found
              + ", twice; nothing of it was kept");
    }
    return false;
  }

  private void commit() {
    try {
      if (file.size() == 0) {
        new FileOutputStream(partial.toFile()).close();
      }
      try (FileOutputStream out = new FileOutputStream(partial.toFile(), true)) {
        out.getFD().sync();
      }
      try {
        Files.move(
            partial, blob, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(partial, blob, StandardCopyOption.REPLACE_EXISTING);
      }
    } catch (IOException e) {
      throw unwritable(e);
    }
  }
}
