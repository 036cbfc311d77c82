// llama.cpp by node-llama-cpp behind the thinnest HTTP server that Node allows: the peer of `jneox serve` in bench/serve.sh.
//
//   NODE_LLAMA=DIR node bench/peers/llama_cpp_server.mjs MODEL.gguf PORT THREADS SEQUENCES CONTEXT
//
// peers/llama_cpp_bench.mjs says how to fill DIR. Answers POST /v1/completions with "prompt" and "max_tokens": greedy, past any end of text,
// streamed as server-sent events in OpenAI's form, one for each token, and the usage after them. Batches continuously: one context with
// SEQUENCES sequences of CONTEXT tokens each; further requests wait for a free one. Keeps no prompt. A client that leaves is not noticed.
// FLASH=1 turns flash attention on. Prints "ready: http://127.0.0.1:PORT" when it listens.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";
import {resolve} from "node:path";
import {createServer} from "node:http";

const [file, port, threads, sequences, contextSize] = process.argv.slice(2).map((a, i) => (i === 0 ? a : Number(a)));
if (!contextSize) {
  console.error("usage: llama_cpp_server.mjs MODEL.gguf PORT THREADS SEQUENCES CONTEXT");
  process.exit(2);
}
let library;
try {
  const require = createRequire(pathToFileURL(resolve(process.env.NODE_LLAMA ?? ".", "index.js")));
  library = await import(pathToFileURL(require.resolve("node-llama-cpp")));
} catch (e) {
  console.error(`llama_cpp_server.mjs: no node-llama-cpp in NODE_LLAMA=${process.env.NODE_LLAMA ?? "."}: ${e.message.split("\n")[0]}`);
  process.exit(3);
}
const llama = await library.getLlama({gpu: false, build: "never", skipDownload: true, maxThreads: threads, logLevel: "error"});
const model = await llama.loadModel({modelPath: resolve(file)});
const context = await model.createContext({
  contextSize, sequences, batchSize: 512, threads: {ideal: threads, min: threads}, flashAttention: process.env.FLASH === "1",
});
const free = Array.from({length: sequences}, () => context.getSequence());
const waiting = [];

const take = () => (free.length > 0 ? Promise.resolve(free.pop()) : new Promise((next) => waiting.push(next)));
const giveBack = (sequence) => (waiting.length > 0 ? waiting.shift()(sequence) : free.push(sequence));

async function complete(body, response) {
  const ids = model.tokenize(body.prompt);
  const sequence = await take();
  let count = 0;
  try {
    await sequence.clearHistory();
    response.writeHead(200, {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"});
    for await (const token of sequence.evaluate(ids, {temperature: 0, yieldEogToken: true})) {
      // A special token has no text; a space stands for it, so that clients see each token.
      const text = model.detokenize([token]) || " ";
      count++;
      response.write(`data: ${JSON.stringify({choices: [{index: 0, text, finish_reason: null}]})}\n\n`);
      if (count === body.max_tokens) break;
    }
  } finally {
    giveBack(sequence);
  }
  const usage = {prompt_tokens: ids.length, completion_tokens: count, total_tokens: ids.length + count};
  response.end(`data: ${JSON.stringify({choices: [], usage})}\n\ndata: [DONE]\n\n`);
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () =>
    complete(JSON.parse(Buffer.concat(chunks)), response).catch((e) => {
      console.error(e);
      response.destroy();
    }));
});
server.keepAliveTimeout = 60_000;
server.listen(port, "127.0.0.1", () => console.log(`ready: http://127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => process.exit(0));
