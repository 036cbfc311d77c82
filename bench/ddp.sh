#!/bin/sh
# Data parallelism side by side with PyTorch's DistributedDataParallel over Gloo: the same shape, two processes of one thread each, in
# turns; and one process of two threads. Prints the median tokens/s of the steps of each turn, and the ratios.
#
#   PYTHON=... bench/ddp.sh     about 10 minutes on 2 cores
#   TURNS    (3)     STEPS of a turn (24)     TYPES ("bf16 f32")
#   PYTHON   with torch and transformers (python3); without them no ratio to PyTorch is printed
# The model: 6 x 256, 8 heads of 32, vocabulary 8,192; a process reads 8 x 256 tokens a step.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
python=${PYTHON:-python3}
turns=${TURNS:-3}
steps=${STEPS:-24}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT

"$root/jneox" tokenizer train --vocab-size 8192 --out "$work/tokenizer.json" "$root/app/target/corpus" >&2
"$root/jneox" prepare --tokenizer "$work/tokenizer.json" --out "$work/texts" "$root/app/target/corpus" >&2

# ours NAME TYPE SEQUENCES COMMAND...: the tokens/s of each step, from metrics.csv, without the first third.
ours() {
  name=$1 type=$2 sequences=$3
  shift 3
  rm -rf "$work/run"
  "$root/jneox" "$@" train "$root/configs/demo.yml" --set data_path="$work/texts" --set vocab_file="$work/tokenizer.json" \
    --set "split='90,10,0'" --set train_iters="$steps" --set train_micro_batch_size_per_gpu="$sequences" --set precision="$type" \
    --set eval_interval=100000 --set log_interval=1 --set save="$work/run" --set checkpoint_factor=100000 >"$work/log" 2>&1 \
    || { cat "$work/log" >&2; exit 1; }
  awk -F, -v first="$((steps / 3))" 'NR > first + 1 {print $8}' "$work/run/metrics.csv" | median >>"$work/$name.$type"
  sed -n 's/.*[^0-9]\([0-9]*\)% waiting.*/\1/p' "$work/log" | median >>"$work/$name.$type.waiting"
  echo "$name $type: $(tail -n 1 "$work/$name.$type") tokens/s" >&2
}

peer() {
  status=0
  "$python" "$root/bench/peers/ddp.py" "$2" 6 256 8 8192 "$3" 256 "$4" "$steps" >"$work/log" 2>"$work/errors" || status=$?
  if [ $status -ne 0 ]; then
    tail -n 3 "$work/errors" >&2
    echo "ddp.sh: PYTORCH WAS NOT MEASURED (set PYTHON to a Python with torch and transformers)" >&2
    return
  fi
  awk -v first="$((steps / 3))" '/tokens\/s/ && ++n > first {print $1}' "$work/log" | median >>"$work/$1.$4"
  echo "$1 $4: $(tail -n 1 "$work/$1.$4") tokens/s" >&2
}

median() { sort -g | awk '{v[NR] = $1} END {if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

for type in ${TYPES:-bf16 f32}; do
  case $type in bf16) precision=bfloat16 ;; *) precision=fp32 ;; esac
  turn=0
  while [ $turn -lt "$turns" ]; do
    turn=$((turn + 1))
    echo "-- $type, turn $turn of $turns" >&2
    ours two-processes "$precision" 8 launch --nproc 2
    peer ddp-two 2 8 "$type"
    ours one-process "$precision" 16
  done
  mine=$(median <"$work/two-processes.$precision")
  printf '%-6s %-34s %10s %18s %7s\n' type engine tokens/s lowest-highest ratio
  for engine in two-processes.$precision one-process.$precision ddp-two.$type; do
    [ -s "$work/$engine" ] || continue
    printf '%-6s %-34s %10.0f %18s %7.2f\n' "$type" "${engine%.*}" "$(median <"$work/$engine")" \
      "$(sort -g "$work/$engine" | awk 'NR == 1 {a = $1} {b = $1} END {printf "%.0f-%.0f", a, b}')" \
      "$(echo "$mine $(median <"$work/$engine")" | awk '{print $1 / $2}')"
  done
  echo "two-processes waits for the other process in $(median <"$work/two-processes.$precision.waiting") % of the time"
done
