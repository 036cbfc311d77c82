package dev.jneox.corpus;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Names a package as a pipeline file does: {@code debian:NAME}, {@code
 * maven:GROUP:ARTIFACT:VERSION} (its jar of sources) or {@code npm:NAME@VERSION}.
 *
 * <p>A package of Debian has no version here. Mirrors keep one version only, so it is in the lock,
 * which is renewed more easily than the pipeline.
 *
 * @param registry where it is
 * @param name without the version
 * @param version empty for Debian
 */
record PackageName(Registry registry, String name, String version)
    implements Comparable<PackageName> {
  /** Lists the registries, and the client that asks each. */
  enum Registry {
    DEBIAN("[a-z0-9][a-z0-9+.-]+", "apt-get", ".deb"),
    MAVEN("([\\w.-]+:[\\w.-]+):([\\w.-]+)", "mvn", ".jar"),
    NPM("((?:@[a-z0-9~._-]+/)?[a-z0-9~._-]+)@(\\d[\\w.+-]*)", "npm", ".tgz");

    private final Pattern form;
    private final String client;
    private final String ending;

    Registry(String form, String client, String ending) {
      this.form = Pattern.compile(form);
      this.client = client;
      this.ending = ending;
    }

    String client() {
      return client;
    }

    @Override
    public String toString() {
      return name().toLowerCase(java.util.Locale.ROOT);
    }
  }

  /** What a name looks like, for messages. */
  static final String FORMS = "debian:NAME, maven:GROUP:ARTIFACT:VERSION or npm:NAME@VERSION";

  /** Reads a name; empty where it has none of the forms. */
  static Optional<PackageName> of(String text) {
    for (Registry registry : Registry.values()) {
      String prefix = registry + ":";
      if (text.startsWith(prefix)) {
        Matcher matcher = registry.form.matcher(text.substring(prefix.length()));
        if (matcher.matches()) {
          return Optional.of(
              matcher.groupCount() == 0
                  ? new PackageName(registry, matcher.group(), "")
                  : new PackageName(registry, matcher.group(1), matcher.group(2)));
        }
      }
    }
    return Optional.empty();
  }

  /** Returns the name that the package's file has in the folder of packages. */
  String file(String version) {
    return (registry + "-" + name + "-" + version).replaceAll("[^\\w.+~-]", "_") + registry.ending;
  }

  @Override
  public String toString() {
    return switch (registry) {
      case DEBIAN -> registry + ":" + name;
      case MAVEN -> registry + ":" + name + ":" + version;
      case NPM -> registry + ":" + name + "@" + version;
    };
  }

  @Override
  public int compareTo(PackageName other) {
    return toString().compareTo(other.toString());
  }
}
