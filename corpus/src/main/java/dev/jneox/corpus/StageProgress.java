package dev.jneox.corpus;

import dev.jneox.io.Progress;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.LongAdder;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerStageSubmitted;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.sql.SparkSession;

/** Shows the tasks that Spark has run of each stage of a build, and measures the stages. */
final class StageProgress extends SparkListener implements AutoCloseable {
  private final SparkSession spark;
  private final Progress.Display display;
  private final Map<String, CorpusBuild.Time> times = new LinkedHashMap<>();
  private final LongAdder nanos = new LongAdder(); // of CPU, of all tasks so far
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
    private final long nanosBefore = nanos.sum();

    Stage(String name) {
      this.name = name;
      this.own = display.begin(name, -1);
      now = own;
    }

    @Override
    public void close() {
      try {
        spark.sparkContext().listenerBus().waitUntilEmpty(); // the ends of its tasks
      } catch (TimeoutException e) {
        // The numbers of this stage count for the next one.
      }
      now = before;
      times.merge(
          name,
          new CorpusBuild.Time(own.seconds(), (nanos.sum() - nanosBefore) / 1e9),
          CorpusBuild.Time::plus);
      own.close();
    }
  }

  Stage begin(String name) {
    return new Stage(name);
  }

  /** Returns the time of each stage, in their order. */
  Map<String, CorpusBuild.Time> times() {
    return times;
  }

  @Override
  public void onStageSubmitted(SparkListenerStageSubmitted submitted) {
    now.expect(submitted.stageInfo().numTasks());
  }

  @Override
  public void onTaskEnd(SparkListenerTaskEnd ended) {
    now.step(1);
    if (ended.taskMetrics() != null) {
      nanos.add(ended.taskMetrics().executorCpuTime());
    }
  }

  @Override
  public void close() {
    spark.sparkContext().removeSparkListener(this);
  }
}
