package dev.jneox.corpus;

import dev.jneox.io.Progress;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerStageSubmitted;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.sql.SparkSession;

/** Shows the tasks that Spark has run of each stage of a build, and measures the stages. */
final class StageProgress extends SparkListener implements AutoCloseable {
  private final SparkSession spark;
  private final Progress.Display display;
  private final Map<String, Double> seconds = new LinkedHashMap<>();
  private volatile Progress now = Progress.silent();

  StageProgress(SparkSession spark, Progress.Display display) {
    this.spark = spark;
    this.display = display;
    spark.sparkContext().addSparkListener(this);
  }

  /** Is a stage that runs. */
  final class Stage implements AutoCloseable {
    private final String name;
    private final Progress before = now;
    private final Progress own;

    Stage(String name) {
      this.name = name;
      this.own = display.begin(name, -1);
      now = own;
    }

    @Override
    public void close() {
      now = before;
      seconds.merge(name, own.seconds(), Double::sum);
      own.close();
    }
  }

  Stage begin(String name) {
    return new Stage(name);
  }

  /** Returns the seconds of each stage, in their order. */
  Map<String, Double> seconds() {
    return seconds;
  }

  @Override
  public void onStageSubmitted(SparkListenerStageSubmitted submitted) {
    now.expect(submitted.stageInfo().numTasks());
  }

  @Override
  public void onTaskEnd(SparkListenerTaskEnd ended) {
    now.step(1);
  }

  @Override
  public void close() {
    spark.sparkContext().removeSparkListener(this);
  }
}
