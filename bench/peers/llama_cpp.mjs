// llama.cpp by node-llama-cpp continues texts greedily, token by token: the peer of dev.jneox.bench.GgufProof.
//
//     node llama_cpp.mjs MODEL.gguf TOKENS <prompts
//
// Reads JSON lines {"prompt": text, "ids": [ids of the prompt]} and answers each with {"prompt_ids": [the prompt as llama.cpp
// tokenises it], "ids": [the continuation of the ids], "probabilities": [of each of them], "tokens_per_second"}.
// Needs Node 20 and a folder of packages; the libraries are prebuilt, nothing is compiled and no model is fetched:
//     mkdir DIR && cd DIR && npm init -y
//     npm install --ignore-scripts --omit=optional node-llama-cpp @node-llama-cpp/linux-x64
// and NODE_LLAMA=DIR in the environment. THREADS (1) is how many llama.cpp uses; on a busy machine they wait for each other by
// spinning, and two are many times slower than one. Exits with 3 when the packages are missing.
import {createRequire} from "node:module";
import {createInterface} from "node:readline";
import {pathToFileURL} from "node:url";
import path from "node:path";

let api;
try {
  const require = createRequire(path.resolve(process.env.NODE_LLAMA ?? ".", "package.json"));
  api = await import(pathToFileURL(require.resolve("node-llama-cpp")));
} catch (e) {
  console.error(`SKIPPED, NOT MEASURED: ${e.message.split("\n")[0]}; see the head of this file`);
  process.exit(3);
}
const [file, tokens] = process.argv.slice(2);
const llama = await api.getLlama({gpu: false, build: "never", skipDownload: true, logLevel: "error"});
const model = await llama.loadModel({modelPath: file});
const context = await model.createContext({
  contextSize: model.trainContextSize,
  sequences: 1,
  threads: Number(process.env.THREADS ?? 1),
});
const sequence = context.getSequence();
for await (const line of createInterface({input: process.stdin})) {
  const {prompt, ids} = JSON.parse(line);
  const answer = {prompt_ids: prompt === undefined ? undefined : [...model.tokenize(prompt)], ids: [], probabilities: []};
  await sequence.clearHistory();
  const run = sequence.evaluateWithMetadata(ids, {confidence: true}, {temperature: 0, yieldEogToken: true});
  const start = performance.now();
  for await (const {token, confidence} of run) {
    answer.ids.push(token);
    answer.probabilities.push(confidence);
    if (answer.ids.length >= Number(tokens) || model.isEogToken(token)) break;
  }
  answer.tokens_per_second = answer.ids.length / (performance.now() - start) * 1000;
  console.log(JSON.stringify(answer));
}
process.exit(0);
