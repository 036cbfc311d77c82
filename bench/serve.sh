#!/bin/sh
# Serving side by side with llama.cpp behind a thin Node server: the same GGUF file, the same clients, in turns. For each number of clients
# prints the medians of the turns, ours, llama.cpp's and the ratio: requests/s, tokens/s, time to the first token (ratio below 1 is
# quicker), CPU of server and load; and what the server costs beside its engine.
#
#   NODE_LLAMA=DIR bench/serve.sh [MODEL.gguf]    peers/llama_cpp_bench.mjs says how to fill DIR; without it there is no ratio
#   CONFIG      without a model: synthesised in this shape, in Q4_0, with TOKENIZER or one learned of the JDK's sources (pythia/160M)
#   CLIENTS     ("1 8 32") numbers of clients    TURNS (3)    WARM_UP (10) and MEASURED (20) seconds of each measurement
#   NEW         (64) tokens of an answer         WORDS (64) of a prompt, each a token or two
#   THREADS     (all cores) of our engine        LLAMA_THREADS (THREADS) of llama.cpp's    FLASH=1 its flash attention
#   SERVER_CPUS (all) and LOAD_CPUS (the last one) as taskset takes them
#   WORK        a folder to keep the lines of JSON of all measurements in
# Every server is started anew for each turn and takes all numbers of clients, one after the other. "engine" is our engine in the
# process of the load, without HTTP: its CPU per token beside the server's is what the server costs; so is the CPU of those threads of the
# server that are neither the engine's nor the JVM's own. Java and its options are those of ./jneox, see there for JNEOX_JAVA_HOME and
# JNEOX_JAVA_OPTS. Needs Linux's /proc and taskset; a few minutes: turns * clients * 3 * (WARM_UP + MEASURED) seconds.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
cores=$(nproc)
turns=${TURNS:-3}
threads=${THREADS:-$cores}
llama_threads=${LLAMA_THREADS:-$threads}
new=${NEW:-64}
words=${WORDS:-64}
context=$((2 * words + new + 32))
server_cpus=${SERVER_CPUS:-0-$((cores - 1))}
load_cpus=${LOAD_CPUS:-$((cores - 1))}
clients=${CLIENTS:-1 8 32}
work=$(mktemp -d)
results=${WORK:-$work}
mkdir -p "$results"
server=
stop() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || :
    wait "$server" 2>/dev/null || :
  fi
  server=
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

line=$("$root/jneox" --show-command)
java=${line% -cp *}
jdk=$(dirname "$(dirname "$(printf '%s\n' "$java" | tr ' ' '\n' | sed -n '/\/bin\/java$/p')")")
JAVA_HOME=$jdk mvn -B -q -f "$root/pom.xml" -pl bench -am -Dmaven.test.skip=true package >&2

if [ $# -gt 0 ]; then
  model=$1
else
  tokenizer=${TOKENIZER:-$work/tokenizer.json}
  if [ ! -f "$tokenizer" ]; then
    mkdir "$work/source"
    (cd "$work/source" && "$jdk/bin/jar" -xf "$jdk/lib/src.zip" java.base/java)
    find "$work/source" -name '*.java' -exec cat {} + >"$work/source.txt"
    # As large as the model's, so that every id has a text.
    "$root/jneox" tokenizer train --vocab-size 50254 --out "$tokenizer" "$work/source.txt" >&2
  fi
  model=$work/model.gguf
  "$root/jneox" synth --config "${CONFIG:-pythia/160M}" --dtype q4_0 --format gguf --tokenizer "$tokenizer" --out "$model" >&2
fi

# field FILE NAME: the number under a name of a line of JSON.
field() { sed -n 's/.*"'"$2"'":\([-0-9.eE]*\).*/\1/p' "$1"; }
median() { sort -g "$1" | awk '{v[NR] = $1} END {if (NR) printf "%.6g", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2; else printf "nan"}'; }

# await NAME: sets url to the address that a server prints.
await() {
  tries=0
  until url=$(sed -n 's/^ready.*: \(http:[^, ]*\).*$/\1/p' "$work/out") && [ -n "$url" ]; do
    kill -0 "$server" && [ $tries -lt 600 ] || { echo "serve.sh: $1 did not start" >&2; exit 1; }
    tries=$((tries + 1))
    sleep 0.1
  done
}

# load NAME TARGET CLIENTS [PID]
load() {
  cpus=$load_cpus
  [ "$1" != engine ] || cpus=$server_cpus
  eval "env taskset -c $cpus env $java" -Dthreads="$threads" -cp "'$root/bench/target/classes:$root/app/target/jneox.jar'" \
    dev.jneox.bench.CompletionLoad '"$2" "$3"' "${WARM_UP:-10} ${MEASURED:-20} $new $words" ${4:-} >"$work/line"
  cat "$work/line" >>"$results/$1.$3.json"
  for name in requests_per_second tokens_per_second first_token_ms_p50 first_token_ms_p95 between_tokens_ms_p50 cpu_seconds \
    cpu_ms_per_token load_cpu_seconds prompt_tokens reused_tokens tokens other jvm; do
    field "$work/line" $name >>"$work/$1.$3.$name"
  done
  echo "$1, $3 clients: $(field "$work/line" tokens_per_second) tokens/s, first token $(field "$work/line" first_token_ms_p50) ms" >&2
}

turn=0
while [ $turn -lt "$turns" ]; do
  turn=$((turn + 1))
  taskset -c "$server_cpus" "$root/jneox" serve --model "$model" --port 0 --sessions 32 --threads "$threads" >"$work/out" &
  server=$!
  await jneox
  for n in $clients; do load jneox "$url" "$n" "$server"; done
  stop
  if [ -n "${NODE_LLAMA:-}" ]; then
    taskset -c "$server_cpus" node "$root/bench/peers/llama_cpp_server.mjs" "$model" 0 "$llama_threads" 32 "$context" >"$work/out" &
    server=$!
    await llama.cpp
    for n in $clients; do load llama "$url" "$n" "$server"; done
    stop
  fi
  for n in $clients; do load engine "$model" "$n"; done
done

ratio() { awk -v a="$1" -v b="$2" 'BEGIN {if (b > 0) printf "%.2f", a / b; else printf "-"}'; }
printf '%-8s %-34s %10s %10s %7s\n' clients median jneox llama.cpp ratio
for n in $clients; do
  for name in requests_per_second tokens_per_second first_token_ms_p50 first_token_ms_p95 between_tokens_ms_p50 cpu_ms_per_token \
    cpu_seconds load_cpu_seconds; do
    ours=$(median "$work/jneox.$n.$name")
    peers=nan
    [ ! -f "$work/llama.$n.$name" ] || peers=$(median "$work/llama.$n.$name")
    printf '%-8s %-34s %10.4g %10.4g %7s\n' "$n" "$(echo $name | tr _ ' ')" "$ours" "$peers" "$(ratio "$ours" "$peers")"
  done
  with=$(median "$work/jneox.$n.cpu_ms_per_token")
  without=$(median "$work/engine.$n.cpu_ms_per_token")
  other=$(median "$work/jneox.$n.other")
  used=$(median "$work/jneox.$n.cpu_seconds")
  printf '%-8s the server beside its engine: %.3f ms of CPU a token, engine alone %.3f: %+.1f %%; its own threads %.1f %%; engine alone %.4g tokens/s\n' \
    "$n" "$with" "$without" "$(awk -v a="$with" -v b="$without" 'BEGIN {print 100 * (a / b - 1)}')" \
    "$(awk -v a="$other" -v b="$used" 'BEGIN {print 100 * a / b}')" "$(median "$work/engine.$n.tokens_per_second")"
done
if [ -z "${NODE_LLAMA:-}" ]; then
  echo "serve.sh: LLAMA.CPP WAS NOT MEASURED (set NODE_LLAMA, see the head of this file)" >&2
  exit 3
fi
