package dev.jneox.corpus;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.spark.sql.SparkSession;

/** The session that all tests share: to open one takes seconds. */
final class Spark {
  private static String master = "";
  private static SparkSession session;

  private Spark() {}

  static SparkSession session() {
    return session("local[2]");
  }

  /** Opens another session where the last one has another master. */
  static synchronized SparkSession session(String wanted) {
    if (!master.equals(wanted)) {
      if (session != null) {
        session.stop();
      }
      try {
        Path scratch = Files.createTempDirectory("jneox-spark");
        scratch.toFile().deleteOnExit();
        session = Sessions.open(wanted, scratch);
        // Of small tables two hundred tasks take longer than the work, and so does compiling plans.
        session.conf().set("spark.sql.codegen.wholeStage", "false");
        session.conf().set("spark.sql.codegen.factoryMode", "NO_CODEGEN");
        session.conf().set("spark.sql.shuffle.partitions", "3");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      master = wanted;
    }
    return session;
  }
}
