package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

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
            new Source(
                "alpha", List.of(folder + "/a.jsonl"), 1.5, 0.02, null, "text", new TreeMap<>()),
            new Source(
                "beta",
                List.of(folder + "/b/*.txt", folder + "/c"),
                1,
                0.01,
                Format.TEXT,
                "text",
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
          weight: 1.5 | wieght: 2     | sources[0] (alpha): expected the keys documents, format, generator, held_out, licence, name, packages, path, seed, text_field, weight, found wieght (did you mean weight?)
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

  @ParameterizedTest
  @ValueSource(strings = {"[a.jsonl", "b/{a.jsonl", "[z-a].jsonl"})
  void aGlobThatIsNoneIsRefused(String glob) throws IOException {
    Files.createDirectories(folder.resolve("b"));
    Pipeline pipeline = read("sources:\n  - {name: a, path: '" + glob + "'}\n");
    assertThatThrownBy(() -> CorpusPlan.of(pipeline))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(file + ": source a: " + folder + "/" + glob + ": expected a file");
    Files.writeString(folder.resolve(glob), "{\"text\": \"a\"}\n");
    assertThat(CorpusPlan.of(pipeline).sources().getFirst().files()).isEqualTo(1);
  }

  @Test
  void aPipelineThatIsNoMappingOrNotThereIsSaidOnce() throws IOException {
    assertThatThrownBy(() -> read("# a list\n- a\n"))
        .hasMessage(file + ": line 2: expected the keys sources, steps and output, found a list");
    Path missing = folder.resolve("none.yml");
    assertThatThrownBy(() -> Pipeline.read(missing))
        .hasMessage(missing + ": cannot be read: no such file or folder");
    assertThatThrownBy(() -> Datasheet.write(folder))
        .hasMessage(folder.resolve("corpus.json") + ": cannot be read: no such file or folder");
    assertThatThrownBy(() -> Pipeline.read(folder))
        .hasMessageStartingWith(folder + ": cannot be read: ");
    Files.write(file, new byte[] {(byte) 0xff});
    assertThatThrownBy(() -> Pipeline.read(file))
        .hasMessageStartingWith(file + ": cannot be read as UTF-8: ");
  }

  @Test
  void aPlanNeedsTheTokenizerAndWholeArchives() throws IOException {
    Files.writeString(folder.resolve("a.jsonl"), "{\"text\": \"a\"}\n");
    Pipeline pipeline =
        read(
            "sources:\n  - {name: a, path: a.jsonl}\n"
                + "output: {format: megatron, tokenizer: none.json}\n");
    assertThatThrownBy(() -> CorpusPlan.of(pipeline))
        .hasMessageStartingWith(file + ": output.tokenizer: " + folder + "/none.json: ");
    Path zip = folder.resolve("z.zip");
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(zip))) {
      out.putNextEntry(new ZipEntry("a.txt"));
      out.write(new byte[5000]);
    }
    Files.write(zip, Arrays.copyOf(Files.readAllBytes(zip), 60));
    Pipeline archive = read("sources:\n  - {name: z, path: z.zip}\n");
    assertThatThrownBy(() -> CorpusPlan.of(archive))
        .hasMessageStartingWith(file + ": source z: " + zip + ": ");
  }

  @Test
  void aFileOfTheSameSizeAndTimeIsAnotherRecipe() throws IOException {
    Path source = Files.writeString(folder.resolve("a.jsonl"), "{\"text\": \"a\"}\n");
    Pipeline pipeline = read("sources:\n  - {name: a, path: a.jsonl}\n");
    CorpusBuild.Options options = new CorpusBuild.Options(folder.resolve("out"), 0, false, false);
    byte[] before = CorpusBuild.recipe(pipeline, Part.of(pipeline, 1000), List.of(), options);
    assertThat(CorpusBuild.recipe(pipeline, Part.of(pipeline, 1000), List.of(), options))
        .isEqualTo(before);
    FileTime time = Files.getLastModifiedTime(source);
    Files.writeString(source, "{\"text\": \"b\"}\n");
    Files.setLastModifiedTime(source, time);
    assertThat(CorpusBuild.recipe(pipeline, Part.of(pipeline, 1000), List.of(), options))
        .isNotEqualTo(before);
  }

  @Test
  void theKeysThatAreListedAreThoseThatAreRead() {
    assertThat(PipelineKeys.all().keySet())
        .contains("source", "output")
        .containsAll(Step.FACTORIES.keySet());
    PipelineKeys.all()
        .forEach(
            (name, described) -> {
              String wrong =
                  switch (name) {
                    case "source" -> GOOD.replace("weight: 1.5", "nosuch: 1");
                    case "output" -> GOOD.replace("seed: 5", "nosuch: 1");
                    default -> null;
                  };
              if (wrong != null) {
                assertThatThrownBy(() -> read(wrong))
                    .hasMessageContaining("found nosuch")
                    .message()
                    .contains(described.keys().keySet());
              } else {
                assertThat(described.keys()).containsKeys("only", "except");
              }
            });
    assertThat(PipelineKeys.all().get("source").keys())
        .containsEntry("weight", "a number of 0.0 to 1000.0; else 1.0")
        .containsKeys("path", "format", "text_field");
    assertThat(PipelineKeys.all().get("decontaminate").keys())
        .containsEntry("ngram", "a whole number of 1 to 1000; else 13")
        .containsKeys("against");
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
