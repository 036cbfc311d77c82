package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** Looks at what the steps that cut spans find and leave, without Spark. */
class SpanDedupTest {
  private static SpanDedup step(String name, Map<String, Object> options) {
    Settings settings = new Settings(Path.of("p.yml"), name, options);
    SpanDedup step = (SpanDedup) Step.FACTORIES.get(name).create(settings);
    settings.noOthers();
    return step;
  }

  private record Place(int document, int at) {}

  /** Returns the places of equal keys, in order. */
  private static Map<List<Long>, List<Place>> groups(List<List<SpanDedup.Key>> keys) {
    Map<List<Long>, List<Place>> groups = new HashMap<>();
    for (int d = 0; d < keys.size(); d++) {
      for (SpanDedup.Key key : keys.get(d)) {
        groups
            .computeIfAbsent(List.of(key.k1(), key.k2()), k -> new ArrayList<>())
            .add(new Place(d, key.at()));
      }
    }
    groups.values().removeIf(places -> places.size() == 1);
    return groups;
  }

  /** Does what {@link RepeatedSpans} does on Spark: returns the repeated places. */
  private static Map<Integer, TreeSet<Integer>> repeated(SpanDedup step, List<String> texts) {
    List<List<SpanDedup.Key>> keys = texts.stream().map(step::keys).toList();
    if (step instanceof SubstringDedup runs) {
      Map<Integer, TreeSet<Integer>> grams = new TreeMap<>();
      groups(keys).values().stream()
          .flatMap(List::stream)
          .forEach(
              place -> grams.computeIfAbsent(place.document, d -> new TreeSet<>()).add(place.at));
      List<List<SpanDedup.Key>> found = new ArrayList<>();
      for (int d = 0; d < texts.size(); d++) {
        found.add(runs.runs(texts.get(d), array(grams.getOrDefault(d, new TreeSet<>()))));
      }
      keys = found;
    }
    Map<Integer, TreeSet<Integer>> repeated = new TreeMap<>();
    groups(keys)
        .values()
        .forEach(
            places ->
                places
                    .subList(1, places.size())
                    .forEach(
                        place ->
                            repeated
                                .computeIfAbsent(place.document, d -> new TreeSet<>())
                                .add(place.at)));
    return repeated;
  }

  private static int[] array(Set<Integer> set) {
    return set.stream().mapToInt(Integer::intValue).toArray();
  }

  private static List<String> cut(SpanDedup step, List<String> texts) {
    Map<Integer, TreeSet<Integer>> repeated = repeated(step, texts);
    List<String> cut = new ArrayList<>(texts);
    repeated.forEach((d, places) -> cut.set(d, step.cut(texts.get(d), array(places)).text()));
    return cut;
  }

  @Test
  void linesAreCut() {
    SpanDedup step = step("line_dedup", Map.of("min_words", 3L));
    assertThat(
            cut(
                step,
                List.of(
                    "All rights reserved 2024.\nA text of one.\n",
                    "}\nALL rights reserved: 1999\r\n}\nA text of two.",
                    "Another text.\n\nall rights reserved 7")))
        .containsExactly(
            "All rights reserved 2024.\nA text of one.\n",
            "}\n}\nA text of two.",
            "Another text.\n\n");
    assertThat(step.span("a\nb c\nd\n", 1, 2)).isEqualTo("b c\nd");
  }

  @Test
  void paragraphsAreCut() {
    SpanDedup step = step("paragraph_dedup", Map.of("min_words", 2L));
    String paragraph = "Of two\nlines here.\n";
    assertThat(
            cut(
                step,
                List.of(
                    paragraph + "\nThe first.\n",
                    "Of two\n \t\nlines here.\n\n\n" + paragraph + "\n\nThe second.",
                    paragraph)))
        .containsExactly(
            paragraph + "\nThe first.\n", "Of two\n \t\nlines here.\n\n\nThe second.", "");
    assertThat(step.cut("ab cd\n\nef gh", new int[] {1}))
        .isEqualTo(new SpanDedup.Cut("ab cd\n\n", 5 / 12.0));
  }

  @Test
  void runsOfTokensAreCut() {
    SpanDedup step = step("substring_dedup", Map.of("tokens", 6L));
    assertThat(
            cut(
                step,
                List.of(
                    "Zero. It was the best of times, it was the worst",
                    "One: it was\n the  best of times, it was the end. One: yes.",
                    "Two it was the best of")))
        .containsExactly(
            "Zero. It was the best of times, it was the worst",
            "One: it end. One: yes.",
            "Two it was the best of");
    assertThat(cut(step, List.of("a b ".repeat(50)))).containsExactly("a b ");
    assertThat(step.cut("a b c d e f g", new int[] {0, 1}).share()).isEqualTo(1);
  }

  /** Winnowing misses none: what is found is what a comparison of all runs finds. */
  @Test
  void noRepeatedRunIsMissed() {
    Random random = new Random(11);
    int found = 0;
    for (int round = 0; round < 300; round++) {
      int length = 4 + random.nextInt(30);
      int vocabulary = 2 + random.nextInt(40);
      List<String> texts = new ArrayList<>();
      for (int d = 0; d < 6; d++) {
        List<String> words = new ArrayList<>();
        while (words.size() < 10 + random.nextInt(120)) {
          if (d > 0 && random.nextInt(8) == 0) {
            List<String> other = List.of(texts.get(random.nextInt(d)).split(" "));
            int from = random.nextInt(other.size());
            words.addAll(
                other.subList(from, Math.min(other.size(), from + random.nextInt(2 * length))));
          }
          words.add("w" + random.nextInt(vocabulary));
        }
        texts.add(String.join(" ", words));
      }
      Set<List<String>> seen = new HashSet<>();
      Map<Integer, TreeSet<Integer>> expected = new TreeMap<>();
      for (int d = 0; d < texts.size(); d++) {
        List<String> words = Arrays.asList(texts.get(d).split(" "));
        for (int at = 0; at + length <= words.size(); at++) {
          if (!seen.add(words.subList(at, at + length))) {
            expected.computeIfAbsent(d, x -> new TreeSet<>()).add(at);
          }
        }
      }
      assertThat(repeated(step("substring_dedup", Map.of("tokens", (long) length)), texts))
          .as("round %d, %d tokens", round, length)
          .isEqualTo(expected);
      found += expected.values().stream().mapToInt(Set::size).sum();
    }
    assertThat(found).isGreaterThan(2000);
  }

  /** A fingerprint stands for many tokens: the shuffle is that much smaller than of all runs. */
  @Test
  void winnowingKeepsFewGrams() {
    SpanDedup step = step("substring_dedup", Map.of());
    String text = String.join(" ", CorpusBuildTest.documents(100, 1));
    double share = (double) step.keys(text).size() / text.split(" ").length;
    assertThat(share).isBetween(0.9 * 2 / 27, 1.1 * 2 / 27);
  }

  @Test
  void licenceHeadersAreFound() {
    String code = "\nclass A {}\n";
    for (String header :
        List.of(
            "/*\n * Licensed under the Apache License.\n */",
            "#!/bin/sh\n# Copyright 2020 A. B.\n#\n# All rights reserved.",
            "-- SPDX-License-Identifier: MIT",
            "<!-- (c) copyright -->",
            "(* under the licence of *)\n\n// and more",
            ";; Copyright",
            "{- license -}")) {
      assertThat(SourceHeader.without(header + code).strip()).isEqualTo("class A {}");
    }
    for (String text :
        List.of(
            "/* What it does. */" + code,
            "class A {} // Copyright",
            "#include <license.h>\nint x;",
            "# Copyright of paintings\n\nis a heading; the text says more.".replace("# ", ""),
            "/* Copyright, never closed",
            "")) {
      assertThat(SourceHeader.without(text)).isEqualTo(text);
    }
  }
}
