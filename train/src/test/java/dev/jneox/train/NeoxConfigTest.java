package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.train.PrecisionSection.Format;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class NeoxConfigTest {
  private static final Norm LAYER = new Norm.Layer(1e-5);

  static final String SMALL =
      """
      num_layers: 4
      hidden_size: 64
      num_attention_heads: 4
      max_position_embeddings: 128
      pos_emb: rotary
      optimizer: {type: Adam, params: {lr: 1e-3}}
      train_micro_batch_size_per_gpu: 8
      train_iters: 100
      """;

  static NeoxConfig config(String... overrides) {
    return NeoxConfig.of(Settings.of(Map.of(Path.of("small.yml"), SMALL), List.of(overrides)));
  }

  private static NeoxConfig without(String line) {
    assertThat(SMALL).contains(line + "\n");
    return NeoxConfig.of(
        Settings.of(Map.of(Path.of("small.yml"), SMALL.replace(line + "\n", "")), List.of()));
  }

  private static void fails(String message, String... overrides) {
    assertThatThrownBy(() -> config(overrides))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
  }

  @Test
  void absentKeysHaveGptNeoxsDefaults() {
    NeoxConfig c = config();
    assertThat(c.model().seqLength()).isEqualTo(128);
    assertThat(c.model().feedForward())
        .isEqualTo(new FeedForward.Plain(256, Activation.GELU, true));
    assertThat(c.model().residual()).isEqualTo(new Residual.Serial(LAYER, LAYER));
    assertThat(c.model().tiedHead()).isTrue();
    assertThat(c.model().initStd()).isEqualTo(0.02);
    assertThat(c.model().outputInitStd()).isCloseTo(0.02 / Math.sqrt(8), within(1e-15));
    assertThat(c.optimizer().beta2()).isEqualTo(0.999);
    assertThat(c.optimizer().weightDecay()).isEqualTo(0.1);
    assertThat(c.optimizer().clip()).isEqualTo(1);
    assertThat(c.precision().format()).isEqualTo(Format.FP32);
    assertThat(c.precision().lossScaler().start().scale()).isEqualTo(1);
    assertThat(c.run().seed()).isEqualTo(1234);
    assertThat(c.run().recompute()).isZero();
    assertThat(c.data().source()).isEmpty();
    assertThat(c.parallel().processes()).isEqualTo(1);
    assertThat(c.unsupported()).isEmpty();
  }

  @Test
  void keysThatAskForWhatIsNotDoneAreNamedAndOthersAreNot() {
    assertThat(config().ignored()).isEmpty();
    assertThat(
            config(
                    "use_wandb=false",
                    "wandb_project=neox",
                    "eval_tasks=[lambada]",
                    "flops_profiler={enabled: false}",
                    "tokenizer_type=HFTokenizer",
                    "bias_gelu_fusion=true",
                    "zero_optimization={stage: 1}")
                .ignored())
        .isEmpty();
    assertThat(
            config(
                    "use_wandb=true",
                    "wandb_project=mine",
                    "flops_profiler={enabled: true}",
                    "tokenizer_type=SPMTokenizer")
                .ignored())
        .containsExactlyInAnyOrder(
            "use_wandb", "wandb_project", "flops_profiler", "tokenizer_type");
  }

  @Test
  void theModelIsDescribedByItsKeys() {
    ModelSection m =
        config(
                "gpt_j_residual=true",
                "bias_gelu_fusion=true",
                "no_weight_tying=true",
                "rotary_pct=0.25",
                "init_method=small_init",
                "output_layer_init_method=wang_init",
                "intermediate_size=100",
                "model_parallel_size=2")
            .model();
    assertThat(m.residual()).isEqualTo(new Residual.Parallel(LAYER, LAYER));
    assertThat(m.feedForward()).isEqualTo(new FeedForward.Plain(100, Activation.GELU_TANH, true));
    assertThat(m.initStd()).isCloseTo(Math.sqrt(2 / (5.0 * 64)), within(1e-15));
    assertThat(m.outputInitStd()).isCloseTo(2 / (4 * 8.0), within(1e-15));
    assertThat(m.paddedVocab(1)).isEqualTo(256);
    assertThat(m.paddedVocab(256)).isEqualTo(256);
    assertThat(m.paddedVocab(257)).isEqualTo(512);
    assertThat(m.shape(300, 0).parameterCount())
        .isEqualTo(
            2L * 512 * 64
                + 4 * (4 * 64 * 64 + 2 * 64 * 100 + 4 * 64 + 3 * 64 + 64 + 100 + 64)
                + 2 * 64);
    assertThat(config("gpt_j_residual=true", "gpt_j_tied=true").model().residual())
        .isEqualTo(new Residual.ParallelOneNorm(LAYER));
    assertThat(config("expansion_factor=3").model().feedForward().width()).isEqualTo(192);
  }

  /** The keys of GPT-NeoX's Llama 7B, but for its size: there 32768 of 4096 make 11008. */
  @Test
  void llamasPartsAreDescribedByTheirKeys() {
    NeoxConfig c =
        config(
            "norm=rmsnorm",
            "rms_norm_epsilon=1e-6",
            "activation=swiglu",
            "intermediate_size=32768",
            "mlp_multiple_of=256",
            "num_kv_heads=2",
            "use_bias_in_attn_linear=false",
            "use_bias_in_mlp=false");
    assertThat(c.unsupported()).isEmpty();
    ModelSpec spec = c.model().shape(100, 0);
    Norm rms = new Norm.Rms(1e-6);
    assertThat(spec.first())
        .isEqualTo(
            new BlockSpec(
                new Residual.Serial(rms, rms),
                Attention.of(4, 16, new Position.Rotary(16, 10000, false))
                    .withKvHeads(2)
                    .withBiases(false, false),
                new FeedForward.Gated(11008, Activation.SILU, false)));
    assertThat(spec.isUniform()).isTrue();
    assertThat(spec.finalNorm()).isEqualTo(rms);
    assertThat(config("activation=geglu").model().feedForward())
        .as("int(4 * 64 * 2/3) = 170")
        .isEqualTo(new FeedForward.Gated(85, Activation.GELU, true));
    assertThat(config("activation=geglu", "intermediate_size=100").model().feedForward().width())
        .as("int(100 * 2/3) = 66")
        .isEqualTo(33);
    assertThat(config("activation=swish").model().feedForward())
        .isEqualTo(new FeedForward.Plain(256, Activation.SILU, true));
    assertThat(config("mlp_multiple_of=64").model().feedForward().width()).isEqualTo(256);
    fails("mlp_multiple_of: rounds an MLP 256 wide to different widths", "mlp_multiple_of=100");
  }

  @Test
  void requiredKeysAreAskedFor() {
    Map<String, String> lines =
        Map.of(
            "num_layers", "num_layers: 4",
            "hidden_size", "hidden_size: 64",
            "num_attention_heads", "num_attention_heads: 4",
            "max_position_embeddings", "max_position_embeddings: 128",
            "optimizer.type", "optimizer: {type: Adam, params: {lr: 1e-3}}",
            "train_micro_batch_size_per_gpu", "train_micro_batch_size_per_gpu: 8",
            "train_iters", "train_iters: 100");
    lines.forEach(
        (key, line) ->
            assertThatThrownBy(() -> without(line))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith("small.yml: " + key + ": is required"));
  }

  @Test
  void sizesMustFitTogether() {
    fails(
        "small.yml: line 2: hidden_size: 64 is not a multiple of num_attention_heads 5",
        "num_attention_heads=5");
    fails("seq_length: 129 is more than max_position_embeddings 128", "seq_length=129");
    fails("min_lr: 0.1 is more than the learning rate optimizer.params.lr 0.001", "min_lr=0.1");
    fails("num_kv_heads: 3 does not divide num_attention_heads 4", "num_kv_heads=3");
    fails("rotary_pct: 0.2 of a head of 16 is 3 dimensions", "rotary_pct=0.2");
    fails("betas: expected two numbers >= 0 and < 1", "optimizer.params.betas=[0.9]");
    fails("betas: expected two numbers >= 0 and < 1", "optimizer.params.betas=[0.9, 1.0]");
    fails(
        "lr_decay_fraction: is set beside lr_decay_iters",
        "lr_decay_fraction=0.5",
        "lr_decay_iters=3");
  }

  @Test
  void twoBatchSizesGiveTheThird() {
    assertThat(config().batch()).isEqualTo(new BatchSection(8, 8, 1));
    assertThat(config("gradient_accumulation_steps=4").batch())
        .isEqualTo(new BatchSection(32, 8, 4));
    assertThat(config("train_batch_size=64").batch()).isEqualTo(new BatchSection(64, 8, 8));
    assertThat(config("train_batch_size=64", "global_num_gpus=4").batch())
        .isEqualTo(new BatchSection(64, 8, 2));
    assertThat(
            config(
                    "train_micro_batch_size_per_gpu=null",
                    "train_batch_size=64",
                    "gradient_accumulation_steps=2")
                .batch())
        .isEqualTo(new BatchSection(64, 32, 2));
    assertThat(config("train_micro_batch_size_per_gpu=null", "train_batch_size=64").batch())
        .isEqualTo(new BatchSection(64, 64, 1));
  }

  @Test
  void contradictoryBatchSizesShowTheEquation() {
    fails(
        "train_batch_size 100 = train_micro_batch_size_per_gpu 8 x gradient_accumulation_steps 4 x"
            + " data-parallel copies 2 does not hold: the right side is 64; set train_batch_size to"
            + " that, or leave out gradient_accumulation_steps or train_micro_batch_size_per_gpu",
        "train_batch_size=100",
        "gradient_accumulation_steps=4",
        "world_size=2");
    fails(
        "train_batch_size 100 = train_micro_batch_size_per_gpu 8 x gradient_accumulation_steps ? x"
            + " data-parallel copies 1 does not hold: no whole number fits; make train_batch_size a"
            + " multiple of 8",
        "train_batch_size=100");
    fails("expansion_factor: makes an MLP 0.0064 wide", "expansion_factor=0.0001");
    fails(
        "is too large",
        "train_micro_batch_size_per_gpu=2000000000",
        "gradient_accumulation_steps=2");
  }

  @Test
  void processesAreSplitIntoPipelineTensorAndData() {
    NeoxConfig c = config("pipe_parallel_size=4", "model_parallel_size=2", "global_num_gpus=96");
    assertThat(c.parallel()).isEqualTo(new ParallelSection(4, 2, 12));
    assertThat(c.parallel().processes()).isEqualTo(96);
    assertThat(c.batch().total()).isEqualTo(96);
    assertThat(c.parallel()).hasToString("96 processes = 4 pipeline x 2 tensor x 12 data");
    assertThat(c.unsupported()).isEmpty();
    assertThat(c.unsupportedInModel()).isEmpty();
    assertThat(config("use_qk_layernorm=true").unsupportedInModel())
        .singleElement()
        .asString()
        .contains("use_qk_layernorm");
    assertThat(config("num_gpus=8", "num_nodes=2").parallel().data()).isEqualTo(16);
    assertThat(config("pipe_parallel_size=0", "num_gpus=-1", "num_nodes=-1").parallel())
        .isEqualTo(new ParallelSection(1, 1, 1));
    fails(
        "global_num_gpus: 6 processes cannot be split into 2 pipeline x 2 tensor parts = 4",
        "global_num_gpus=6",
        "pipe_parallel_size=2",
        "model_parallel_size=2");
  }

  @Test
  void precisionFollowsFromThreeKeys() {
    PrecisionSection fp16 =
        config(
                "fp16={enabled: true, loss_scale: 0, initial_scale_power: 12, hysteresis: 3,"
                    + " min_loss_scale: 2}")
            .precision();
    assertThat(fp16.format()).isEqualTo(Format.FP16);
    assertThat(fp16.lossScaler()).isEqualTo(new LossScaler(4096, 1000, 3, 2, false, true));
    assertThat(config("fp16={enabled: true, loss_scale: 128}").precision().lossScaler())
        .isEqualTo(LossScaler.fixed(128));
    assertThat(config("precision=fp16").precision().lossScaler().initial()).isEqualTo(65536);
    assertThat(config("fp16={enabled: false}").precision().format()).isEqualTo(Format.FP32);
    assertThat(config("bf16={enabled: true}").precision().format()).isEqualTo(Format.BF16);
    assertThat(config("precision=bfloat16").precision().format()).isEqualTo(Format.BF16);
    assertThat(config("fp16={enabled: true, type: bfloat16}").precision().format())
        .isEqualTo(Format.BF16);
    fails("bf16.enabled: is true beside fp16.enabled", "fp16.enabled=true", "bf16.enabled=true");
    fails("precision: is fp32 but fp16 is enabled", "fp16.enabled=true", "precision=fp32");
    fails("precision: is fp16 but bf16 is enabled", "bf16.enabled=true", "precision=fp16");
  }

  @Test
  void oneDatasetIsSplitOrThreeAreNamed() {
    assertThat(config("data_path=d").data().source())
        .contains(new DataSection.Source.Split(Path.of("d"), "969,30,1"));
    assertThat(config("data_path=d", "split='3,1'").data().source())
        .contains(new DataSection.Source.Split(Path.of("d"), "3,1"));
    DataSection.Mix one = new DataSection.Mix(List.of(Path.of("v")), List.of(1.0));
    assertThat(
            config(
                    "train_data_paths=[a, b]",
                    "train_data_weights=[1, 2.5]",
                    "valid_data_paths=[v]",
                    "test_data_paths=[v]")
                .data()
                .source())
        .contains(
            new DataSection.Source.Separate(
                new DataSection.Mix(List.of(Path.of("a"), Path.of("b")), List.of(1.0, 2.5)),
                one,
                one));
    fails("split: expected up to three numbers", "data_path=d", "split='a,b'");
    fails("split: expected up to three numbers", "data_path=d", "split='0,0,0'");
    fails("split: expected up to three numbers", "data_path=d", "split='1,2,3,4'");
    fails(
        "train_data_paths: is set without valid_data_paths and test_data_paths",
        "train_data_paths=[a]");
    fails("data_path: is set beside valid_data_paths", "data_path=d", "valid_data_paths=[a]");
    fails(
        "train_data_weights: 1 weights for 2 paths",
        "train_data_paths=[a, b]",
        "train_data_weights=[1]",
        "valid_data_paths=[v]",
        "test_data_paths=[v]");
    fails(
        "train_data_weights: expected weights >= 0 of which one is > 0, found [0.0]",
        "train_data_paths=[a]",
        "train_data_weights=[0]",
        "valid_data_paths=[v]",
        "test_data_paths=[v]");
  }

  @Test
  void aRunIsSoManyIterationsOrEpochs() {
    assertThat(config("train_iters=null", "train_epochs=2").run().epochs()).hasValue(2);
    fails(
        "train_epochs: is set beside train_iters (--set train_iters=3)",
        "train_iters=3",
        "train_epochs=2");
    assertThatThrownBy(
            () ->
                NeoxConfig.of(
                    Settings.of(
                        Map.of(Path.of("small.yml"), SMALL + "train_epochs: 2\n"), List.of())))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("train_epochs: is set beside train_iters (small.yml: line 8)");
    fails(
        "train_epochs: needs equal weights",
        "train_iters=null",
        "train_epochs=2",
        "train_data_paths=[a, b]",
        "train_data_weights=[1, 2]",
        "valid_data_paths=[v]",
        "test_data_paths=[v]");
    assertThat(config("checkpoint_activations=true", "checkpoint_num_layers=2").run().recompute())
        .isEqualTo(2);
  }

  @Test
  void checkpointsComeLinearlyLogarithmicallyAndByName() {
    CheckpointSection linear =
        config("checkpoint_factor=20", "extra_save_iters=[0, 3]", "save=there").checkpoint();
    assertThat(savedUpTo(100, linear)).containsExactly(0, 3, 20, 40, 60, 80, 100);
    CheckpointSection log = config("checkpoint_factor=2", "checkpoint_scale=log").checkpoint();
    assertThat(savedUpTo(100, log)).containsExactly(1, 2, 4, 8, 16, 32, 64);
    assertThat(savedUpTo(20, config("checkpoint_factor=1.5", "checkpoint_scale=log").checkpoint()))
        .containsExactly(1, 2, 3, 5, 7, 11, 17);
    assertThat(savedUpTo(20, config().checkpoint())).isEmpty();
    fails("save: is set without checkpoint_factor or extra_save_iters", "save=there");
    fails(
        "checkpoint_factor: expected a number > 1 with checkpoint_scale log, found 1.0",
        "checkpoint_factor=1",
        "checkpoint_scale=log");
    fails(
        "checkpoint_factor: expected a whole number with checkpoint_scale linear, found 1.5",
        "checkpoint_factor=1.5");
  }

  private static List<Integer> savedUpTo(int last, CheckpointSection c) {
    List<Integer> iterations = new ArrayList<>();
    for (int i = 0; i <= last; i++) {
      if (c.savesAt(i)) {
        iterations.add(i);
      }
    }
    return iterations;
  }

  @Test
  void theScheduleEndsWhereTheConfigurationSays() {
    assertThat(config().optimizer().learningRate(100))
        .isEqualTo(
            new LearningRate(LearningRate.Version.V2, LearningRate.Style.LINEAR, 1e-3, 0, 1, 100));
    LearningRate named =
        config(
                "lr_decay_iters=1000",
                "lr_decay_style=cosine",
                "warmup=0.0015",
                "lr_schedule_version=v1.0",
                "min_lr=1e-4")
            .optimizer()
            .learningRate(100);
    assertThat(named)
        .isEqualTo(
            new LearningRate(
                LearningRate.Version.V1_0, LearningRate.Style.COSINE, 1e-3, 1e-4, 1.5, 1000));
    assertThat(config("lr_decay_fraction=0.55").optimizer().learningRate(99).decayIters())
        .isEqualTo(54);
    assertThat(config("lr_decay_fraction=0.001").optimizer().learningRate(99).decayIters())
        .isEqualTo(1);
  }

  @Test
  void attentionTypesAreUnfolded() {
    assertThat(config("attention_config=[[[flash], 3], [[global], 1]]").model().attentionTypes())
        .containsExactly("flash", "flash", "flash", "global");
    assertThat(config("attention_config=[[[global, local], all]]").model().attentionTypes())
        .containsExactly("global", "local", "global", "local");
    assertThat(config("attention_config=[flash, flash, global, flash]").unsupported()).isEmpty();
    fails(
        "attention_config: names the attention of 3 layers, but num_layers is 4",
        "attention_config=[[[flash], 3]]");
    fails(
        "attention_config: expected [[[types], layers], ...], found an entry 3",
        "attention_config=[3]");
    fails(
        "attention_config: expected a number of layers within 0..4",
        "attention_config=[[[flash], 1000000000]]");
    fails("attention_config: expected [[[types], layers], ...]", "attention_config=[[[], 4]]");
  }

  @Test
  void everyOtherLayerMaySeeAWindow() {
    NeoxConfig gpt3 =
        config("pos_emb=learned", "attention_config=[[[global, local], 2]]", "attention_window=32");
    assertThat(gpt3.unsupported()).isEmpty();
    assertThat(gpt3.model().shape(100, 0).blocks())
        .extracting(block -> block.attention().window())
        .containsExactly(0, 32, 0, 32);
    assertThat(gpt3.model().shape(100, 0).embedding()).isEqualTo(new Embedding(true));
    assertThat(gpt3.model().shape(100, 0).first().attention().position())
        .isEqualTo(new Position.None());
    assertThat(config().model().shape(100, 0).first().attention().position())
        .isEqualTo(new Position.Rotary(16, 10000, false));
    assertThat(without("pos_emb: rotary").model().learnedPositions())
        .as("GPT-NeoX's default")
        .isTrue();
    assertThat(config("attention_config=[[[global, local], 2]]").unsupported())
        .containsExactly(
            "--set attention_config=[[[global, local], 2]]: attention_config: attention of type"
                + " local goes by blocks in GPT-NeoX, which is not done; set attention_window to"
                + " the number of latest positions that a local layer sees");
    fails(
        "attention_window: is for layers of type local, but attention_config names none",
        "attention_window=32");
    fails("attention_window: expected a whole number >= 1, found 0", "attention_window=0");
  }

  @Test
  void whatWouldChangeTheResultsAndIsNotDoneIsListed() {
    List<String> asked =
        List.of(
            "norm=scalenorm",
            "pos_emb=alibi",
            "activation=mish",
            "hidden_dropout=0.1",
            "attention_dropout=0.1",
            "moe_num_experts=8",
            "optimizer.type=Lion",
            "attention_config=[[[bigbird], 4]]",
            "use_mup=true",
            "train_impl=dpo",
            "pack_impl=unpacked",
            "data_impl=lazy",
            "init_method=xavier_normal",
            "soft_prompt_tuning={enabled: true}",
            "curriculum_learning={enabled: true}",
            "use_qk_layernorm=true",
            "sliding_window_width=64",
            "optimizer.params.amsgrad=true",
            "train_label_data_paths=[a]",
            "scheduler={type: OneCycle}");
    for (String one : asked) {
      assertThat(config(one).unsupported())
          .as(one)
          .singleElement()
          .asString()
          .contains(one.substring(0, one.indexOf('=')));
    }
    assertThat(config(asked.toArray(String[]::new)).unsupported()).hasSize(asked.size());
    assertThat(config("pos_emb=none").unsupported())
        .containsExactly(
            "--set pos_emb=none: pos_emb: the text 'none': only rotary, learned is done");
  }

  @Test
  void whatIsAMatterOfSpeedOrPlaceIsAcceptedSilently() {
    assertThat(
            config(
                    "rope_fusion=true",
                    "scaled_upper_triang_masked_softmax_fusion=true",
                    "use_wandb=true",
                    "launcher=slurm",
                    "hostfile=/h",
                    "zero_optimization={stage: 1, cpu_offload: false}",
                    "partition_activations=true",
                    "te_mha=true",
                    "optimizer.type=AdamW",
                    "soft_prompt_tuning={enabled: false}",
                    "curriculum_learning={}",
                    "hidden_dropout=0.0",
                    "deepspeed_extra_args={a: {b: [1]}}")
                .unsupported())
        .isEmpty();
  }

  /** {@code --set} is stronger than a file, also where the file says it in another key. */
  @Test
  void anOverrideTakesThePlaceOfWhatAFileSaysInAnotherWay() {
    String text =
        SMALL
            + """
            train_data_paths: [a]
            train_data_weights: [2.0]
            valid_data_paths: [b]
            test_data_paths: [c]
            fp16: {enabled: true, initial_scale_power: 12}
            """;
    Map<Path, String> file = Map.of(Path.of("small.yml"), text);
    NeoxConfig c =
        NeoxConfig.of(
            Settings.of(file, List.of("data_path=d", "precision=bfloat16", "train_epochs=2")));
    assertThat(c.data().source()).contains(new DataSection.Source.Split(Path.of("d"), "969,30,1"));
    assertThat(c.precision().format()).isEqualTo(Format.BF16);
    assertThat(c.run().iters()).isEmpty();
    assertThat(c.run().epochs()).hasValue(2);
    NeoxConfig half = NeoxConfig.of(Settings.of(file, List.of("precision=fp16")));
    assertThat(half.precision().format()).isEqualTo(Format.FP16);
    assertThat(half.precision().lossScaler().start().scale()).isEqualTo(4096);
    NeoxConfig none = NeoxConfig.of(Settings.of(file, List.of("fp16.enabled=false")));
    assertThat(none.precision().format()).isEqualTo(Format.FP32);
    NeoxConfig mixes =
        NeoxConfig.of(
            Settings.of(
                Map.of(Path.of("s.yml"), SMALL + "data_path: d\n"),
                List.of("train_data_paths=[a]", "valid_data_paths=[b]", "test_data_paths=[c]")));
    assertThat(mixes.data().source().orElseThrow()).isInstanceOf(DataSection.Source.Separate.class);
  }
}
