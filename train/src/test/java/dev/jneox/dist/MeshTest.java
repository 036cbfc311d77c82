package dev.jneox.dist;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.dist.Buckets.Bucket;
import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.concurrent.CompletableFuture;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class MeshTest {
  @Test
  void ranksCountAsInMegatron() {
    Mesh mesh = new Mesh(2, 2, 2);
    assertThat(mesh.place(5)).isEqualTo(new Mesh.Place(1, 0, 1));
    assertThat(mesh.tensorGroup(5)).containsExactly(4, 5);
    assertThat(mesh.dataGroup(5)).containsExactly(5, 7);
    assertThat(mesh.pipelineGroup(5)).containsExactly(1, 5);
  }

  @Property
  void everyRankIsOncePerGroup(
      @ForAll @IntRange(min = 1, max = 5) int pipeline,
      @ForAll @IntRange(min = 1, max = 5) int data,
      @ForAll @IntRange(min = 1, max = 5) int tensor) {
    Mesh mesh = new Mesh(pipeline, data, tensor);
    for (int rank = 0; rank < mesh.size(); rank++) {
      Mesh.Place place = mesh.place(rank);
      assertThat(mesh.rank(place)).isEqualTo(rank);
      assertThat(mesh.tensorGroup(rank)).hasSize(tensor).element(place.tensor()).isEqualTo(rank);
      assertThat(mesh.dataGroup(rank)).hasSize(data).element(place.data()).isEqualTo(rank);
      assertThat(mesh.pipelineGroup(rank))
          .hasSize(pipeline)
          .element(place.pipeline())
          .isEqualTo(rank);
    }
  }

  @Property
  void bucketsCoverTheArrayAndWaitForTheirParts(
      @ForAll @Size(min = 1, max = 8) List<@IntRange(min = 1, max = 500) Integer> sizes,
      @ForAll @IntRange(min = 1, max = 5) int ranks,
      @ForAll @IntRange(min = 1, max = 700) int least) {
    long length = 0;
    List<Long> starts = new ArrayList<>();
    for (int size : sizes) {
      starts.addFirst(length);
      length += size;
    }
    long unit = 16L * ranks;
    length = Math.ceilDiv(length, unit) * unit;
    long top = length;
    List<Bucket> buckets = Buckets.of(starts, length, unit, least);
    for (Bucket bucket : buckets) {
      assertThat(bucket.to()).isEqualTo(top);
      assertThat((bucket.to() - bucket.from()) % unit).isZero();
      assertThat(bucket.from()).isGreaterThanOrEqualTo(starts.get(bucket.ready()));
      assertThat(bucket.share(ranks, ranks)).isEqualTo(bucket.to());
      top = bucket.from();
    }
    assertThat(top).isZero();
    for (Bucket bucket : buckets.subList(0, buckets.size() - 1)) {
      assertThat(bucket.to() - bucket.from()).isGreaterThanOrEqualTo(least);
    }
  }

  @Test
  void differingRanksAreNamed() {
    List<CompletableFuture<String>> messages =
        Ranks.threads(new Mesh(1, 3, 1)).stream()
            .map(
                ranks ->
                    CompletableFuture.supplyAsync(
                        () -> {
                          SequencedMap<String, String> parts = new LinkedHashMap<>();
                          parts.put("version", "1");
                          parts.put("configuration", "lr: " + ranks.rank() / 2);
                          assertThat(ranks.fromFirst("näme " + ranks.rank())).isEqualTo("näme 0");
                          try {
                            ranks.requireSame(parts);
                            return "";
                          } catch (InputException e) {
                            return e.getMessage();
                          }
                        },
                        task -> Thread.ofPlatform().daemon().start(task)))
            .toList();
    assertThat(messages)
        .allSatisfy(
            message ->
                assertThat(message.join())
                    .startsWith(
                        "rank 2 has another configuration than rank 0: lr is 1 on rank 2 and 0 on"
                            + " rank 0: start all"));
  }

  @Test
  void aPlaceOutsideIsRefused() {
    assertThatThrownBy(() -> new Mesh(1, 2, 1).place(2))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }
}
