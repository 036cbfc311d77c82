// A text as a list of pieces. A piece is plain, {text}, or a token, {text, logprob, top, chosen}: top is a list of
// [text, log-probability] or null where it is not known, chosen says that a person took it. Lists are never changed in place.

export const toText = pieces => pieces.map(piece => piece.text).join('');

export const isToken = piece => piece.logprob !== undefined;

/** Returns the pieces of an edited text: tokens before the first change stay, what follows is plain. */
export function edited(pieces, text) {
  const kept = [];
  let at = 0;
  for (const piece of pieces) {
    if (!text.startsWith(piece.text, at)) {
      break;
    }
    kept.push(piece);
    at += piece.text.length;
  }
  return at < text.length ? [...kept, {text: text.slice(at)}] : kept;
}

/** The step of the scale, 0 to 4, of a log-probability. */
export function level(logprob) {
  const bounds = [0.5, 0.2, 0.05, 0.01];
  const step = bounds.findIndex(bound => Math.exp(logprob) >= bound);
  return step < 0 ? bounds.length : step;
}

/** Writes a probability for people. */
export function percent(logprob) {
  const value = 100 * Math.exp(logprob);
  if (value < 0.01) {
    return '< 0.01 %';
  }
  return `${value < 1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : Math.min(value, 100).toFixed(0)} %`;
}

const PART = /^(?:token_id:\d+|bytes:(?:\\x[0-9a-f]{2})+)$/;

/** Whether a token is no text by itself, but a part of a character. */
export const isPart = text => PART.test(text);

/** Names a part by its bytes, or by its id. */
function part(text) {
  const [kind, what] = text.split(':');
  return kind === 'bytes' ? `bytes ${what.replaceAll('\\x', ' ').trim()}` : `id ${what}`;
}

/** Shows what is not seen: spaces and line breaks. */
export function visible(text) {
  if (isPart(text)) {
    return `⟨part, ${part(text)}⟩`;
  }
  const shown = text.replaceAll('\n', '↵').replaceAll('\t', '⇥').replaceAll('\r', '␍').replace(/^ +| +$/g, spaces => '␣'.repeat(spaces.length));
  return shown === '' ? '(nothing)' : shown;
}

/** Says a token aloud. */
export function spoken(text) {
  if (isPart(text)) {
    return `part of a character, ${part(text)}`;
  }
  const words = text.replaceAll('\n', ' line break ').replaceAll('\t', ' tab ').trim();
  return words === '' ? 'space' : words;
}

/**
 * Lays streamed text on the tokens that made it. A token that is part of a character shares a piece with those of the rest; text that
 * may begin a stop string is held back by the server, and its tokens wait here.
 */
export class Aligner {
  #text = '';
  #tokens = [];

  /** Takes what came and returns the pieces that are whole. */
  add(text, tokens) {
    this.#text += text;
    this.#tokens.push(...tokens);
    const pieces = [];
    while (this.#tokens.length > 0 && this.#text !== '') {
      const [token] = this.#tokens;
      if (this.#text.startsWith(token.text)) {
        pieces.push({...token, chosen: false});
        this.#text = this.#text.slice(token.text.length);
        this.#tokens.shift();
      } else if (token.text.startsWith(this.#text)) {
        break; // the rest of it is held back
      } else {
        pieces.push(this.#joined());
      }
    }
    return pieces;
  }

  /**
   * One piece of the tokens up to the next that is seen in the text, or of all: its probability is that of its tokens together, its
   * choices those of the first.
   */
  #joined() {
    let count = 1;
    while (count < this.#tokens.length && isPart(this.#tokens[count].text)) {
      count++;
    }
    let end = count < this.#tokens.length ? this.#text.indexOf(this.#tokens[count].text) : -1;
    if (end <= 0) {
      count = this.#tokens.length;
      end = this.#text.length;
    }
    const tokens = this.#tokens.splice(0, count);
    const text = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return {text, logprob: tokens.reduce((sum, token) => sum + token.logprob, 0), top: tokens[0].top, chosen: false};
  }

  /** Returns what is left at the end. */
  end() {
    if (this.#text === '') {
      return [];
    }
    return [this.#tokens.length > 0 ? this.#joined() : {text: this.#text}];
  }
}
