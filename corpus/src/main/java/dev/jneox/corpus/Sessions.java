package dev.jneox.corpus;

import java.nio.file.Path;
import org.apache.spark.sql.SparkSession;

/** Opens sessions of Spark, set up for builds. */
public final class Sessions {
  private Sessions() {}

  /**
   * Opens the session of this process.
   *
   * @param master {@code local[N]} for N threads of this process, or the URL of a cluster
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
    }
    return builder.getOrCreate();
  }
}
