// llama.cpp on a GGUF file: the rates of reading a prompt and of decoding, as one line of JSON.
//
//   npm install --prefix DIR --ignore-scripts node-llama-cpp        (its package carries llama.cpp built for this machine)
//   NODE_LLAMA=DIR node bench/peers/llama_cpp_bench.mjs MODEL.gguf PROMPT NEW THREADS SESSIONS ROUNDS
//
// Prompts are pseudo-random ids, decoding is greedy and never stops early. The prompt's rate is that of one session; with several
// sessions every one of them decodes NEW tokens at the same time, and the decode rate counts the tokens of all.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";
import {resolve} from "node:path";
import {readFileSync} from "node:fs";

const [file, prompt, fresh, threads, sessions, rounds] = process.argv.slice(2).map((a, i) => (i === 0 ? a : Number(a)));
if (!rounds) {
  console.error("usage: llama_cpp_bench.mjs MODEL.gguf PROMPT NEW THREADS SESSIONS ROUNDS");
  process.exit(2);
}
let library;
try {
  const require = createRequire(pathToFileURL(resolve(process.env.NODE_LLAMA ?? ".", "index.js")));
  library = await import(pathToFileURL(require.resolve("node-llama-cpp")));
} catch (e) {
  console.error(`llama_cpp_bench.mjs: no node-llama-cpp in NODE_LLAMA=${process.env.NODE_LLAMA ?? "."}: ${e.message.split("\n")[0]}`);
  process.exit(3);
}
const llama = await library.getLlama({gpu: false, build: "never", maxThreads: threads, logLevel: "error"});
const model = await llama.loadModel({modelPath: resolve(file)});
const context = await model.createContext({
  contextSize: prompt + fresh + 8, sequences: sessions, batchSize: 512, threads: {ideal: threads, min: threads}, flashAttention: false,
});

let seed = 1234;
const ids = () => Array.from({length: prompt}, () => {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return 10 + (seed % 8000);
});
const median = (a) => [...a].sort((x, y) => x - y)[a.length >> 1];
const sequences = Array.from({length: sessions}, () => context.getSequence());

async function decode(sequence, first) {
  let done = 0;
  for await (const _ of sequence.evaluate([first], {temperature: 0, yieldEogToken: true})) {
    if (++done === fresh) break;
  }
}

const prompts = [];
const decodes = [];
for (let r = 0; r <= rounds; r++) {
  let start = performance.now();
  for (const [i, sequence] of sequences.entries()) {
    await sequence.clearHistory();
    if (i === 1) prompts.push(performance.now() - start);
    await sequence.evaluateWithoutGeneratingNewTokens(ids());
  }
  if (sessions === 1) prompts.push(performance.now() - start);
  start = performance.now();
  await Promise.all(sequences.map((sequence) => decode(sequence, 11)));
  decodes.push(performance.now() - start);
}
// The first round warms up.
const rates = (times, tokens) => times.slice(1).map((t) => (1000 * tokens) / t);
const prompted = rates(prompts, prompt);
const decoded = rates(decodes, fresh * sessions);
const status = readFileSync("/proc/self/status", "utf8");
console.log(JSON.stringify({
  engine: `llama.cpp ${llama.llamaCppRelease?.release ?? ""} (node-llama-cpp)`, model: file, prompt_tokens: prompt, new_tokens: fresh,
  threads, sessions, rounds,
  prompt_tokens_per_second: median(prompted), prompt_spread: [Math.min(...prompted), Math.max(...prompted)],
  decode_tokens_per_second: median(decoded), decode_spread: [Math.min(...decoded), Math.max(...decoded)],
  resident_bytes: 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)[1]),
}));
process.exit(0);
