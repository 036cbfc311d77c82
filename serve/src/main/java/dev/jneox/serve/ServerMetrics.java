package dev.jneox.serve;

import dev.jneox.infer.Engine;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.CounterWithCallback;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.core.metrics.Info;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.instrumentation.jvm.JvmGarbageCollectorMetrics;
import io.prometheus.metrics.instrumentation.jvm.JvmMemoryMetrics;
import io.prometheus.metrics.instrumentation.jvm.JvmRuntimeInfoMetric;
import io.prometheus.metrics.instrumentation.jvm.JvmThreadsMetrics;
import io.prometheus.metrics.instrumentation.jvm.ProcessMetrics;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.function.IntSupplier;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/** Counts what the server does, in Prometheus's form. */
final class ServerMetrics {
  static final String CONTENT_TYPE = PrometheusTextFormatWriter.CONTENT_TYPE;

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final PrometheusTextFormatWriter writer = PrometheusTextFormatWriter.create();
  private final ModelPool pool;
  private final Counter requests =
      Counter.builder()
          .name("jneox_requests")
          .help("Requests that have ended, by path and HTTP status.")
          .labelNames("endpoint", "status")
          .register(registry);
  private final Histogram seconds =
      histogram(
          "jneox_request_seconds",
          "Time from the arrival of a request to a model to its end.",
          "endpoint",
          0.01,
          0.05,
          0.1,
          0.5,
          1,
          5,
          10,
          30,
          60,
          300,
          600);
  private final Histogram queued =
      histogram(
          "jneox_queue_seconds",
          "Time until a request had its turn.",
          "model",
          0.001,
          0.01,
          0.1,
          1,
          5,
          10,
          60,
          300);
  private final Histogram firstToken =
      histogram(
          "jneox_time_to_first_token_seconds",
          "Time from the arrival of a request to its first token.",
          "model",
          0.01,
          0.025,
          0.05,
          0.1,
          0.25,
          0.5,
          1,
          2.5,
          5,
          10,
          60,
          300);
  private final Histogram perToken =
      histogram(
          "jneox_time_per_token_seconds",
          "Mean time per token after the first one of an answer.",
          "model",
          0.001,
          0.0025,
          0.005,
          0.01,
          0.025,
          0.05,
          0.1,
          0.25,
          0.5,
          1);
  private final Counter promptTokens =
      tokens("jneox_prompt_tokens", "Tokens of prompts whose answers have ended.");
  private final Counter newTokens = tokens("jneox_generated_tokens", "Tokens of answers.");

  ServerMetrics(String version, ModelPool pool, IntSupplier running, IntSupplier connections) {
    this.pool = pool;
    ProcessMetrics.builder().register(registry);
    JvmMemoryMetrics.builder().register(registry);
    JvmGarbageCollectorMetrics.builder().register(registry);
    JvmThreadsMetrics.builder().register(registry);
    JvmRuntimeInfoMetric.builder().register(registry);
    Info.builder()
        .name("jneox_build")
        .help("The version of this server.")
        .labelNames("version")
        .register(registry)
        .setLabelValues(version);
    GaugeWithCallback.builder()
        .name("jneox_requests_running")
        .help("Requests at work, those that wait included.")
        .callback(gauge -> gauge.call(running.getAsInt()))
        .register(registry);
    GaugeWithCallback.builder()
        .name("jneox_connections")
        .help("Open connections.")
        .callback(gauge -> gauge.call(connections.getAsInt()))
        .register(registry);
    of(
        "jneox_model_loaded",
        "1 where the model is loaded, else 0.",
        m -> m.served() == null ? 0 : 1);
    of(
        "jneox_model_bytes",
        "Weights, keys and values that the model takes, or would take.",
        ModelPool.Status::bytes);
    of("jneox_model_requests", "Requests that hold the model or wait for it.", m -> m.requests());
    CounterWithCallback.builder()
        .name("jneox_model_loads")
        .help("How often the model was loaded.")
        .labelNames("model")
        .callback(
            counter -> pool.statuses().forEach(model -> counter.call(model.loads(), model.id())))
        .register(registry);
    GaugeWithCallback.builder()
        .name("jneox_models_bytes")
        .help("Weights, keys and values of the models that are loaded.")
        .callback(gauge -> gauge.call(pool.used()))
        .register(registry);
    if (pool.limit() < Long.MAX_VALUE) {
      GaugeWithCallback.builder()
          .name("jneox_models_limit_bytes")
          .help("Bound on jneox_models_bytes.")
          .callback(gauge -> gauge.call(pool.limit()))
          .register(registry);
    }
    gauge("jneox_sequences_running", "Sequences that have a place.", m -> m.admission().running());
    gauge("jneox_sequences_waiting", "Sequences in the queue.", m -> m.admission().waiting());
    engine(
        "jneox_batch_sequences",
        "Sequences in a step of the engine.",
        m -> m.active() - m.paused());
    engine("jneox_paused_sequences", "Sequences whose readers are behind.", Engine.Metrics::paused);
    engine("jneox_tokens_per_second", "Tokens drawn lately.", Engine.Metrics::tokensPerSecond);
    engine(
        "jneox_kv_used_bytes",
        "Keys and values, those kept for later requests included.",
        Engine.Metrics::kvUsed);
    engine("jneox_kv_limit_bytes", "Bound on keys and values.", Engine.Metrics::kvLimit);
    counter(
        "jneox_engine_prompt_tokens",
        "Prompt tokens that were computed.",
        Engine.Metrics::promptTokens);
    counter(
        "jneox_engine_reused_tokens",
        "Prompt tokens whose keys and values were there.",
        Engine.Metrics::reusedTokens);
    counter(
        "jneox_engine_tokens",
        "Tokens drawn, those of answers that were cancelled included.",
        Engine.Metrics::tokens);
    counter(
        "jneox_suspensions",
        "How often a sequence made room for others.",
        Engine.Metrics::suspensions);
  }

  private Histogram histogram(String name, String help, String label, double... bounds) {
    return Histogram.builder()
        .name(name)
        .help(help)
        .labelNames(label)
        .classicOnly()
        .classicUpperBounds(bounds)
        .register(registry);
  }

  private Counter tokens(String name, String help) {
    return Counter.builder().name(name).help(help).labelNames("model").register(registry);
  }

  /** Registers a gauge of all models. */
  private void of(String name, String help, ToDoubleFunction<ModelPool.Status> value) {
    GaugeWithCallback.builder()
        .name(name)
        .help(help)
        .labelNames("model")
        .callback(gauge -> pool.statuses().forEach(m -> gauge.call(value.applyAsDouble(m), m.id())))
        .register(registry);
  }

  /** Registers a gauge of the models that are loaded. */
  private void gauge(String name, String help, ToDoubleFunction<ServedModel> value) {
    GaugeWithCallback.builder()
        .name(name)
        .help(help)
        .labelNames("model")
        .callback(gauge -> loaded().forEach(m -> gauge.call(value.applyAsDouble(m), m.id())))
        .register(registry);
  }

  private List<ServedModel> loaded() {
    return pool.statuses().stream()
        .map(ModelPool.Status::served)
        .flatMap(Stream::ofNullable)
        .toList();
  }

  private void engine(String name, String help, ToDoubleFunction<Engine.Metrics> value) {
    gauge(name, help, model -> value.applyAsDouble(model.metrics()));
  }

  /** Registers a count of the models that are loaded; it begins anew when one is loaded again. */
  private void counter(String name, String help, ToDoubleFunction<Engine.Metrics> value) {
    CounterWithCallback.builder()
        .name(name)
        .help(help)
        .labelNames("model")
        .callback(
            counter ->
                loaded().forEach(m -> counter.call(value.applyAsDouble(m.metrics()), m.id())))
        .register(registry);
  }

  /** Counts a request that has ended. */
  void ended(String endpoint, int status, Call call) {
    requests.labelValues(endpoint, Integer.toString(status)).inc();
    if (call.model().isEmpty()) {
      return;
    }
    seconds.labelValues(endpoint).observe(call.seconds());
    promptTokens.labelValues(call.model()).inc(call.promptTokens());
    newTokens.labelValues(call.model()).inc(call.newTokens());
    if (call.firstTokenSeconds() > 0) {
      queued.labelValues(call.model()).observe(call.queuedSeconds());
      firstToken.labelValues(call.model()).observe(call.firstTokenSeconds());
    }
    if (!Double.isNaN(call.secondsPerToken())) {
      perToken.labelValues(call.model()).observe(call.secondsPerToken());
    }
  }

  /** Counts a request that was no HTTP, or whose head never ended. */
  void malformed(int status) {
    requests.labelValues("malformed", Integer.toString(status)).inc();
  }

  /** Writes all of it as text. */
  byte[] text() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      writer.write(out, registry.scrape());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }
}
