// The state of the page as text: in full for this browser's storage, without alternatives for links.

const MOST_CHARACTERS = 4_000_000;

/** Writes pieces as JSON: a string is plain text, a list is a token. */
export function pack({pieces, settings}, whole) {
  const round = x => Math.round(x * 1000) / 1000;
  return {
    v: 1,
    text: pieces.map(({text, logprob, top, chosen}) =>
        logprob === undefined ? text
        : whole && top ? [text, round(logprob), chosen ? 1 : 0, top.map(([t, l]) => [t, round(l)])]
        : [text, round(logprob), chosen ? 1 : 0]),
    settings,
  };
}

/** Reads what pack wrote. What is in a link was written by anyone: each value is checked. */
export function unpack(value) {
  if (value?.v !== 1 || !Array.isArray(value.text)) {
    throw new Error('it was made by another version of the page');
  }
  const text = t => {
    if (typeof t !== 'string') {
      throw new Error('a text in it is not a text');
    }
    return t;
  };
  const number = x => {
    if (typeof x !== 'number' || !(x <= 0)) {
      throw new Error('a log-probability in it is not a number up to 0');
    }
    return x;
  };
  const pieces = value.text.map(item => Array.isArray(item)
      ? {
          text: text(item[0]),
          logprob: number(item[1]),
          chosen: item[2] === 1,
          top: Array.isArray(item[3]) ? item[3].map(([t, l]) => [text(t), number(l)]) : null,
        }
      : {text: text(item)});
  const settings = {};
  for (const [name, setting] of Object.entries(value.settings ?? {})) {
    settings[name] = text(setting);
  }
  return {pieces, settings};
}

/** Writes a state as the fragment of a URL, compressed where that is shorter. */
export async function toFragment(state) {
  const bytes = new TextEncoder().encode(JSON.stringify(pack(state, false)));
  const plain = `j=${base64(bytes)}`;
  if (typeof CompressionStream === 'undefined') {
    return plain;
  }
  const packed = `z=${base64(await through(bytes, new CompressionStream('deflate-raw'), Infinity))}`;
  return packed.length < plain.length ? packed : plain;
}

/** Reads a fragment; null where it holds no state. */
export async function fromFragment(fragment) {
  const match = /^#?([jz])=([A-Za-z0-9_-]+)$/.exec(fragment);
  if (!match) {
    return null;
  }
  let bytes = Uint8Array.from(atob(match[2].replaceAll('-', '+').replaceAll('_', '/')), c => c.charCodeAt(0));
  if (match[1] === 'z') {
    bytes = await through(bytes, new DecompressionStream('deflate-raw'), MOST_CHARACTERS);
  }
  return unpack(JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(bytes)));
}

async function through(bytes, transform, most) {
  const parts = [];
  let size = 0;
  for await (const part of read(new Blob([bytes]).stream().pipeThrough(transform))) {
    size += part.length;
    if (size > most) {
      throw new Error('the text in it is too long');
    }
    parts.push(part);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function* read(stream) {
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    yield part.value;
  }
}

function base64(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
