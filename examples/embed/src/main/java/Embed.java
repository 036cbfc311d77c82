import dev.jneox.Jneox;
import dev.jneox.Options;
import dev.jneox.TextRequest;
import dev.jneox.TextScore;
import dev.jneox.infer.Completion;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.TextStream;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Streams a text, scores one, and writes two at once, with the model at a path. */
class Embed {
  public static void main(String[] args) throws Exception {
    try (Jneox model = Jneox.open(Path.of(args[0]), Options.defaults().withSessions(2))) {
      TextRequest request = TextRequest.of("public static int ").withMaxTokens(32);

      System.out.print("streamed: " + request.prompt());
      try (TextStream stream = model.stream(request)) { // closing it earlier would cancel
        while (stream.hasNext()) {
          System.out.print(stream.next().text());
          System.out.flush();
        }
        System.out.println("\nended by: " + stream.result().generation().reason().description());
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
    }
  }
}
