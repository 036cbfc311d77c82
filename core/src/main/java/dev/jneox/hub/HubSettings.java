package dev.jneox.hub;

import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Says where models come from and where they are stored. The defaults are those of Python's
 * huggingface_hub, so that both share one cache.
 *
 * @param endpoint the hub's address without a trailing slash: {@code HF_ENDPOINT}
 * @param cache {@code HF_HUB_CACHE}, or {@code hub} in {@code HF_HOME}, which is {@code
 *     ~/.cache/huggingface}
 * @param token sent to the host of the endpoint only: {@code HF_TOKEN}, or the file that {@code hf
 *     auth login} writes
 * @param offline send no request: {@code HF_HUB_OFFLINE}
 * @param jobs files fetched at once
 * @param retries how long to wait for a server, and how often to retry
 */
@SuppressWarnings("exports") // nobody else sets patience
public record HubSettings(
    URI endpoint,
    Path cache,
    Optional<String> token,
    boolean offline,
    int jobs,
    RetryPolicy retries) {
  private static final String ENDPOINT = "https://huggingface.co";
  private static final int JOBS = 4;
  private static final Set<String> TRUE = Set.of("1", "ON", "YES", "TRUE");
  private static final String WORD = "[\\x21-\\x7e]+";
  private static final long LONGEST_TOKEN_FILE = 10_000;

  /**
   * Checks the number of jobs and the form of the token.
   *
   * @throws InputException when one is not usable
   */
  public HubSettings {
    if (jobs < 1 || jobs > 64) {
      throw new InputException("jobs: expected 1 to 64 files at once, found " + jobs);
    }
    if (token.isPresent() && !token.get().matches(WORD)) {
      throw new InputException(
          "the hub's token: expected one word of ASCII characters, found other ones: look at"
              + " HF_TOKEN or its file");
    }
  }

  /**
   * Reads the settings from environment variables.
   *
   * @param environment as of {@link System#getenv()}
   * @param home the user's home folder
   * @throws InputException when a value is malformed
   */
  public static HubSettings of(Map<String, String> environment, Path home) {
    Path userCache =
        value(environment, "XDG_CACHE_HOME").map(Path::of).orElse(home.resolve(".cache"));
    Path hfHome = path(environment, "HF_HOME", home, userCache.resolve("huggingface"));
    Path cache =
        path(
            environment,
            "HF_HUB_CACHE",
            home,
            path(environment, "HUGGINGFACE_HUB_CACHE", home, hfHome.resolve("hub")));
    return new HubSettings(
        endpoint(value(environment, "HF_ENDPOINT").orElse(ENDPOINT)),
        cache,
        value(environment, "HF_TOKEN")
            .map(String::strip)
            .or(() -> tokenFile(path(environment, "HF_TOKEN_PATH", home, hfHome.resolve("token")))),
        isTrue(environment, "HF_HUB_OFFLINE") || isTrue(environment, "TRANSFORMERS_OFFLINE"),
        JOBS,
        RetryPolicy.DEFAULT);
  }

  /** Reads the settings from the environment of this process. */
  public static HubSettings ofEnvironment() {
    return of(System.getenv(), Path.of(System.getProperty("user.home")));
  }

  /**
   * Returns the same settings with another address.
   *
   * @throws InputException when it is malformed
   */
  public HubSettings withEndpoint(String address) {
    return new HubSettings(endpoint(address), cache, token, offline, jobs, retries);
  }

  /** Returns the same settings with another cache folder. */
  public HubSettings withCache(Path folder) {
    return new HubSettings(endpoint, folder, token, offline, jobs, retries);
  }

  /** Returns the same settings with another number of parallel downloads. */
  public HubSettings withJobs(int count) {
    return new HubSettings(endpoint, cache, token, offline, count, retries);
  }

  /** Returns the same settings without requests. */
  public HubSettings asOffline() {
    return new HubSettings(endpoint, cache, token, true, jobs, retries);
  }

  HubSettings withToken(String secret) {
    return new HubSettings(endpoint, cache, Optional.of(secret), offline, jobs, retries);
  }

  HubSettings withRetries(RetryPolicy other) {
    return new HubSettings(endpoint, cache, token, offline, jobs, other);
  }

  private static Optional<String> value(Map<String, String> environment, String key) {
    return Optional.ofNullable(environment.get(key)).filter(value -> !value.isBlank());
  }

  private static boolean isTrue(Map<String, String> environment, String key) {
    return TRUE.contains(environment.getOrDefault(key, "").toUpperCase(java.util.Locale.ROOT));
  }

  private static Path path(Map<String, String> environment, String key, Path home, Path absent) {
    return value(environment, key)
        .map(
            value ->
                value.equals("~")
                    ? home
                    : value.startsWith("~/") ? home.resolve(value.substring(2)) : Path.of(value))
        .orElse(absent);
  }

  private static Optional<String> tokenFile(Path file) {
    try {
      String token =
          Files.isRegularFile(file) && Files.size(file) <= LONGEST_TOKEN_FILE
              ? Files.readString(file).strip()
              : "";
      if (!token.isEmpty() && !token.matches(WORD)) {
        throw InputException.in(
            file, "the hub's token", "one word of ASCII characters", "other ones");
      }
      return Optional.of(token).filter(text -> !text.isEmpty());
    } catch (IOException e) {
      throw StorageException.of(file, "the hub's token cannot be read", e);
    }
  }

  private static URI endpoint(String address) {
    try {
      URI uri = new URI(address.strip().replaceAll("/+$", ""));
      boolean web =
          "https".equalsIgnoreCase(uri.getScheme()) || "http".equalsIgnoreCase(uri.getScheme());
      if (web
          && uri.getHost() != null
          && uri.getUserInfo() == null
          && uri.getQuery() == null
          && uri.getFragment() == null) {
        return uri;
      }
    } catch (URISyntaxException e) {
      // Reported below, without a password that the address may hold.
    }
    throw new InputException(
        "the hub's endpoint: expected an address such as "
            + ENDPOINT
            + ", found something else; see HF_ENDPOINT");
  }

  /** Omits the token, which is a secret. */
  @Override
  public String toString() {
    String secret = token == null ? "none" : "given";
    return "HubSettings["
        + endpoint
        + ", "
        + cache
        + ", token "
        + secret
        + ", offline "
        + offline
        + "]";
  }
}
