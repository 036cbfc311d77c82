package dev.jneox.dist;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LayoutTest {
  private static ModelSpec llama(int heads, int kvHeads, int layers, boolean tied) {
    return ModelSpec.of(
        Vocabulary.of(240, 0),
        36,
        new Embedding(true),
        layers,
        new BlockSpec(
            new Residual.Serial(new Norm.Rms(1e-6), new Norm.Rms(1e-6)),
            Attention.of(heads, 6, new Position.None()).withKvHeads(kvHeads),
            new FeedForward.Gated(48, Activation.SILU, true)),
        new Head(tied, true),
        64);
  }

  /** The 20B model as it was trained: two tensor ranks, four stages. */
  @Test
  void aRankOfThe20bModelHasWhatTheFormulaSays() {
    long h = 6144;
    long v = 50432;
    ModelSpec spec = ModelSpec.neox((int) v, (int) h, 44, 64, 2048);
    assertThat(spec.parameterCount()).isEqualTo(20_554_567_680L);
    Layout layout = Layout.of(spec, 2, 4, 1, Partition.UNIFORM);
    // Divided: 12 h^2 of matrices and 7 h of biases; on every rank: 4 h of norms, 2 h of biases.
    long blocks = 11 * ((12 * h * h + 7 * h) / 2 + 6 * h);
    assertThat(count(layout.shard(0, 0))).isEqualTo(v * h / 2 + blocks);
    assertThat(count(layout.shard(1, 1))).isEqualTo(blocks);
    assertThat(count(layout.shard(1, 2))).isEqualTo(blocks);
    assertThat(count(layout.shard(0, 3))).isEqualTo(blocks + 2 * h + v * h / 2);
  }

  private static long count(Shard shard) {
    return shard.places().stream().mapToLong(place -> place.part().elements()).sum();
  }

  /** Owned parts tile every parameter, and the sizes that a rank computes with are its parts'. */
  @ParameterizedTest
  @CsvSource({"1,1,1", "2,1,1", "1,4,1", "4,2,1", "2,4,1", "3,2,3", "12,3,2"})
  void eachValueIsOwnedOnce(int tensor, int stages, int chunks) {
    for (boolean tied : new boolean[] {true, false}) {
      ModelSpec spec = llama(24, 12, 6, tied);
      Layout layout = Layout.of(spec, tensor, stages, chunks, Partition.UNIFORM);
      assertThat(layout.chunks()).isEqualTo(chunks);
      Map<ParamId, int[]> owners = new HashMap<>();
      spec.parameters().forEach(p -> owners.put(p.id(), new int[(int) p.elements()]));
      for (int stage = 0; stage < stages; stage++) {
        for (int rank = 0; rank < tensor; rank++) {
          Shard shard = layout.shard(rank, stage);
          Map<ParamId, Param> sizes = new HashMap<>();
          shard.spec().parameters().forEach(param -> sizes.put(param.id(), param));
          for (Piece place : shard.places()) {
            assertThat(place.part()).isEqualTo(sizes.get(place.whole().id()));
            long at = 0;
            for (Piece.Range range : place.ranges()) {
              assertThat(range.inPart()).isEqualTo(at);
              at += range.length();
              for (long i = 0; shard.owns(place.whole().id()) && i < range.length(); i++) {
                owners.get(place.whole().id())[(int) (range.inWhole() + i)]++;
              }
            }
            assertThat(at).isEqualTo(place.part().elements());
          }
        }
      }
      owners.forEach((id, times) -> assertThat(times).as(id.toString()).containsOnly(1));
    }
  }

  @Test
  void aTiedMatrixIsOnTheFirstStageAndTheLast() {
    ParamId embedding = ParamId.weight(Part.EMBEDDING);
    Layout layout = Layout.of(llama(4, 4, 3, true), 1, 3, 1, Partition.UNIFORM);
    assertThat(layout.shard(0, 0).owns(embedding)).isTrue();
    assertThat(layout.shard(0, 0).sharesEmbedding()).isTrue();
    assertThatThrownBy(() -> layout.shard(0, 1).place(embedding))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(layout.shard(0, 1).sharesEmbedding()).isFalse();
    assertThat(layout.shard(0, 2).place(embedding).isWhole()).isTrue();
    assertThat(layout.shard(0, 2).owns(embedding)).isFalse();
    assertThat(layout.shard(0, 2).sharesEmbedding()).isTrue();
  }

  @Test
  void whatCannotBeDividedIsRefusedWithTheNearestThatWorks() {
    assertThatThrownBy(() -> Layout.of(llama(24, 12, 6, false), 5, 1, 1, Partition.UNIFORM))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "model_parallel_size: expected a divisor of 24 heads, 12 key and value heads and 48"
                + " columns of the feed-forward layer, found 5: the nearest that work are 4 and 6");
    assertThatThrownBy(() -> Layout.of(llama(24, 12, 6, false), 24, 1, 1, Partition.UNIFORM))
        .hasMessageEndingWith("found 24: the nearest that works is 12");
    assertThatThrownBy(
            () ->
                Layout.of(
                    llama(24, 24, 6, false).withVocabulary(Vocabulary.of(241, 0)),
                    8,
                    1,
                    1,
                    Partition.UNIFORM))
        .hasMessage(
            "model_parallel_size: expected a divisor of the 241 rows of the vocabulary, found 8:"
                + " pad the vocabulary to 248 rows");
    assertThatThrownBy(() -> Layout.of(llama(4, 4, 6, false), 1, 4, 2, Partition.UNIFORM))
        .hasMessage(
            "pipe_parallel_size: 4 stages of 2 chunks need as many layers, and the model has 6: at"
                + " most 3 stages work");
    assertThatThrownBy(() -> Layout.of(llama(4, 4, 6, false), 1, 7, 1, Partition.UNIFORM))
        .hasMessageContaining("at most 6 stages work");
  }

  @ParameterizedTest
  @CsvSource({
    "uniform, 10, 4, 3 3 2 2",
    "uniform, 6, 6, 1 1 1 1 1 1",
    "type:transformer|mlp, 10, 4, 3 3 2 2",
    "type:TRANSFORMER, 9, 2, 5 4",
    "type:embed, 6, 2, 5 1",
    "parameters, 9, 3, 3 3 3"
  })
  void blocksAreDividedAsTheMethodSays(String method, int layers, int stages, String expected) {
    ModelSpec spec = ModelSpec.neox(64, 96, layers, 4, 16);
    Layout layout = Layout.of(spec, 1, stages, 1, Partition.of(method));
    List<String> found = new ArrayList<>();
    for (int stage = 0; stage < stages; stage++) {
      found.add(Integer.toString(layout.shard(0, stage).chunks().getFirst().blocks()));
    }
    assertThat(String.join(" ", found)).isEqualTo(expected);
  }

  /** A large vocabulary on the first and the last stage leaves them fewer blocks. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void parametersAreBalanced(boolean tied) {
    ModelSpec spec = ModelSpec.neox(2400, 64, 10, 4, 16).withHead(new Head(tied, false));
    Layout layout = Layout.of(spec, 1, 4, 1, Partition.of("parameters"));
    List<Integer> found = new ArrayList<>();
    for (int stage = 0; stage < 4; stage++) {
      found.add(layout.shard(0, stage).chunks().getFirst().blocks());
    }
    assertThat(found).containsExactly(1, 4, 4, 1);
  }

  @Test
  void anUnknownMethodIsRefused() {
    assertThatThrownBy(() -> Partition.of("profile"))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "pipe_partition_method: expected parameters, uniform or type:REGEX, found profile");
    assertThatThrownBy(() -> Partition.of("type:(")).hasMessageContaining("regular expression");
  }

  @Test
  void interleavedStagesHaveSeveralChunks() {
    Layout layout = Layout.of(llama(4, 4, 8, false), 1, 2, 2, Partition.UNIFORM);
    assertThat(layout.shard(0, 0).chunks())
        .containsExactly(new Shard.Chunk(0, 2), new Shard.Chunk(4, 6));
    assertThat(layout.shard(0, 1).chunks())
        .containsExactly(new Shard.Chunk(2, 4), new Shard.Chunk(6, 8));
  }
}
