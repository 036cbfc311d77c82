package dev.jneox.cli.serve;

import dev.jneox.cli.ModelOptions;
import dev.jneox.cli.OwnModel;
import dev.jneox.cli.PrecisionOption;
import dev.jneox.cli.Signals;
import dev.jneox.cli.Usage;
import dev.jneox.io.ByteSize;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.serve.AllowedOrigins;
import dev.jneox.serve.ApiKey;
import dev.jneox.serve.ModelServer;
import dev.jneox.serve.ServerSettings;
import dev.jneox.serve.TrustedProxies;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.channels.ClosedChannelException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Serves models over HTTP. */
@Command(
    name = "serve",
    sortOptions = false,
    description = {
      "Serve models over HTTP, in the forms of OpenAI's API.",
      "Tools that speak it (openai, LangChain, lm-evaluation-harness, curl) take the address that"
          + " is printed, with /v1 behind it, as their base URL."
    },
    footer = {
      "",
      "Ctrl-C, SIGTERM or SIGHUP lets running requests end, for at most --grace, and takes no new"
          + " ones; a second Ctrl-C or SIGTERM leaves at once. A request whose client ends its"
          + " connection is cancelled; a client that reads nothing for 30 seconds, or 5 while"
          + " others wait, is cut off.",
      "",
      "docs/server.md lists the routes, their fields and defaults, and the errors.",
      "",
      "/health/live and /health/ready say whether the server runs and takes requests. /metrics"
          + " counts requests, tokens, times and memory for Prometheus (jneox_...). /health and"
          + " /v1/models say which models are loaded.",
      "",
      "POST /admin/reload {\"model\": ID} loads the files of a model anew, of a run those of its"
          + " newest checkpoint, beside the old one: running requests end with the old one, later"
          + " ones take the new one. Replace files by renaming, never in place. A new model that"
          + " cannot be loaded changes nothing.",
      "",
      "Examples:",
      "  jneox serve --model DIR",
      "  jneox serve --model small=DIR --model large=FILE.gguf --port 9000",
      "  jneox serve --model small=DIR --model large=FILE.gguf --lazy --memory 24GB",
      "  jneox serve --model DIR --host 0.0.0.0 --api-key-file keys.txt \\",
      "      --tls-cert cert.pem --tls-key key.pem"
    })
public final class ServeCommand implements Callable<Integer> {
  /**
   * Helidon tells of its start at INFO. Kept here, because a logger that nobody has is forgotten.
   */
  private static final Logger HELIDON = Logger.getLogger("io.helidon");

  /** Its listener complains when it is closed while it waits for a connection to end. */
  private static final Logger LISTENER = Logger.getLogger("io.helidon.webserver.ServerListener");

  /** The terminal is gone: requests end as by the others, and it hurries nothing. */
  private static final int HANGUP = 1;

  private static final Pattern NAMED = Pattern.compile("([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)");

  /** What the engine names its memory for keys and values. */
  private static final String KV_MEMORY = "memory for keys and values:";

  /** Folders that jneox demo and jneox train --text write a model into. */
  private static final List<String> MADE_HERE = List.of("jneox-demo/model", "jneox-run/run");

  @Spec private CommandSpec spec;

  @Option(
      names = "--model",
      paramLabel = "[ID=]MODEL",
      description =
          "A model as other commands take it (see jneox generate --help), and the name that"
              + " requests give; may be given several times. Default name: that of the folder or"
              + " file, or ORG/NAME of the hub. Default model: that of jneox demo, or of jneox"
              + " train --text, in this folder; else the model of this project.")
  private List<String> models = new ArrayList<>();

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      defaultValue = "127.0.0.1",
      description =
          "The address to listen on. Default: ${DEFAULT-VALUE}, for this machine alone; 0.0.0.0"
              + " takes connections of others.")
  private String host;

  @Option(
      names = "--port",
      paramLabel = "N",
      defaultValue = "8080",
      description = "The port to listen on; 0 takes a free one. Default: ${DEFAULT-VALUE}.")
  private int port;

  @Mixin private PrecisionOption dtype;

  @Option(
      names = "--sessions",
      paramLabel = "N",
      defaultValue = "32",
      description =
          "Most sequences that a model writes at a time; others wait. Default: ${DEFAULT-VALUE}.")
  private int sessions;

  @Option(
      names = "--queue",
      paramLabel = "N",
      defaultValue = "1024",
      description =
          "Sequences that may wait before requests are refused with status 429. Default:"
              + " ${DEFAULT-VALUE}.")
  private int queue;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that compute. Default: one a core.")
  private Integer threads;

  @Option(
      names = "--kv-memory",
      paramLabel = "SIZE",
      description =
          "Memory for the keys and values of a model, as 2GB. Default: half of the Java heap,"
              + " shared out among the models.")
  private String kvMemory;

  @Option(
      names = "--lazy",
      description = "Load each model at its first request. Default: all at the start.")
  private boolean lazy;

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      description =
          "Bound on the memory of all models together, their weights and --kv-memory, as 24GB:"
              + " where it does not hold all, a request for another model waits until the one used"
              + " least recently is idle, and is unloaded. Default: all stay loaded.")
  private String memory;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "600",
      description = "Longest time of a request, its waiting included. Default: ${DEFAULT-VALUE}.")
  private long timeout;

  @Option(
      names = "--max-body",
      paramLabel = "SIZE",
      defaultValue = "16MB",
      description = "Largest body of a request. Default: ${DEFAULT-VALUE}.")
  private String maxBody;

  @Option(
      names = "--max-connections",
      paramLabel = "N",
      defaultValue = "1024",
      description = "Most open connections. Default: ${DEFAULT-VALUE}.")
  private int maxConnections;

  @Option(
      names = "--grace",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description = "How long running requests may go on at the end. Default: ${DEFAULT-VALUE}.")
  private long grace;

  @Option(
      names = "--api-key-file",
      paramLabel = "FILE",
      description =
          "Keys, one a line, as KEY [NAME] [REQUESTS-PER-MINUTE]; a request must bring one, as"
              + " Authorization: Bearer KEY. The environment variable JNEOX_API_KEY gives one,"
              + " too.")
  private Path keyFile;

  @Option(
      names = "--admin-key-file",
      paramLabel = "FILE",
      description =
          "A file with the key of POST /admin/reload, which loads the files of a model anew; or the"
              + " environment variable JNEOX_ADMIN_KEY. Default: none, and no such requests.")
  private Path adminKeyFile;

  @Option(
      names = "--open-metrics",
      description =
          "Let /metrics and /health be read without a key. /health/live and /health/ready always"
              + " are.")
  private boolean openMetrics;

  @Option(
      names = "--access-log",
      paramLabel = "FILE|-",
      description =
          "Append a line of JSON for each request to a file, or print it: who, what, when, tokens"
              + " and times; never a text.")
  private String accessLog;

  @Option(
      names = "--trusted-proxy",
      paramLabel = "ADDRESS[/BITS]",
      description =
          "Believe the header X-Forwarded-For of a reverse proxy with this address, or one of this"
              + " range: the address that it names is in the access log, and without keys clients"
              + " take turns by it. May be given several times.")
  private List<String> proxies = new ArrayList<>();

  @Option(
      names = "--allowed-origin",
      paramLabel = "ORIGIN",
      description =
          "Let web pages of this origin, such as https://app.example.com, send requests from a"
              + " browser (CORS); * lets all. May be given several times. Default: the server's own"
              + " page alone.")
  private List<String> origins = new ArrayList<>();

  @Option(
      names = "--allowed-host",
      paramLabel = "NAME",
      description =
          "Take requests for this name, in the header Host, where the server listens to this"
              + " machine alone and asks for no key. May be given several times. Default: localhost"
              + " and the addresses of this machine; a --trusted-proxy may pass on any.")
  private List<String> hosts = new ArrayList<>();

  @Option(
      names = "--tls-cert",
      paramLabel = "FILE",
      description = "Answer over TLS with this chain of certificates in PEM.")
  private Path certificate;

  @Option(
      names = "--tls-key",
      paramLabel = "FILE",
      description = "The private key of --tls-cert, in PEM, without a password.")
  private Path key;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    HELIDON.setLevel(Level.WARNING);
    LISTENER.setFilter(entry -> !(entry.getThrown() instanceof ClosedChannelException));
    List<ApiKey> keys = keys();
    Optional<ApiKey> admin = adminKey();
    ServerSettings settings = Usage.of(spec, () -> settings(keys, admin, out, err));
    long start = System.nanoTime();
    Map<String, Path> paths = new LinkedHashMap<>();
    for (String model : models.isEmpty() ? List.of(byDefault()) : models) {
      Matcher named = NAMED.matcher(model);
      boolean given = named.matches() && !Files.exists(Path.of(model));
      String where = given ? named.group(2) : model;
      String id = given ? named.group(1) : name(where);
      if (paths.put(id, ModelOptions.find(where, err)) != null) {
        throw new ParameterException(
            spec.commandLine(),
            "--model: two are named " + id + ": give one a name, as other=" + where);
      }
    }
    CountDownLatch stopped = new CountDownLatch(1);
    AtomicInteger signal = new AtomicInteger();
    try (ModelServer server = start(paths, settings);
        Signals _ =
            new Signals(
                Map.of("HUP", HANGUP, "INT", 2, "TERM", 15),
                number -> {
                  if (!signal.compareAndSet(0, number) && number != HANGUP) {
                    Runtime.getRuntime().halt(128 + number);
                  }
                  stopped.countDown();
                })) {
      new Introduction(
              server.url(),
              host.startsWith("127.") || host.equals("localhost"),
              !settings.access().keys().isEmpty(),
              certificate,
              settings.sessions(),
              settings.threads(),
              server.summaries())
          .print(out, System.nanoTime() - start);
      try {
        stopped.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      out.println(
          "stopping: running requests may end, for at most %d s; Ctrl-C again leaves at once"
              .formatted(grace));
      out.flush();
    }
    return signal.get() == 0 ? 0 : 128 + signal.get();
  }

  private static ModelServer start(Map<String, Path> paths, ServerSettings settings) {
    try {
      return ModelServer.start(paths, settings);
    } catch (InputException e) {
      if (e.getMessage().startsWith(KV_MEMORY)) {
        throw new InputException("--kv-memory:" + e.getMessage().substring(KV_MEMORY.length()));
      }
      throw e;
    }
  }

  /** Returns the model that a first command has made here. */
  private String byDefault() {
    return MADE_HERE.stream()
        .filter(path -> Files.isDirectory(Path.of(path)))
        .findFirst()
        .or(() -> OwnModel.present().map(Path::toString))
        .orElseThrow(
            () ->
                new ParameterException(
                    spec.commandLine(),
                    "--model: expected a model, found none in this folder: run ./jneox demo, or"
                        + " give --model DIR|FILE.gguf|ORG/NAME"));
  }

  private ServerSettings settings(
      List<ApiKey> keys, Optional<ApiKey> admin, PrintWriter out, PrintWriter err) {
    if ((certificate == null) != (key == null)) {
      throw new ParameterException(
          spec.commandLine(), "--tls-cert and --tls-key: expected both or none");
    }
    ServerSettings defaults = ServerSettings.DEFAULT;
    long body = size("--max-body", maxBody);
    return new ServerSettings(
        host,
        port,
        new ServerSettings.Access(
            keys,
            admin,
            certificate == null
                ? Optional.empty()
                : Optional.of(new ServerSettings.TlsFiles(certificate, key)),
            openMetrics,
            new TrustedProxies(proxies.stream().map(ServeCommand::range).toList()),
            allowed(),
            Optional.ofNullable(accessLog).map(where -> log(where, out, err))),
        dtype.precision(),
        sessions,
        queue,
        threads == null ? defaults.threads() : threads,
        kvMemory == null
            ? defaults.kvBytes() / Math.max(1, models.size())
            : size("--kv-memory", kvMemory),
        new ServerSettings.Loading(
            lazy,
            memory == null ? OptionalLong.empty() : OptionalLong.of(size("--memory", memory))),
        defaults.readers(),
        new ServerSettings.Limits(
            Duration.ofSeconds(timeout),
            body,
            ServerSettings.bodies(body),
            maxConnections,
            Duration.ofSeconds(grace),
            ServerSettings.Patience.DEFAULT));
  }

  private AllowedOrigins allowed() {
    try {
      return new AllowedOrigins(origins, hosts);
    } catch (InputException e) {
      throw new InputException("--allowed-origin, --allowed-host: " + e.getMessage());
    }
  }

  private static TrustedProxies.Range range(String text) {
    try {
      return TrustedProxies.Range.parse(text);
    } catch (InputException e) {
      throw new InputException("--trusted-proxy: " + e.getMessage());
    }
  }

  /** Opens the access log. Each line is flushed as it is written. */
  private static Consumer<String> log(String where, PrintWriter out, PrintWriter err) {
    PrintWriter log;
    try {
      log =
          where.equals("-")
              ? out
              : new PrintWriter(
                  Files.newBufferedWriter(
                      Path.of(where), StandardOpenOption.CREATE, StandardOpenOption.APPEND));
    } catch (IOException e) {
      throw new InputException(
          where + ": cannot be written: expected a file in a folder that is there");
    }
    AtomicBoolean failed = new AtomicBoolean();
    return line -> {
      synchronized (log) {
        log.println(line);
        if (log.checkError() && failed.compareAndSet(false, true)) { // which writes it out
          err.println("--access-log " + where + ": cannot be written; requests go on without it");
          err.flush();
        }
      }
    };
  }

  private long size(String option, String text) {
    return ByteSize.parse(text)
        .orElseThrow(
            () ->
                new ParameterException(
                    spec.commandLine(),
                    option + ": expected a size with its unit, such as 2GB, found " + text));
  }

  private List<ApiKey> keys() {
    List<ApiKey> keys = new ArrayList<>();
    Optional.ofNullable(System.getenv("JNEOX_API_KEY"))
        .filter(value -> !value.isBlank())
        .ifPresent(value -> keys.add(new ApiKey(value.strip(), "JNEOX_API_KEY", 0)));
    if (keyFile == null) {
      return keys;
    }
    keys.addAll(keys(keyFile));
    return keys;
  }

  private Optional<ApiKey> adminKey() {
    if (adminKeyFile == null) {
      return Optional.ofNullable(System.getenv("JNEOX_ADMIN_KEY"))
          .filter(value -> !value.isBlank())
          .map(value -> new ApiKey(value.strip(), "admin", 0));
    }
    List<ApiKey> keys = keys(adminKeyFile);
    if (keys.size() > 1) {
      throw new InputException(adminKeyFile + ": expected one key, found " + keys.size());
    }
    return Optional.of(new ApiKey(keys.getFirst().key(), "admin", 0));
  }

  private static List<ApiKey> keys(Path file) {
    List<String> lines;
    try {
      lines = Files.readAllLines(file);
    } catch (IOException e) {
      throw StorageException.ofText(file, e);
    }
    List<ApiKey> keys = new ArrayList<>();
    Map<String, Integer> linesOf = new HashMap<>(); // numbers, by key
    for (int i = 0; i < lines.size(); i++) {
      if (!lines.get(i).isBlank() && !lines.get(i).startsWith("#")) {
        try {
          ApiKey key = ApiKey.parse(lines.get(i), "key " + (i + 1));
          Integer before = linesOf.putIfAbsent(key.key(), i + 1);
          if (before != null) {
            throw new InputException("expected a new key, found that of line " + before);
          }
          keys.add(key);
        } catch (InputException e) {
          throw new InputException(file + ", line " + (i + 1) + ": " + e.getMessage());
        }
      }
    }
    if (keys.isEmpty()) {
      throw new InputException(file + ": expected keys, one a line, found none");
    }
    return keys;
  }

  /** The name of a folder or file; that of a hub's model is ORG/NAME. */
  private static String name(String model) {
    if (!Files.exists(Path.of(model))) {
      return model;
    }
    Path path = Path.of(model).toAbsolutePath().normalize();
    String name = String.valueOf(path.getFileName());
    return name.endsWith(".gguf") ? name.substring(0, name.length() - 5) : name;
  }
}
