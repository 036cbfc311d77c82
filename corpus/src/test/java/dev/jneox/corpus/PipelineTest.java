package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PipelineTest {
  private static final String GOOD =
      """
      sources:
        - {name: alpha, path: a.jsonl, weight: 1.5, held_out: 0.02}
        - name: beta
          path: [b/*.txt, c]
          format: text
      steps:
        - unicode
        - minhash_dedup: {bands: 450, rows: 20, except: alpha}
      output: {format: jsonl, seed: 5, held_out: 0.01}
      """;

  @TempDir private Path folder;
  private Path file;

  @BeforeEach
  void nameTheFile() {
    file = folder.resolve("p.yml");
  }

  private Pipeline read(String text) throws IOException {
    return Pipeline.read(Files.writeString(file, text));
  }

  @Test
  void aPipelineIsReadWithPathsFromItsFolder() throws IOException {
    Pipeline pipeline = read(GOOD);
    assertThat(pipeline.sources())
        .containsExactly(
            new Source("alpha", List.of(folder + "/a.jsonl"), 1.5, 0.02, null, new TreeMap<>()),
            new Source(
                "beta",
                List.of(folder + "/b/*.txt", folder + "/c"),
                1,
                0.01,
                Format.TEXT,
                new TreeMap<>()));
    assertThat(pipeline.steps())
        .containsExactly(
            new ScopedStep(new UnicodeRepair(true), List.of("alpha", "beta"), List.of()),
            new ScopedStep(
                new MinHashDedup(
                    5,
                    450,
                    20,
                    1,
                    1_000_000,
                    50_000_000,
                    false,
                    new KeyIndex(
                        "minhash_dedup",
                        "ngram 5, bands 450, rows 20, seed 1",
                        1,
                        List.of(),
                        true)),
                List.of("beta"),
                List.of("alpha")));
    assertThat(pipeline.output().seed()).isEqualTo(5);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          weight: 1.5 | weight: -1    | sources[0] (alpha).weight: expected a number of 0.0 to 1000.0, found -1
          weight: 1.5 | weight: much  | sources[0] (alpha).weight: expected a number of 0.0 to 1000.0, found "much"
          weight: 1.5 | weight: 0     | sources[0] (alpha).weight: expected a number above 0 (leave the source out instead), found 0
          weight: 1.5 | wieght: 2     | sources[0] (alpha): expected the keys documents, format, generator, held_out, licence, name, packages, path, seed, weight, found wieght (did you mean weight?)
          name: beta  | name: alpha   | sources[1].name: expected a name of its own for each source, found "alpha"
          format: text| format: pdf   | sources[1] (beta).format: expected jsonl, text, archive, parquet, warc, mbox, mediawiki, stackexchange, found "pdf"
          - unicode   | - unicod      | steps[0]: expected one of unicode, language, gopher_quality, gopher_repetition, c4, fineweb, pii, toxicity, quality_classifier, perplexity, decontaminate, exact_dedup, minhash_dedup, line_dedup, paragraph_dedup, substring_dedup, found unicod (did you mean unicode?)
          bands: 450  | bandz: 4      | steps[1] (minhash_dedup): expected the keys bands, driver_edges, except, group_cap, index, ngram, only, rows, seed, skip_licence_headers, write_index, found bandz (did you mean bands?)
          bands: 450  | bands: 0      | steps[1] (minhash_dedup).bands: expected a whole number of 1 to 10000, found 0
          except: alpha | except: alhpa | steps[1] (minhash_dedup).except: expected names of sources, found "alhpa (did you mean alpha?)"
          except: alpha | except: [alpha, beta] | steps[1] (minhash_dedup).except: expected a source at least that is left, found a list
          except: alpha | except: [alpha], only: beta | steps[1] (minhash_dedup).except: expected only or except, not both, found a list
          except: alpha | only: [] | steps[1] (minhash_dedup).only: expected names of sources, found a list
          format: jsonl, | format: megatron, | output.tokenizer: expected the path of a tokenizer.json, found nothing
          output:     | ouput:        | content: expected the keys output, sources, steps, found ouput (did you mean output?)
          """)
  void aWrongValueIsNamedWithItsPlace(String good, String bad, String message) {
    assertThat(GOOD).contains(good);
    assertThatThrownBy(() -> read(GOOD.replace(good, bad)))
        .isInstanceOf(InputException.class)
        .hasMessage(file + ": " + message);
  }

  @Test
  void aPlanHasSizesAndShares() throws IOException {
    Files.writeString(folder.resolve("a.jsonl"), "{\"text\": \"abc\"}\n".repeat(100));
    Files.createDirectories(folder.resolve("b"));
    Files.createDirectories(folder.resolve("c"));
    Files.writeString(folder.resolve("b/one.txt"), "x".repeat(400));
    Files.writeString(folder.resolve("b/two.md"), "x".repeat(1000));
    Files.writeString(folder.resolve("c/three"), "x".repeat(350));
    CorpusPlan plan = CorpusPlan.of(read(GOOD));
    assertThat(plan.sources())
        .containsExactly(
            new CorpusPlan.Reading("alpha", 1, 1600, 1600, 1.5, 2400 / 3150.0),
            new CorpusPlan.Reading("beta", 2, 750, 750, 1, 750 / 3150.0));
    assertThat(plan.tasks()).isEqualTo(1);
    Files.delete(folder.resolve("b/one.txt"));
    Pipeline pipeline = Pipeline.read(file);
    assertThatThrownBy(() -> CorpusPlan.of(pipeline))
        .hasMessage(file + ": source beta: " + folder + "/b/*.txt: no file matches");
  }
}
