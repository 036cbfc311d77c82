package dev.jneox.corpus;

import java.io.File;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.spark.sql.SparkSession;

/** Opens sessions of Spark, set up for builds. */
public final class Sessions {
  private Sessions() {}

  /** Jars that every installation of Spark has. */
  private static final Pattern OF_SPARK =
      Pattern.compile("(spark|hadoop|scala|rocksdbjni|netty|parquet|orc|arrow|icu4j|zstd-jni)-.*");

  /**
   * Returns the jars that the machines of a cluster need beside their own Spark. Where both have a
   * library, they take that of their Spark.
   */
  private static List<String> jars() {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(
            entry ->
                entry.endsWith(".jar")
                    && !OF_SPARK.matcher(Path.of(entry).getFileName().toString()).matches())
        .toList();
  }

  /**
   * Opens the session of this process.
   *
   * @param master {@code local[N]} for N threads of this process, or the URL of a cluster, to which
   *     our jars are sent
   * @param scratch a folder with room for what does not fit into memory; of a cluster the workers'
   *     own
   */
  public static SparkSession open(String master, Path scratch) {
    SparkSession.Builder builder =
        SparkSession.builder()
            .appName("jneox corpus")
            .master(master)
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.warehouse.dir", scratch.resolve("warehouse").toUri().toString())
            .config("spark.sql.parquet.compression.codec", "snappy")
            .config("spark.sql.autoBroadcastJoinThreshold", "64m")
            .config("spark.driver.maxResultSize", "0");
    if (master.startsWith("local")) {
      builder
          .config("spark.driver.host", "127.0.0.1")
          .config("spark.driver.bindAddress", "127.0.0.1")
          .config("spark.local.dir", scratch.toString());
    } else if (System.getProperty("spark.jars") == null) {
      builder.config("spark.jars", String.join(",", jars()));
    }
    return builder.getOrCreate();
  }
}
