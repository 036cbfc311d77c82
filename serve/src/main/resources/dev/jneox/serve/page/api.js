// The server's public API: models, counts of tokens, streamed completions.

const KEY = 'jneox.key';

/** An error that the server or the network gave, with the parameter it is about. */
export class ApiError extends Error {
  constructor(message, {status = 0, param = null} = {}) {
    super(message);
    this.status = status;
    this.param = param;
  }
}

let key = storedKey();

function storedKey() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Whether requests bring a key. */
export const hasKey = () => Boolean(key);

/** Has the following requests bring a key. */
export function setKey(given) {
  key = given;
  try {
    sessionStorage.setItem(KEY, given);
  } catch {
    // Kept for this page alone.
  }
}

/** Sends a request; with a body it is a POST. URLs are relative: a proxy may serve the page below a path. */
async function request(path, body, signal) {
  const headers = {};
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
  }
  if (key) {
    headers.Authorization = `Bearer ${key}`;
  }
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (e) {
    if (e.name === 'AbortError') {
      throw e;
    }
    throw new ApiError('The server does not answer. Does it still run?');
  }
  if (!response.ok) {
    throw await failure(response);
  }
  return response;
}

async function failure(response) {
  let error = null;
  try {
    error = (await response.json()).error;
  } catch {
    // Not of the server itself, but of a proxy before it.
  }
  return toError(error, response.status);
}

function toError(error, status) {
  const message = typeof error?.message === 'string' ? error.message : `The server answers with status ${status}.`;
  return new ApiError(message, {status, param: typeof error?.param === 'string' ? error.param : null});
}

/** Returns the models: their ids and the lengths of their contexts. */
export async function models() {
  const {data} = await (await request('v1/models')).json();
  return data.map(({id, max_model_len: context}) => ({id, context}));
}

/** Counts the tokens of a text. */
export async function countTokens(model, prompt, signal) {
  const {count} = await (await request('tokenize', {model, prompt}, signal)).json();
  return count;
}

/** Returns the likeliest tokens that may follow a text, as [text, log-probability]. */
export async function following(model, prompt, signal) {
  const response = await request('v1/completions', {model, prompt, max_tokens: 1, temperature: 0, logprobs: 5}, signal);
  const {choices: [choice]} = await response.json();
  return byProbability(choice.logprobs.top_logprobs[0]);
}

function byProbability(top) {
  return Object.entries(top ?? {}).sort((a, b) => b[1] - a[1]);
}

/**
 * Streams a completion. Yields {text, tokens, reason, usage}: the text that is certain by now, and the tokens drawn, each as
 * {text, logprob, top}; reason and usage come at the end.
 */
export async function* complete(body, signal) {
  const response = await request(
      'v1/completions', {...body, stream: true, logprobs: 5, stream_options: {include_usage: true}}, signal);
  for await (const data of events(response.body)) {
    if (data === '[DONE]') {
      return;
    }
    const chunk = JSON.parse(data);
    if (chunk.error) {
      throw toError(chunk.error, response.status);
    }
    const choice = chunk.choices[0];
    const lists = choice?.logprobs;
    yield {
      text: choice?.text ?? '',
      tokens: (lists?.tokens ?? []).map((text, i) => ({
        text,
        logprob: lists.token_logprobs[i],
        top: byProbability(lists.top_logprobs?.[i]),
      })),
      reason: choice?.finish_reason ?? null,
      usage: chunk.usage ?? null,
    };
  }
  throw new ApiError('The connection broke off before the end of the text.');
}

/** Yields the data of server-sent events. */
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      let read;
      try {
        read = await reader.read();
      } catch (e) {
        throw e.name === 'AbortError' ? e : new ApiError('The connection broke off before the end of the text.');
      }
      if (read.done) {
        return;
      }
      const parts = (rest + read.value).split('\n\n');
      rest = parts.pop();
      for (const part of parts) {
        const data = part.split('\n').filter(line => line.startsWith('data:')).map(line => line.slice(5).trimStart());
        if (data.length > 0) {
          yield data.join('\n');
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
