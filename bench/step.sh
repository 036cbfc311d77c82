#!/bin/sh
# The training step side by side with PyTorch + HF transformers: same shapes, same machine, in turns. Prints, for each shape, the
# median tokens/s of each engine, the lowest and highest median of a turn, how many times faster JNeoX in bf16 is, and its share of
# the rate of bf16 matrix products (2048 cubed, libtorch, as this CPU multiplies them, measured in the same turns).
#
#   bench/step.sh                                     everything, about 25 minutes on 2 cores
#   SHAPES=6x256 PEERS=bf16-eager bench/step.sh       one shape, one peer
#   ROUNDS   turns (3)
#   SHAPES   of 6x256 pythia-70m
#   PEERS    of bf16-eager bf16-compile f32-eager f32-compile
#   PYTHON   with torch and transformers (python3); without them the peers are skipped and no ratio is printed
# Java and its options are those of ./jneox, see there for JNEOX_JAVA_HOME and JNEOX_JAVA_OPTS.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
python=${PYTHON:-python3}
rounds=${ROUNDS:-3}
peers=${PEERS-bf16-eager bf16-compile f32-eager f32-compile}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT

# `jneox --show-command` builds what is out of date and prints the java line; ours starts another class with one more folder of classes.
line=$("$root/jneox" --show-command)
java=${line% -cp *}
jdk=$(dirname "$(printf '%s\n' "$java" | tr ' ' '\n' | sed -n '/\/bin\/java$/p')")
jar=$root/app/target/jneox.jar
classes=$root/bench/target/step
mkdir -p "$classes"
"$jdk/javac" -d "$classes" -cp "$jar" "$root/bench/src/main/java/dev/jneox/bench/StepBench.java"

shape() {
  case $1 in
    6x256) echo 6 256 4 8192 16 256 ;;
    pythia-70m) echo 6 512 8 50304 4 512 ;;
    *) echo "step.sh: no shape $1: 6x256 or pythia-70m" >&2; exit 2 ;;
  esac
}

# ours SHAPE TYPE: appends this turn's median of tokens/s (and GFLOP/s, and the rate of products) to a file.
ours() {
  # shellcheck disable=SC2046 # numbers are words
  eval "$java" -cp "'$classes:$jar'" dev.jneox.bench.StepBench $(shape "$1") "$2" 24 2>/dev/null >"$results/turn"
  record "$1" "jneox-$2" 12
  awk '/^bf16 products/ {print $3}' "$results/turn" >>"$results/$1.products"
}

# peer SHAPE TYPE-MODE
peer() {
  status=0
  # shellcheck disable=SC2046
  "$python" "$root/bench/peers/step.py" $(shape "$1") "${2%-*}" "${2#*-}" 9 >"$results/turn" 2>"$results/errors" || status=$?
  if [ $status -ne 0 ]; then
    tail -n 3 "$results/errors" >&2
    echo "step.sh: PEER $2 WAS NOT MEASURED (set PYTHON to a Python with torch and transformers)" >&2
    touch "$results/skipped"
    return
  fi
  record "$1" "torch-$2" 4
}

# record SHAPE ENGINE WARMUP: the median of the rounds after the first ones.
record() {
  awk '/tokens\/s/ {print $1}' "$results/turn" | tail -n "+$(($3 + 1))" | sort -n \
    | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}' >>"$results/$1.$2"
  awk '/GFLOP\/s loss/ {f = $3 / $1} END {if (f) print f}' "$results/turn" >"$results/flops"
  if [ -s "$results/flops" ]; then cp "$results/flops" "$results/$1.flops"; fi
  echo "$1 $2: $(tail -n 1 "$results/$1.$2") tokens/s" >&2
}

median() { sort -n "$1" | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

for shape in ${SHAPES:-6x256 pythia-70m}; do
  shape "$shape" >/dev/null
  round=0
  while [ $round -lt "$rounds" ]; do
    round=$((round + 1))
    echo "-- $shape, turn $round of $rounds" >&2
    ours "$shape" bf16
    for p in $peers; do peer "$shape" "$p"; done
    ours "$shape" f32
  done
  mine=$(median "$results/$shape.jneox-bf16")
  printf '\n%-12s %-20s %10s %16s %8s\n' shape engine tokens/s lowest-highest ratio
  for engine in jneox-bf16 jneox-f32 torch-bf16-eager torch-bf16-compile torch-f32-eager torch-f32-compile; do
    file=$results/$shape.$engine
    [ -s "$file" ] || continue
    printf '%-12s %-20s %10.0f %16s %8.2f\n' "$shape" "$engine" "$(median "$file")" \
      "$(sort -n "$file" | head -n 1)-$(sort -n "$file" | tail -n 1)" "$(echo "$mine $(median "$file")" | awk '{print $1 / $2}')"
    case $engine in torch*) median "$file" >>"$results/$shape.best" ;; esac
  done
  echo "$mine $(cat "$results/$shape.flops") $(median "$results/$shape.products")" \
    | awk '{printf "jneox-bf16: %.0f GFLOP/s of %.0f that bf16 products reach: %.0f %%\n", $1 * $2, $3, 100 * $1 * $2 / $3}'
  if [ -s "$results/$shape.best" ]; then
    echo "$mine $(sort -n "$results/$shape.best" | tail -n 1)" | awk '{printf "%.2f times the best of the peers measured\n", $1 / $2}'
  fi
done
if [ -e "$results/skipped" ]; then
  echo "step.sh: SOME PEERS WERE NOT MEASURED, see above" >&2
  exit 3
fi
