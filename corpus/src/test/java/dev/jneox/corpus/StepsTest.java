package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.Jneox;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Vocabulary;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.RandomWeights;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Looks at the steps that see one document alone, with their defaults unless options are given. */
class StepsTest {
  private static final String PROSE =
      """
      The house on the hill had been empty for a year when the new people came to look at it.
      They walked through the rooms and opened every window, and the wind of the sea came in.
      Nobody in the village knew their names. The children said that they were from the north.
      In the evening a light was seen in the tower, and that was the end of a long silence.
      It was a good house, as the old fisherman had always told those who would listen to him.
      """;

  @TempDir private Path folder;

  private static String rule(String step, Map<String, Object> options, String text) {
    return run(step, options, new Page(text, ""));
  }

  private static String run(String step, Map<String, Object> options, Page page) {
    Settings settings = new Settings(Path.of("p.yml"), step, options);
    TextStep made = (TextStep) Step.FACTORIES.get(step).create(settings);
    settings.noOthers();
    return made.apply(page);
  }

  private static String cleaned(String step, String text) {
    Page page = new Page(text, "");
    assertThat(run(step, Map.of(), page)).isNull();
    return page.text();
  }

  @Test
  void proseStays() {
    for (String step :
        new String[] {"unicode", "gopher_quality", "gopher_repetition", "c4", "fineweb", "pii"}) {
      assertThat(cleaned(step, PROSE).strip()).as(step).isEqualTo(PROSE.strip());
    }
  }

  @Test
  void gopherQualityHasARuleForEachFault() {
    assertThat(rule("gopher_quality", Map.of(), "a few words")).isEqualTo("too few words");
    assertThat(rule("gopher_quality", Map.of("max_words", 20L), PROSE)).isEqualTo("too many words");
    assertThat(rule("gopher_quality", Map.of(), "a b c d e f ".repeat(20)))
        .isEqualTo("words too short");
    assertThat(rule("gopher_quality", Map.of(), "incomprehensibilities ".repeat(60)))
        .isEqualTo("words too long");
    assertThat(rule("gopher_quality", Map.of(), PROSE.replace(" the ", " #the# ") + "# ".repeat(9)))
        .isEqualTo("too many hashes");
    assertThat(
            rule(
                "gopher_quality",
                Map.of(),
                PROSE.replace(" a ", " a... ").replace(" the ", " the... ")))
        .isEqualTo("too many ellipses");
    assertThat(rule("gopher_quality", Map.of(), PROSE.replaceAll("(?m)^", "- ")))
        .isEqualTo("too many bullets");
    assertThat(rule("gopher_quality", Map.of(), PROSE.replaceAll("(?m)\\.$", "\u2026")))
        .isEqualTo("too many lines that end with an ellipsis");
    assertThat(rule("gopher_quality", Map.of(), PROSE + "1234 5678 ".repeat(20)))
        .isEqualTo("too few words with a letter");
    assertThat(rule("gopher_quality", Map.of(), "Lorem ipsum dolor amet elit ".repeat(20)))
        .isEqualTo("too few stop words");
  }

  @Test
  void repetitionIsFound() {
    String line = "This line is said again.\n";
    assertThat(rule("gopher_repetition", Map.of(), PROSE + line.repeat(4)))
        .isEqualTo("repeated lines");
    assertThat(rule("gopher_repetition", Map.of(), (PROSE + "\n").repeat(2)))
        .isEqualTo("repeated paragraphs");
    assertThat(rule("gopher_repetition", Map.of(), "one two three four five six seven ".repeat(30)))
        .isEqualTo("frequent 2-grams");
    String phrase = "under the stars of the northern sky we sailed on and on ";
    assertThat(
            rule(
                "gopher_repetition",
                Map.of(),
                PROSE.replaceAll("\n", " ") + phrase + "then " + phrase))
        .isNull();
    assertThat(
            rule(
                "gopher_repetition",
                Map.of(),
                PROSE + "a " + phrase + "b " + phrase + "c " + phrase))
        .isEqualTo("repeated 6-grams");
  }

  @Test
  void c4KeepsSentences() {
    assertThat(
            cleaned(
                "c4",
                "Menu\n"
                    + PROSE
                    + "Home About Contact Us\nWe use cookies on this site.\n"
                    + "You must enable javascript now.\nIt ends here [1].\n"))
        .isEqualTo(PROSE + "It ends here .");
    assertThat(rule("c4", Map.of(), "One sentence is here. Two are there."))
        .isEqualTo("too few sentences");
    assertThat(rule("c4", Map.of(), PROSE + "if (a) { b }")).isEqualTo("curly bracket");
    assertThat(rule("c4", Map.of(), PROSE + "Lorem Ipsum dolor.")).isEqualTo("lorem ipsum");
  }

  @Test
  void fineWebRemovesLists() {
    assertThat(rule("fineweb", Map.of(), "a menu of things\nthat has no ends\n".repeat(3)))
        .isEqualTo("too few lines that end a sentence");
    assertThat(rule("fineweb", Map.of(), "Yes.\nNo.\nWhy?\nSo.\n"))
        .isEqualTo("too many short lines");
    assertThat(rule("fineweb", Map.of(), PROSE + PROSE.lines().findFirst().orElseThrow()))
        .isEqualTo("characters in repeated lines");
    assertThat(rule("fineweb", Map.of(), PROSE.replace("\n", "\n".repeat(4)))).isNull();
    assertThat(rule("fineweb", Map.of(), PROSE.replace("\n", "\n".repeat(12))))
        .isEqualTo("too many line ends");
  }

  @Test
  void unicodeIsRepaired() {
    String text = "Die Größe – „schön“ … naïve café €5";
    String broken = new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    assertThat(cleaned("unicode", broken)).isEqualTo(text);
    String windows =
        new String(
            "naïve café – €5".getBytes(StandardCharsets.UTF_8),
            java.nio.charset.Charset.forName("windows-1252"));
    assertThat(windows).isNotEqualTo("naïve café – €5");
    assertThat(cleaned("unicode", "plain\n" + windows + "\nÃ alone is meant\n"))
        .isEqualTo("plain\nnaïve café – €5\nÃ alone is meant\n");
    assertThat(cleaned("unicode", text)).isEqualTo(text);
    assertThat(cleaned("unicode", "a\r\nb\rc\u0000d\u0007\uFEFFe\u2028f"))
        .isEqualTo("a\nb\ncde\nf");
    assertThat(cleaned("unicode", "e\u0301")).isEqualTo("é");
    assertThat(rule("unicode", Map.of(), " \u0000\n")).isEqualTo("empty");
  }

  @Test
  void personalDataIsReplaced() {
    assertThat(
            cleaned(
                "pii",
                "Mail a.b+c@example.co.uk, call +49 (30) 1234-5678 or 555, from 8.8.8.8 or 10.0.0.1"
                    + " or 300.1.1.1, pay 4111 1111 1111 1111 or 4111 1111 1111 1112, key"
                    + " AKIAIOSFODNN7EXAMPLE, version 1.2.3.4.5, user@host"))
        .isEqualTo(
            "Mail <EMAIL>, call <PHONE> or 555, from <IP> or 10.0.0.1 or 300.1.1.1, pay <CARD> or"
                + " 4111 1111 1111 1112, key <KEY>, version 1.2.3.4.5, user@host");
  }

  @Test
  void personalDataAndWordsOfAListAreCounted() throws IOException {
    Path list =
        Files.writeString(
            folder.resolve("words.txt"), "# a comment\nHill\nthe  Sea,\n\nnames\nnot there\n");
    Settings settings =
        new Settings(Path.of("p.yml"), "toxicity", Map.of("words", list.toString()));
    TextStep step = (TextStep) Step.FACTORIES.get("toxicity").create(settings);
    step.prepare();
    Page page = new Page(PROSE + "uphill. THE SEA: to a@b.org or c@d.org", "");
    page.counts("email=1 other=5");
    assertThat(step.apply(page)).isNull();
    run("pii", Map.of(), page);
    assertThat(page.counts()).isEqualTo("email=3 other=5 toxicity=4");
    Files.writeString(list, "# nothing\n");
    assertThatThrownBy(step::prepare)
        .hasMessage(list + ": expected a word or phrase on each line, found none");
  }

  /** The rule is NumPy's: a draw of the Pareto (Lomax) distribution above 1 - score. */
  @Test
  void thePilesParetoRule() {
    QualityClassifier step = new QualityClassifier("good", 9, 10, 100, 1, 1);
    java.util.Random random = new java.util.Random(5);
    for (double score : new double[] {0, 0.5, 0.9, 1}) {
      int kept = 0;
      for (int i = 0; i < 100_000; i++) {
        double u = random.nextDouble();
        boolean drawn = Math.expm1(-Math.log(u) / 9) > 1 - score; // as NumPy makes it
        assertThat(step.keeps(score, u)).isEqualTo(drawn);
        kept += drawn ? 1 : 0;
      }
      assertThat(kept / 1e5).isCloseTo(Math.pow(2 - score, -9), within(0.01));
    }
  }

  @Test
  void theClassifierTellsGoodFromBad() {
    java.util.Random random = new java.util.Random(6);
    List<String> good = new java.util.ArrayList<>();
    List<String> others = new java.util.ArrayList<>();
    for (int i = 0; i < 300; i++) {
      good.add(words(random, 0));
      others.add(words(random, 60)); // half of the words are common to both
    }
    QualityClassifier step = new QualityClassifier("good", 9, 1000, 1000, 3, 1);
    QualityClassifier.Trained trained = step.train(good, others);
    assertThat(trained.accuracy()).isGreaterThan(0.95);
    assertThat(step.train(good, others).weights()).isEqualTo(trained.weights());
    assertThat(trained.score(words(random, 0))).isGreaterThan(0.8);
    assertThat(trained.score(words(random, 60))).isLessThan(0.2);
    int kept = 0;
    for (int i = 0; i < 200; i++) {
      Page page = new Page(words(random, 0), "");
      String rule = trained.apply(page);
      assertThat(trained.apply(page)).isEqualTo(rule); // the draw is the text's
      kept += rule == null ? 1 : 0;
      assertThat(rule).isIn(null, "low quality");
    }
    assertThat(kept).isGreaterThan(60);
  }

  private static String words(java.util.Random random, int from) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 80; i++) {
      text.append('w')
          .append((char) ('a' + (from + random.nextInt(120)) / 10))
          .append("x".repeat(random.nextInt(10)))
          .append(' ');
    }
    return text.toString();
  }

  @Test
  void perplexityIsThatOfTheModel() {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of(PROSE).iterator());
    Path tokenizer = folder.resolve("tokenizer.json");
    trainer.train(merges -> {}).write(tokenizer);
    ModelSpec spec = ModelSpec.neox(320, 32, 1, 2, 64).withVocabulary(new Vocabulary(320, 300, 0));
    Path model = folder.resolve("model");
    HfFolderWriter writer = new HfFolderWriter(model, spec, Dtype.F32);
    writer.tokenizer(tokenizer);
    writer.write(new RandomWeights(spec, 1));
    Perplexity step = new Perplexity(model.toString(), 0, 1, 100);
    step.prepare();
    double expected;
    try (Jneox open = Jneox.open(model)) {
      var score = open.score(PROSE.substring(0, 100));
      expected = Math.exp(-score.logProb() / score.tokens().size());
    }
    assertThat(step.of(PROSE)).isCloseTo(expected, within(1e-9 * expected));
    assertThat(expected).isGreaterThan(10);
    Map<String, Object> path = Map.of("model", model.toString(), "characters", 100L);
    assertThat(rule("perplexity", with(path, "max", expected + 1), PROSE)).isNull();
    assertThat(rule("perplexity", with(path, "max", expected - 1), PROSE))
        .isEqualTo("perplexity too high");
    assertThat(rule("perplexity", with(path, "min", expected + 1), PROSE))
        .isEqualTo("perplexity too low");
    assertThat(rule("perplexity", with(path, "min", expected + 1), "t")).isNull(); // one token
    assertThatThrownBy(() -> rule("perplexity", path, PROSE))
        .hasMessage("p.yml: perplexity.max: expected a bound, max or min, found nothing");
    assertThatThrownBy(() -> new Perplexity("/nowhere", 0, 1, 100).prepare())
        .hasMessage("/nowhere: no such model; name the folder or file of one");
  }

  private static Map<String, Object> with(Map<String, Object> map, String key, Object value) {
    Map<String, Object> more = new java.util.HashMap<>(map);
    more.put(key, value);
    return more;
  }

  @Test
  void theLanguageIsFound() {
    Page page = new Page(PROSE, "");
    assertThat(run("language", Map.of("keep", "en"), page)).isNull();
    assertThat(page.language()).isEqualTo("eng");
    assertThat(
            rule(
                "language",
                Map.of("keep", "en"),
                "Das Haus auf dem Hügel stand seit einem Jahr leer, als die neuen Leute kamen, um"
                    + " es sich anzusehen. Sie gingen durch die Zimmer und öffneten jedes"
                    + " Fenster."))
        .isEqualTo("another language");
  }
}
