package dev.jneox.hub;

import dev.jneox.io.InputException;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Names a model or a data set on a hub: {@code ORG/NAME}, or {@code ORG/NAME@REVISION} for a
 * revision other than {@code main}.
 *
 * @param kind what the repository holds
 * @param org the account that owns the repository
 * @param name of the repository in that account
 * @param revision a branch, a tag or a commit of 40 hexadecimal digits
 */
public record HubName(Kind kind, String org, String name, String revision) {
  /** Says what a repository holds. */
  public enum Kind {
    /** A model. */
    MODEL("models", "", "a model on the hub, such as EleutherAI/pythia-160m"),
    /** A data set. */
    DATASET("datasets", "datasets/", "a data set on the hub, such as EleutherAI/lambada_openai");

    private final String plural;
    private final String prefix;
    private final String words;

    Kind(String plural, String prefix, String words) {
      this.plural = plural;
      this.prefix = prefix;
      this.words = words;
    }
  }

  private static final String PART = "[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?";
  private static final Pattern REPOSITORY = Pattern.compile("(" + PART + ")/(" + PART + ")");
  private static final Pattern REVISION = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._/+-]{0,200}");
  private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

  /**
   * Checks the form of all three.
   *
   * @throws InputException when one is malformed
   */
  public HubName {
    Matcher repository = REPOSITORY.matcher(org + "/" + name);
    if (!repository.matches() || (org + name).contains("--") || (org + name).contains("..")) {
      throw new InputException("\"" + org + "/" + name + "\": expected the name of " + kind.words);
    }
    if (!REVISION.matcher(revision).matches() || !SafePath.is(revision)) {
      throw new InputException(
          org
              + "/"
              + name
              + ": revision: expected a branch, a tag or a commit, found \""
              + revision
              + "\"");
    }
  }

  /** Names a model. */
  public HubName(String org, String name, String revision) {
    this(Kind.MODEL, org, name, revision);
  }

  /**
   * Names a data set.
   *
   * @param repository {@code ORG/NAME}
   * @throws InputException for any other form
   */
  public static HubName dataset(String repository, String revision) {
    int slash = repository.indexOf('/');
    String org = slash < 0 ? "" : repository.substring(0, slash);
    return new HubName(Kind.DATASET, org, repository.substring(slash + 1), revision);
  }

  /**
   * Parses {@code ORG/NAME} or {@code ORG/NAME@REVISION}.
   *
   * @throws InputException for any other form
   */
  public static HubName parse(String text) {
    String repository = text.contains("@") ? text.substring(0, text.indexOf('@')) : text;
    String revision = text.contains("@") ? text.substring(text.indexOf('@') + 1) : "main";
    int slash = repository.indexOf('/');
    if (slash < 0) {
      throw new InputException(
          "\""
              + text
              + "\": expected ORG/NAME or ORG/NAME@REVISION, such as EleutherAI/pythia-160m, found"
              + " no /");
    }
    return new HubName(repository.substring(0, slash), repository.substring(slash + 1), revision);
  }

  /** Parses a text; empty when it has another form. */
  public static Optional<HubName> tryParse(String text) {
    try {
      return Optional.of(parse(text));
    } catch (InputException e) {
      return Optional.empty();
    }
  }

  /** Returns the same repository at another revision. */
  public HubName at(String revision) {
    return new HubName(kind, org, name, revision);
  }

  /** Returns {@code ORG/NAME}. */
  public String repository() {
    return org + "/" + name;
  }

  /** Returns its path behind the hub's address. */
  String path() {
    return kind.prefix + repository();
  }

  /** Returns its path in the hub's interface for programs. */
  String apiPath() {
    return "api/" + kind.plural + "/" + repository();
  }

  /** Returns the name of its folder in the cache. */
  String folder() {
    return kind.plural + "--" + org + "--" + name;
  }

  /** Returns whether the revision is a commit, whose content never changes. */
  boolean isCommit() {
    return isCommit(revision);
  }

  static boolean isCommit(String text) {
    return COMMIT.matcher(text).matches();
  }

  @Override
  public String toString() {
    return revision.equals("main") ? repository() : repository() + "@" + revision;
  }
}
