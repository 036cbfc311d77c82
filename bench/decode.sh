#!/bin/sh
# Decoding side by side with llama.cpp: the same GGUF files, the same threads, in turns. Prints, for each model, the medians of the
# turns: tokens/s of one session, of several, and of the prompt, ours, llama.cpp's and the ratio; and our share of the read bandwidth.
#
#   NODE_LLAMA=DIR bench/decode.sh [MODEL.gguf]...    peers/llama_cpp_bench.mjs says how to fill DIR; without it there is no ratio
#   CONFIGS   without models: synthesised in these shapes, in Q4_0 ("pythia/160M pythia/410M pythia/1-4B")
#   TOKENIZER a tokenizer.json for those; llama.cpp opens no model without one
#   TURNS     (3)    THREADS (all cores)    SESSIONS (8)    PROMPT (512) tokens    NEW (64) tokens to write
# Java and its options are those of ./jneox, see there for JNEOX_JAVA_HOME and JNEOX_JAVA_OPTS.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
turns=${TURNS:-3}
threads=${THREADS:-$(nproc)}
sessions=${SESSIONS:-8}
prompt=${PROMPT:-512}
new=${NEW:-64}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT

if [ $# -eq 0 ]; then
  for config in ${CONFIGS:-pythia/160M pythia/410M pythia/1-4B}; do
    file=$work/$(basename "$config").gguf
    "$root/jneox" synth --config "$config" --dtype q4_0 --format gguf ${TOKENIZER:+--tokenizer "$TOKENIZER"} --out "$file" >&2
    set -- "$@" "$file"
  done
fi

# field FILE NAME: the number (or its median) under a name of a line of JSON.
field() {
  sed -n 's/.*"'"$2"'":{\{0,1\}\("median":\)\{0,1\}\([-0-9.eE]*\).*/\2/p' "$1"
}
median() { sort -g "$1" | awk '{v[NR] = $1} END {if (NR) printf "%.6g", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2; else printf "nan"}'; }
spread() { sort -g "$1" | awk '{v[NR] = $1} END {if (NR) printf "%.4g-%.4g", v[1], v[NR]; else printf "-"}'; }

# note MODEL ENGINE SESSIONS FILE
note() {
  field "$4" decode_tokens_per_second >>"$work/$1.$2.decode.$3"
  if [ "$3" = 1 ]; then
    field "$4" prompt_tokens_per_second >>"$work/$1.$2.prompt"
    for extra in share_of_limit resident_bytes read_bytes_per_second; do field "$4" $extra >>"$work/$1.$2.$extra"; done
  fi
  echo "$1 $2, $3 sessions: $(field "$4" decode_tokens_per_second) tokens/s, prompt $(field "$4" prompt_tokens_per_second)" >&2
}

printf '%-12s %-22s %12s %20s %12s %20s %7s\n' model "rate, tokens/s" jneox lowest-highest llama.cpp lowest-highest ratio
for file in "$@"; do
  model=$(basename "$file" .gguf)
  turn=0
  while [ $turn -lt "$turns" ]; do
    turn=$((turn + 1))
    for s in 1 "$sessions"; do
      p=$prompt
      [ "$s" = 1 ] || p=32
      "$root/jneox" bench decode --model "$file" --prompt "$p" --new "$new" --sessions "$s" --threads "$threads" --rounds 3 --warmup 2 \
        --json >"$work/turn" 2>/dev/null
      note "$model" jneox "$s" "$work/turn"
      if [ -n "${NODE_LLAMA:-}" ]; then
        node "$root/bench/peers/llama_cpp_bench.mjs" "$file" "$p" "$new" "$threads" "$s" 3 >"$work/turn"
        note "$model" llama "$s" "$work/turn"
      fi
    done
  done
  for rate in decode.1 "decode.$sessions" prompt; do
    ours=$work/$model.jneox.$rate
    peers=$work/$model.llama.$rate
    [ -e "$peers" ] || : >"$peers"
    case $rate in decode.*) name="decode, ${rate#*.} sessions" ;; *) name="prompt of $prompt" ;; esac
    printf '%-12s %-22s %12.4g %20s %12.4g %20s %7s\n' "$model" "$name" "$(median "$ours")" "$(spread "$ours")" \
      "$(median "$peers")" "$(spread "$peers")" \
      "$(echo "$(median "$ours") $(median "$peers")" | awk '{if ($2 > 0) printf "%.2f", $1 / $2; else print "-"}')"
  done
  printf '%-12s share of the read bandwidth, one session: %s\n' "$model" "$(median "$work/$model.jneox.share_of_limit")"
done
if [ -z "${NODE_LLAMA:-}" ]; then
  echo "decode.sh: LLAMA.CPP WAS NOT MEASURED (set NODE_LLAMA, see the head of this file)" >&2
  exit 3
fi
