#!/bin/sh
# Whether llama.cpp reads our GGUF files as we do: writes MODEL (a folder of HF transformers, or a GGUF file) as F32, F16, BF16,
# Q8_0 and Q4_0, continues a few prompts greedily with JNeoX and with llama.cpp on each file, and prints how many tokens are alike.
#
#   NODE_LLAMA=DIR bench/gguf.sh MODEL OUT       by node-llama-cpp, a recent llama.cpp (peers/llama_cpp.mjs says how to get it)
#   LLAMA_JAR=JAR bench/gguf.sh MODEL OUT        by java-llama.cpp, one of June 2025 (peers/LlamaCpp.java)
# Java and its options are those of ./jneox, see there for JNEOX_JAVA_HOME and JNEOX_JAVA_OPTS.
set -eu
[ $# -eq 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd -P)
line=$("$root/jneox" --show-command)
java=${line% -cp *}
jdk=$(dirname "$(printf '%s\n' "$java" | tr ' ' '\n' | sed -n '/\/bin\/java$/p')")
jar=$root/app/target/jneox.jar
classes=$root/bench/target/gguf
mkdir -p "$classes"
"$jdk/javac" -d "$classes" -cp "$jar" "$root/bench/src/main/java/dev/jneox/bench/GgufProof.java"

if [ -n "${NODE_LLAMA:-}" ]; then
  set -- "$@" node "$root/bench/peers/llama_cpp.mjs"
elif [ -n "${LLAMA_JAR:-}" ]; then
  set -- "$@" "$jdk/java" --enable-native-access=ALL-UNNAMED -cp "$LLAMA_JAR" "$root/bench/peers/LlamaCpp.java"
else
  echo "gguf.sh: LLAMA.CPP WAS NOT ASKED (set NODE_LLAMA or LLAMA_JAR, see the head of this file)" >&2
fi
eval "env $java" -cp "'$classes:$jar'" dev.jneox.bench.GgufProof '"$@"'
