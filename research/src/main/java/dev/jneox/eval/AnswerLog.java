package dev.jneox.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the answers of a model in a file that only grows, so that an evaluation that was killed
 * goes on where it was. An answer has the hash of its request as its name: it is used wherever a
 * task asks the same again, and never for another prompt.
 *
 * <p>The file is lines of JSON: what model the answers are of, what data each task had, and blocks
 * of answers. A block is on the disk before the next one is asked for.
 */
public final class AnswerLog implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** What a block should take, about, so that a kill costs no more. */
  private static final double BLOCK_SECONDS = 20;

  private static final int FIRST_BLOCK = 256;
  private static final int LARGEST_BLOCK = 1 << 14;

  /** Digits of a hash that name a request. */
  private static final int KEY = 32;

  private final Path file;
  private final TargetLock lock;
  private final FileChannel channel;
  private final int firstBlock;
  private final double blockSeconds;
  private final Map<String, Response> answers = new HashMap<>();
  private final Map<String, Map<String, String>> data = new HashMap<>();
  private long found;

  private AnswerLog(
      Path file, TargetLock lock, FileChannel channel, int firstBlock, double blockSeconds) {
    this.file = file;
    this.lock = lock;
    this.channel = channel;
    this.firstBlock = firstBlock;
    this.blockSeconds = blockSeconds;
  }

  /**
   * Opens the answers of a model, or begins them. A line that a kill cut off is dropped.
   *
   * @param model its hash
   * @param anew whether to drop what is there
   * @throws InputException if the file has the answers of another model, or is damaged
   * @throws StorageException if it cannot be written, or another process writes it
   */
  public static AnswerLog open(Path file, String model, boolean anew) {
    return open(file, model, anew, FIRST_BLOCK, BLOCK_SECONDS);
  }

  /** Does the same with blocks of another size. */
  static AnswerLog open(
      Path file, String model, boolean anew, int firstBlock, double blockSeconds) {
    TargetLock lock = TargetLock.take(file);
    @Nullable FileChannel channel = null;
    try {
      if (anew) {
        Files.deleteIfExists(file);
      }
      channel =
          FileChannel.open(
              file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
      AnswerLog log = new AnswerLog(file, lock, channel, firstBlock, blockSeconds);
      channel = null; // the log closes it
      try {
        log.read(model);
        return log;
      } catch (IOException | RuntimeException e) {
        log.close();
        throw e;
      }
    } catch (IOException e) {
      lock.close();
      throw StorageException.of(file, "cannot be written", e);
    }
  }

  private void read(String model) throws IOException {
    byte[] all = Files.readAllBytes(file);
    int begin = 0;
    int number = 0;
    for (int i = 0; i < all.length; i++) {
      if (all[i] == '\n') {
        number++;
        line(new String(all, begin, i - begin, StandardCharsets.UTF_8), number, model);
        begin = i + 1;
      }
    }
    channel.truncate(begin);
    channel.position(begin);
    if (begin == 0) {
      write(JSON.createObjectNode().put("model", model));
    }
  }

  private void line(String text, int number, String model) {
    String place = file + ": line " + number;
    JsonNode line;
    try {
      line = JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw damaged(place, e);
    }
    if (number == 1) {
      String of = line.path("model").asText("");
      if (!of.equals(model)) {
        throw new InputException(
            place
                + ": the model changed since: expected the answers of "
                + abbreviated(model)
                + ", found those of "
                + abbreviated(of)
                + "; give another --out, or --force to begin anew");
      }
    } else if (line.path("task").isTextual() && line.path("data").isObject()) {
      Map<String, String> splits = new HashMap<>();
      line.get("data").properties().forEach(e -> splits.put(e.getKey(), e.getValue().asText("")));
      data.computeIfAbsent(line.get("task").textValue(), _ -> new HashMap<>()).putAll(splits);
    } else if (line.path("answers").isArray()) {
      for (JsonNode answer : line.get("answers")) {
        answers.put(answer.path(0).asText(""), answer(answer, place));
      }
    } else {
      throw damaged(place, null);
    }
  }

  private static Response answer(JsonNode answer, String place) {
    if (answer.size() == 2 && answer.get(1).isTextual()) {
      return new Response.Written(answer.get(1).textValue());
    }
    if (answer.size() == 4 && answer.get(2).isInt() && answer.get(3).isBoolean()) {
      try {
        return new Response.Score(
            Double.parseDouble(answer.get(1).asText("")),
            answer.get(2).intValue(),
            answer.get(3).booleanValue());
      } catch (NumberFormatException e) {
        throw damaged(place, e);
      }
    }
    throw damaged(place, null);
  }

  private static InputException damaged(String place, @Nullable Exception cause) {
    return new InputException(
        place
            + ": expected answers, found a line that is damaged; give another --out, or --force to"
            + " begin anew",
        cause);
  }

  private static String abbreviated(String hash) {
    return hash.isEmpty() ? "none" : hash.substring(0, Math.min(12, hash.length()));
  }

  /** Returns how many answers were taken from the file rather than computed. */
  public long found() {
    return found;
  }

  /**
   * Requires that a task has the data that its answers here are of, and notes them.
   *
   * @param splits the hash of each
   * @throws InputException if they changed
   */
  void require(String task, Map<String, String> splits) {
    Map<String, String> before = data.computeIfAbsent(task, _ -> new HashMap<>());
    splits.forEach(
        (split, hash) -> {
          String old = before.get(split);
          if (old != null && !old.equals(hash)) {
            throw new InputException(
                "task "
                    + task
                    + ": split "
                    + split
                    + ": the data changed since the results in "
                    + file.getParent()
                    + ": expected SHA-256 "
                    + abbreviated(old)
                    + ", found "
                    + abbreviated(hash)
                    + "; give another --out, or --force to begin anew");
          }
        });
    if (!before.keySet().containsAll(splits.keySet())) {
      before.putAll(splits);
      ObjectNode line = JSON.createObjectNode().put("task", task);
      ObjectNode hashes = line.putObject("data");
      before.forEach(hashes::put);
      write(line);
    }
  }

  /**
   * Answers requests: from the file what is there, by the model what is not.
   *
   * @param progress counts all of them
   * @return in their order
   */
  List<Response> answers(List<Request> requests, EvaluatedModel model, Progress progress) {
    List<String> keys = keys(requests);
    boolean drawn = requests.stream().anyMatch(AnswerLog::isDrawn);
    boolean whole = answers.keySet().containsAll(keys);
    List<Integer> open = new ArrayList<>();
    for (int i = 0; i < keys.size(); i++) {
      // The texts drawn for equal requests depend on each other: there are all of them or none.
      if (!answers.containsKey(keys.get(i)) || drawn && !whole) {
        open.add(i);
      } else {
        found++;
        progress.step(1);
      }
    }
    int size = drawn ? Math.max(1, open.size()) : firstBlock;
    for (int from = 0; from < open.size(); ) {
      int to = end(open, from, size, requests);
      List<Request> block = new ArrayList<>();
      for (int i : open.subList(from, to)) {
        block.add(requests.get(i));
      }
      long start = System.nanoTime();
      List<Response> answered = model.answers(block, progress);
      double seconds = (System.nanoTime() - start) / 1e9;
      add(open.subList(from, to), keys, answered);
      size = Math.clamp((long) (block.size() * blockSeconds / seconds), firstBlock, LARGEST_BLOCK);
      from = to;
    }
    List<Response> all = new ArrayList<>();
    for (String key : keys) {
      Response answer = answers.get(key);
      if (answer == null) {
        throw new IllegalStateException("a request without an answer");
      }
      all.add(answer);
    }
    return all;
  }

  /** Returns the end of a block, which does not part requests of one context. */
  private static int end(List<Integer> open, int from, int size, List<Request> requests) {
    int end = Math.min(open.size(), from + size);
    while (end < open.size()
        && end - from < 2 * size
        && requests.get(open.get(end)) instanceof Request.Loglikelihood next
        && requests.get(open.get(end - 1)) instanceof Request.Loglikelihood last
        && next.context().equals(last.context())) {
      end++;
    }
    return end;
  }

  private void add(List<Integer> places, List<String> keys, List<Response> answered) {
    ObjectNode line = JSON.createObjectNode();
    ArrayNode block = line.putArray("answers");
    for (int i = 0; i < answered.size(); i++) {
      String key = keys.get(places.get(i));
      answers.put(key, answered.get(i));
      ArrayNode entry = block.addArray().add(key);
      switch (answered.get(i)) {
        case Response.Written written -> entry.add(written.text());
        case Response.Score score -> {
          if (Double.isFinite(score.logLikelihood())) {
            entry.add(score.logLikelihood());
          } else {
            entry.add(String.valueOf(score.logLikelihood()));
          }
          entry.add(score.tokens()).add(score.greedy());
        }
      }
    }
    write(line);
  }

  /** Appends a line, and returns when it is on the disk. */
  private void write(ObjectNode line) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      JSON.writer()
          .without(com.fasterxml.jackson.core.JsonGenerator.Feature.AUTO_CLOSE_TARGET)
          .writeValue(bytes, line);
      bytes.write('\n');
      ByteBuffer buffer = ByteBuffer.wrap(bytes.toByteArray());
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
      channel.force(false);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be written", e);
    }
  }

  private static boolean isDrawn(Request request) {
    return request instanceof Request.Generate asked && asked.sampling().temperature() > 0;
  }

  /** Names requests by hashes of what they ask; of equal ones that are drawn, also by how many. */
  private static List<String> keys(List<Request> requests) {
    Map<String, Integer> repeats = new HashMap<>();
    List<String> keys = new ArrayList<>();
    for (Request request : requests) {
      String text =
          switch (request) {
            case Request.Loglikelihood asked ->
                "loglikelihood " + counted(asked.context()) + counted(asked.continuation());
            case Request.Rolling asked -> "rolling " + counted(asked.text());
            case Request.Generate asked ->
                "generate " + asked.sampling() + " " + counted(asked.context());
          };
      if (isDrawn(request)) {
        text = repeats.merge(text, 1, Integer::sum) + " " + text;
      }
      keys.add(TextHash.of(text).substring(0, KEY));
    }
    return keys;
  }

  /** Puts the length in front, so that no two pairs of texts are one text. */
  private static String counted(String text) {
    return text.length() + ":" + text;
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be written", e);
    } finally {
      lock.close();
    }
  }
}
