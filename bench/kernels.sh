#!/bin/sh
# The kernels of inference under JMH, against what this machine reads: GB/s of weights, the share of reading alone in the same run, and
# multiplications a second, for each format, shape and number of activation rows. Takes JMH's options.
#
#   bench/kernels.sh -t 2                                                        everything, about 5 minutes
#   bench/kernels.sh -t 1 -p format=read,q4 -p rows=1,2,4,8,16 -prof gc          one format, and what it allocates (nothing)
#   bench/kernels.sh -t 2 -p format=read,q4 -p shape=24576x6144 -p rows=1        20B's MLP
#   JNEOX_JAVA_OPTS=-Djneox.kernels=vector bench/kernels.sh -t 2                 other kernels than the default: vector or scalar
# Java and its options are those of ./jneox, see there for JNEOX_JAVA_HOME and JNEOX_JAVA_OPTS.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
line=$("$root/jneox" --show-command)
java=${line% -cp *}
jdk=$(dirname "$(dirname "$(printf '%s\n' "$java" | tr ' ' '\n' | sed -n '/\/bin\/java$/p')")")
# JMH makes classes of its benchmarks when they are compiled.
JAVA_HOME=$jdk mvn -B -q -f "$root/pom.xml" -pl bench -am -Dmaven.test.skip=true package \
  dependency:build-classpath -Dmdep.outputFile="$root/bench/target/classpath" -Dmdep.includeScope=runtime >&2
eval "env $java" -cp "'$root/bench/target/classes:$root/app/target/jneox.jar:$(cat "$root/bench/target/classpath")'" \
  dev.jneox.bench.KernelBench '"$@"'
