package com.example.embed;

import dev.jneox.Jneox;
import dev.jneox.Options;
import dev.jneox.TextRequest;
import dev.jneox.TextScore;
import dev.jneox.infer.Completion;
import dev.jneox.infer.HookPoint;
import dev.jneox.infer.Taps;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.TextStream;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Streams a text, scores one, writes two at once, and looks inside, with the model at a path. */
public class Embed {
  public static void main(String[] args) throws Exception {
    Loading loading = new Loading();
    Options options = Options.defaults().withSessions(2).withListener(loading);
    System.out.println(
        "started from the " + (Embed.class.getModule().isNamed() ? "module" : "class") + " path");
    try (Jneox model = Jneox.open(Path.of(args[0]), options)) {
      System.out.printf("loaded: %,d of %,d parameters%n", loading.values, loading.total);
      TextRequest request = TextRequest.of("public static int ").withMaxTokens(32);

      System.out.print("streamed: " + request.prompt());
      try (TextStream stream = model.stream(request)) { // closing it earlier would cancel
        while (stream.hasNext()) {
          System.out.print(stream.next().text());
          System.out.flush();
        }
        System.out.println("\nended by: " + stream.result().reason().description());
      }

      TextScore score = model.score("return a > b", " ? a : b;");
      for (TextPiece token : score.tokens()) {
        System.out.printf("%9.4f  \"%s\"%n", token.logProb(), token.text());
      }
      System.out.printf("sum of log-probabilities: %.4f%n", score.logProb());

      TextRequest drawn = request.withTemperature(0.8).withTopP(0.95).withStop("\n\n");
      try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
        Future<Completion> one = threads.submit(() -> model.complete(drawn.withSeed(1)));
        Future<Completion> two = threads.submit(() -> model.complete(drawn.withSeed(2)));
        System.out.println("two at once: " + one.get().text());
        System.out.println("and: " + two.get().text());
      }

      Norms norms = new Norms(HookPoint.RESID_POST.in(model.spec().layers() - 1));
      model.complete(request.withMaxTokens(1).withTaps(norms));
      System.out.printf(
          "hook: %s, %d rows, mean norm %.3f%n", norms.point, norms.rows, norms.mean());
    }
  }

  /** Keeps how far the model is loaded; a program may draw a bar. */
  private static final class Loading implements Options.Listener {
    private long values;
    private long total;

    @Override
    public void loaded(long ready, long all) {
      values = ready;
      total = all;
    }
  }

  /** Measures the rows at one point of the forward pass. */
  private static final class Norms implements Taps {
    private final String point;
    private int rows;
    private double sum;

    Norms(String point) {
      this.point = point;
    }

    @Override
    public boolean wants(String name) {
      return name.equals(point);
    }

    @Override
    public void apply(String name, float[] values, int at, int width, long sequence, int position) {
      double squares = 0;
      for (int i = at; i < at + width; i++) {
        squares += values[i] * values[i];
      }
      rows++;
      sum += Math.sqrt(squares);
    }

    double mean() {
      return sum / rows;
    }
  }
}
