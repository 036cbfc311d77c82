package dev.jneox.hub;

import dev.jneox.io.InputException;
import dev.jneox.io.VisibleText;
import java.io.IOException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.channels.UnresolvedAddressException;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertificateException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Explains a hub's final refusal, or its silence, and the remedy. The hub gives details in {@code
 * X-Error-Code} and {@code X-Error-Message}.
 */
final class ServerErrors {
  /** Is the cause of the error for a repository that is there and lacks the revision. */
  static final class NoRevision extends Exception {
    private static final long serialVersionUID = 1;
  }

  private static final int LONGEST_MESSAGE = 200;

  private final HubSettings settings;

  ServerErrors(HubSettings settings) {
    this.settings = settings;
  }

  /**
   * Creates the error for a response that is not a success.
   *
   * @param file the requested file, null for the listing of the repository
   */
  InputException of(HubName name, @Nullable String file, HubHttp.Answer answer) {
    String code = answer.header("X-Error-Code");
    String page = settings.endpoint() + "/" + name.path();
    String what = name + (file == null ? "" : ", file \"" + file + "\"") + ": ";
    String said = said(answer);
    if (answer.status() == 403 || code.equals("GatedRepo")) {
      String why =
          code.equals("GatedRepo") ? "gated: its owner decides who may have it" : "refused (403)";
      String then =
          settings.token().isEmpty()
              ? ", then " + getToken()
              : " with the account of your token, which may also lack the right to read it";
      return new InputException(what + why + said + "; ask for access on " + page + then);
    }
    if (answer.status() == 404 && code.equals("RevisionNotFound")) {
      return new InputException(
          what
              + "the repository has no revision \""
              + name.revision()
              + "\"; see "
              + page
              + "/tree/main",
          new NoRevision());
    }
    if (answer.status() == 404 && file != null) {
      return new InputException(what + "no such file at this revision on " + settings.endpoint());
    }
    if (answer.status() == 404 || answer.status() == 401) {
      // A hub does not tell strangers which names are private, and answers 401 for both.
      String account =
          settings.token().isEmpty()
              ? "if it is private or gated, " + getToken()
              : "or your token may not read it";
      return new InputException(
          what
              + "no such repository or revision on "
              + settings.endpoint()
              + " ("
              + answer.status()
              + ")"
              + said
              + "; check the name; "
              + account);
    }
    return new InputException(
        what + HubHttp.shown(answer.uri()) + " answered " + answer.status() + said);
  }

  /**
   * Creates the error for a host that cannot be reached at all; empty for failures that may be
   * transient.
   */
  Optional<InputException> unreachable(HubName name, URI uri, IOException failure) {
    String reason = null;
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      String message = cause.getMessage() == null ? "" : cause.getMessage();
      if (cause instanceof CertificateException) {
        return Optional.of(refused(name, uri, cause, failure));
      }
      if (cause instanceof UnknownHostException || cause instanceof UnresolvedAddressException) {
        reason = "unknown host";
      } else if (reason == null
          && (cause instanceof ConnectException || cause instanceof NoRouteToHostException)
          && !message.contains("timed out")) {
        // The JDK's client drops the message of a refusal.
        reason = message.isEmpty() ? "connection refused" : message;
      }
    }
    String host = uri.getScheme() + "://" + uri.getRawAuthority();
    return reason == null
        ? Optional.empty()
        : Optional.of(
            new InputException(
                name
                    + ": no connection to "
                    + host
                    + ": "
                    + reason
                    + "; check the network or choose a mirror with HF_ENDPOINT; with "
                    + "HF_HUB_OFFLINE=1 models come from the cache "
                    + settings.cache()
                    + " alone",
                failure));
  }

  /** Creates the error for a certificate that is not trusted, expired, or of another host. */
  private static InputException refused(
      HubName name, URI uri, Throwable certificate, IOException failure) {
    Throwable deepest = certificate;
    boolean untrusted = false;
    for (Throwable cause = certificate; cause != null; cause = cause.getCause()) {
      deepest = cause;
      untrusted |= cause instanceof CertPathBuilderException;
    }
    return new InputException(
        name
            + ": the certificate of "
            + uri.getScheme()
            + "://"
            + uri.getRawAuthority()
            + (untrusted ? " is not trusted: " : " is not accepted: ")
            + VisibleText.line(String.valueOf(deepest.getMessage()))
            + (untrusted
                ? "; where a proxy signs connections itself, put its CA into a trust store (keytool"
                    + " -importcert -file ca.pem -keystore trust.p12) and set"
                    + " JNEOX_JAVA_OPTS=-Djavax.net.ssl.trustStore=trust.p12"
                : "; check the address in HF_ENDPOINT and the clock of this machine"),
        failure);
  }

  private static String getToken() {
    return "set HF_TOKEN to a token that may read it";
  }

  /** Quotes the server's message, with the token removed. */
  private String said(HubHttp.Answer answer) {
    String message = answer.header("X-Error-Message").strip();
    String safe = settings.token().map(token -> message.replace(token, "***")).orElse(message);
    String cut =
        safe.length() <= LONGEST_MESSAGE ? safe : safe.substring(0, LONGEST_MESSAGE) + "...";
    return cut.isEmpty() ? "" : ", \"" + cut + "\"";
  }
}
