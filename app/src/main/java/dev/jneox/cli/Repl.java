package dev.jneox.cli;

import dev.jneox.cli.ReplModel.TurnStream;
import dev.jneox.infer.FinishReason;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.JneoxException;
import dev.jneox.io.VisibleText;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jline.reader.EOFError;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.ParsedLine;
import org.jline.reader.UserInterruptException;
import org.jline.reader.impl.DefaultParser;
import org.jline.terminal.Terminal;
import org.jline.terminal.Terminal.Signal;
import org.jline.terminal.Terminal.SignalHandler;
import org.jspecify.annotations.Nullable;

/**
 * Reads turns of a {@link Conversation} from a terminal or a pipe, and has a model write its own.
 */
final class Repl {
  private static final String QUOTES = "\"\"\"";

  /** A line that looks like a command of its own; with a space before it is text. */
  private static final Pattern COMMAND = Pattern.compile("/[a-z]+");

  private static final String HELP =
      """
      Enter            the model goes on from your text; an empty line: from its own
      \\ at the end     your text goes on in the next line
      \"""              so it does up to another \"""
      Ctrl-C           stops the model's text, or drops your line
      Ctrl-D, /exit    leaves
      /new             begins another text
      /undo            takes back the last turn\
      """;

  /**
   * What a terminal shows.
   *
   * @param introduction of the way that the model is used
   * @param prompt before each turn
   */
  record Words(String introduction, String prompt) {}

  private final ReplModel model;
  private final Conversation conversation;
  private long turns;

  /** The text that is being written, for a signal to stop. */
  private volatile @Nullable TurnStream running;

  Repl(ReplModel model, Conversation conversation) {
    this(model, conversation, 0);
  }

  /**
   * @param turns that the model has written before: each draws by a seed of its own
   */
  Repl(ReplModel model, Conversation conversation, long turns) {
    this.model = model;
    this.conversation = conversation;
    this.turns = turns;
  }

  /** Returns the number of turns that the model has written, those taken back included. */
  long turns() {
    return turns;
  }

  /** Where earlier inputs are kept: {@code $XDG_STATE_HOME/jneox/history}. */
  static Optional<Path> historyFile() {
    String state = System.getenv("XDG_STATE_HOME");
    Path folder =
        state != null && Path.of(state).isAbsolute()
            ? Path.of(state)
            : Path.of(System.getProperty("user.home"), ".local", "state");
    try {
      return Optional.of(Files.createDirectories(folder.resolve("jneox")).resolve("history"));
    } catch (IOException e) {
      return Optional.empty(); // of this session alone, then
    }
  }

  /** Runs until end of input on a terminal. */
  void run(Terminal terminal, Optional<Path> history, String introduction, Words words) {
    LineReaderBuilder builder =
        LineReaderBuilder.builder()
            .terminal(terminal)
            .parser(new Turns())
            .variable(LineReader.SECONDARY_PROMPT_PATTERN, "... ")
            .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true);
    history.ifPresent(file -> builder.variable(LineReader.HISTORY_FILE, file));
    LineReader reader = builder.build();
    PrintWriter out = terminal.writer();
    out.println(introduction + ".");
    out.println("Ctrl-C stops the text, Ctrl-D leaves, /help says more.");
    out.flush();
    readHistory(reader, out);
    SignalHandler before = listen(terminal);
    try {
      while (true) {
        try {
          if (!turn(reader.readLine(words.prompt), out, true)) {
            return;
          }
        } catch (UserInterruptException e) {
          continue; // drops the line
        } catch (EndOfFileException e) {
          return;
        }
      }
    } finally {
      terminal.handle(Signal.INT, before);
    }
  }

  /**
   * Reads earlier inputs. A file that cannot be read is left as it is, and this session does
   * without.
   */
  private static void readHistory(LineReader reader, PrintWriter out) {
    if (!(reader.getVariable(LineReader.HISTORY_FILE) instanceof Path file)) {
      return;
    }
    String fault = "it is no file";
    try {
      if (Files.notExists(file) || Files.isRegularFile(file)) {
        reader.getHistory().attach(reader);
        return;
      }
    } catch (UncheckedIOException e) {
      fault = AtomicFile.reason(Objects.requireNonNull(e.getCause()));
    }
    reader.setVariable(LineReader.HISTORY_FILE, null);
    out.println(
        "Earlier lines cannot be read, and those of this session are not kept: "
            + VisibleText.line(file + ": " + fault)
            + "; delete it to begin anew.");
  }

  /** Has Ctrl-C stop the text that is being written; returns the handler before. */
  SignalHandler listen(Terminal terminal) {
    return terminal.handle(
        Signal.INT,
        signal -> {
          TurnStream stream = running;
          if (stream != null) {
            stream.cancel();
          }
        });
  }

  /** Runs until end of input on a pipe. */
  void run(BufferedReader in, PrintWriter out) throws IOException {
    String line = in.readLine();
    while (line != null) {
      StringBuilder turn = new StringBuilder(line);
      while (isOpen(turn.toString())) {
        String more = in.readLine();
        if (more == null) {
          break;
        }
        turn.append('\n').append(more);
      }
      if (!turn(turn.toString(), out, false) || out.checkError()) {
        return;
      }
      line = in.readLine();
    }
  }

  /**
   * Takes one input.
   *
   * @param tells whether to say why a text ended or failed, to a person
   * @return false where the input leaves
   * @throws JneoxException when the model cannot write, unless it was told
   */
  boolean turn(String line, PrintWriter out, boolean tells) {
    switch (line.strip()) {
      case "/exit", "/quit" -> {
        return false;
      }
      case "/help" -> out.println(HELP);
      case "/new" -> {
        conversation.clear();
        said(out, tells, "[another text]");
      }
      case "/undo" -> {
        if (conversation.undo()) {
          said(out, tells, "[took back the last turn]");
        } else {
          out.println("There is nothing to take back.");
        }
      }
      case String _ when tells && COMMAND.matcher(line).matches() ->
          out.println(
              "[no such command: " + line + "; /help lists them, a space before it is text]");
      default -> {
        String input = unquoted(line);
        if (!input.isEmpty() || conversation.goesOn() && !conversation.text().isEmpty()) {
          conversation.add(input);
          write(out, tells);
        }
      }
    }
    out.flush();
    return true;
  }

  /** Says to a person what a command has done; a pipe gets the texts alone. */
  private static void said(PrintWriter out, boolean tells, String line) {
    if (tells) {
      out.println(line);
    }
  }

  private void write(PrintWriter out, boolean tells) {
    StringBuilder written = new StringBuilder();
    FinishReason reason = null;
    try (TurnStream stream = model.start(conversation, turns++, note -> said(out, tells, note))) {
      running = stream;
      while (stream.hasNext()) {
        String next = stream.next();
        String piece = written.isEmpty() ? conversation.begun(next) : next;
        written.append(piece);
        out.print(piece);
        if (out.checkError()) { // also flushes
          break;
        }
      }
      reason = stream.reason();
    } catch (JneoxException e) {
      if (!tells) {
        throw e; // a program reads the output: it must not take the reason for a text
      }
      out.println("jneox: " + VisibleText.line(e.getMessage())); // of this turn alone
      conversation.undo();
      return;
    } finally {
      running = null;
    }
    conversation.answer(written.toString());
    out.println();
    if (tells) {
      switch (reason) {
        case CANCELLED -> out.println("[stopped]");
        case END_OF_TEXT -> {
          if (conversation.goesOn()) { // an answer of a chat ends so each time
            out.println("[the model ended the text; /new begins another]");
          }
        }
        case MAX_TOKENS, CONTEXT_FULL -> {
          if (conversation.goesOn()) {
            out.println("[" + model.maxTokens() + " tokens; Enter goes on]");
          }
        }
        default -> {}
      }
    }
  }

  /** Whether an input goes on in the next line. */
  static boolean isOpen(String input) {
    if (input.startsWith(QUOTES)) {
      return input.indexOf(QUOTES, QUOTES.length()) < 0;
    }
    return input.endsWith("\\") && !input.endsWith("\\\\");
  }

  /** An input without the marks that joined its lines. */
  static String unquoted(String input) {
    if (!input.startsWith(QUOTES)) {
      return input.replace("\\\n", "\n");
    }
    int end = input.indexOf(QUOTES, QUOTES.length());
    return end < 0
        ? input.substring(QUOTES.length())
        : input.substring(QUOTES.length(), end) + input.substring(end + QUOTES.length());
  }

  /** Asks for another line while an input is open; there is nothing else to parse. */
  private static final class Turns extends DefaultParser {
    Turns() {
      setEscapeChars(null);
      setQuoteChars(null);
    }

    @Override
    public ParsedLine parse(String line, int cursor, ParseContext context) {
      if (context == ParseContext.ACCEPT_LINE && isOpen(line)) {
        throw new EOFError(-1, cursor, "the input goes on");
      }
      return super.parse(line, cursor, context);
    }
  }
}
