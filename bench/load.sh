#!/bin/sh
# A server under load: clients that send requests at once, whole and streamed, and among them some that leave, are killed, read slowly
# or send garbage. Every finished answer is compared with the one that the server gave to that request alone. Prints one line; fails when
# an answer is lost or wrong, or the server has grown. The server's log goes to stderr.
#
#   bench/load.sh [--minutes N] [--clients N] [MODEL] [OPTION OF jneox serve]...
#   MODEL   without it one is synthesised: Pythia-14M's shape, and a tokenizer of the README
# The server is ./jneox, see there for JNEOX_JAVA_HOME and JNEOX_JAVA_OPTS. Needs Linux's /proc.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
minutes=10
clients=32
while [ $# -gt 0 ]; do
  case $1 in
    --minutes) minutes=$2 && shift 2 ;;
    --clients) clients=$2 && shift 2 ;;
    *) break ;;
  esac
done
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 130' INT
if [ $# -gt 0 ]; then
  model=$1
  shift
else
  model=$work/model
  "$root/jneox" tokenizer train --vocab-size 1000 --out "$work/tokenizer.json" "$root/README.md" >&2
  "$root/jneox" synth --config pythia/14M --format hf --tokenizer "$work/tokenizer.json" --out "$model" >&2
fi
line=$("$root/jneox" --show-command)
java=${line% -cp *}
jdk=$(dirname "$(dirname "$(printf '%s\n' "$java" | tr ' ' '\n' | sed -n '/\/bin\/java$/p')")")
JAVA_HOME=$jdk mvn -B -q -f "$root/pom.xml" -pl bench -am -Dmaven.test.skip=true package >&2
# A heap of a fixed size and few pages of keys and values, so that both are full before the first measurement: what grows then is a leak.
export JNEOX_JAVA_OPTS="${JNEOX_JAVA_OPTS:--Xms1g -Xmx1g -XX:+AlwaysPreTouch}"
"$root/jneox" serve --model "tiny=$model" --port 0 --sessions 16 --queue 8 --kv-memory 64MB "$@" >"$work/out" &
server=$!
tries=0
until url=$(sed -n 's|^ready.*: \(http:[^, ]*\).*$|\1|p' "$work/out") && [ -n "$url" ]; do
  kill -0 "$server" && [ $tries -lt 600 ] || exit 1
  tries=$((tries + 1))
  sleep 0.1
done
eval "env $java" -cp "'$root/bench/target/classes:$root/app/target/jneox.jar'" dev.jneox.bench.LoadRun \
  '"$url"' '"$server"' '"$minutes"' '"$clients"'
