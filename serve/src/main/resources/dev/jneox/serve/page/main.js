// The page: shows the text, asks the server to continue it, and keeps its state in this browser. What comes from the model or from a
// link is put into text nodes and attributes alone, never read as HTML.

import {ApiError, complete, countTokens, following, hasKey, models, setKey} from './api.js';
import {GALLERY} from './gallery.js';
import {fromFragment, pack, toFragment, unpack} from './share.js';
import {Aligner, edited, isPart, isToken, level, percent, spoken, toText, visible} from './text.js';

const $ = id => document.getElementById(id);
const KEPT = 'jneox.state';
const MOST_UNDO = 50;
const DEFAULTS = {
  model: '', max_tokens: '120', temperature: '0.8', top_p: '0.95', top_k: '0', min_p: '0', repetition_penalty: '1', seed: '', font: 'book',
  stop_strings: '', tint: 'on',
};
const NUMBERS = ['max_tokens', 'temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty', 'seed'];
const CHOOSABLE = 'button:not([aria-disabled="true"])';
/** Fields of this page by the parameter that an error names. */
const FIELD = {stop: 'stop_strings', prompt: 'editor'};

let pieces = [];
/** The number of pieces before those that were written last; null where nothing can be written anew. */
let runStart = null;
let past = [];
/** What runs now: {controller, ended}; null where nothing does. */
let run = null;
/** Tokens that each model reads and writes in all. */
let contexts = new Map();
/** The model to choose once the server has named its models. */
let wantedModel = '';

// ---- elements

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children); // strings become text nodes
  return made;
}

function enable(button, on) {
  // Not disabled: a button that is pressed keeps the focus.
  button.setAttribute('aria-disabled', String(!on));
}

function onPress(id, action) {
  $(id).addEventListener('click', () => {
    if ($(id).getAttribute('aria-disabled') !== 'true') {
      action();
    }
  });
}

// ---- settings

function setting(name) {
  return name === 'tint' ? ($('tint').checked ? 'on' : 'off') : name === 'model' ? $('model').value || wantedModel : $(name).value;
}

function settings() {
  return Object.fromEntries(Object.keys(DEFAULTS).map(name => [name, setting(name)]));
}

function setSettings(values) {
  for (const name of Object.keys(DEFAULTS)) {
    const value = values[name] ?? DEFAULTS[name];
    if (name === 'tint') {
      $('tint').checked = value !== 'off';
    } else if ($(name).tagName !== 'SELECT' || [...$(name).options].some(option => option.value === value)) {
      $(name).value = value;
    }
  }
  wantedModel = values.model ?? '';
  showSettings();
}

function showSettings() {
  $('sheet').classList.toggle('untinted', !$('tint').checked);
  $('sheet').classList.toggle('code', $('font').value === 'code');
}

/** Reads the stop strings, one a line, with \n, \t and \\. */
function stopStrings() {
  return $('stop_strings').value.split('\n').filter(line => line !== '').map(line =>
      line.replace(/\\(.)/g, (_, c) => ({n: '\n', t: '\t', '\\': '\\'})[c] ?? `\\${c}`));
}

function parameters() {
  const body = {model: $('model').value};
  for (const name of NUMBERS) {
    if ($(name).validity.badInput) {
      throw new ApiError('expected a number', {param: name});
    }
    if ($(name).value !== '') {
      body[name] = Number($(name).value);
    }
  }
  const stop = stopStrings();
  return stop.length > 0 ? {...body, stop} : body;
}

// ---- errors and status

function showError(error) {
  console.assert(error instanceof Error);
  if (error.status === 401) {
    askForKey();
    return;
  }
  const field = $(FIELD[error.param] ?? error.param ?? '');
  const label = field?.labels?.[0]?.textContent.trim();
  $('error').textContent = label && !error.message.includes(error.param) ? `${label}: ${error.message}` : error.message;
  $('error').hidden = false;
  if (field?.closest('#settings')) {
    $('settings').open = true;
    field.setAttribute('aria-invalid', 'true');
  }
  $('status').textContent = 'Stopped by an error.';
}

/** Says that the server asks for a key, and asks the person for one. */
function askForKey() {
  $('error').textContent = hasKey() ? 'This server does not take the key that was given.' : 'This server asks for a key.';
  $('error').hidden = false;
  $('status').textContent = 'Waits for a key.';
  $('key-button').hidden = false;
  if (!$('key-dialog').open) {
    $('key-dialog').showModal();
  }
}

function clearError() {
  $('error').hidden = true;
  $('error').textContent = '';
  document.querySelectorAll('[aria-invalid]').forEach(field => field.removeAttribute('aria-invalid'));
}

function showContext(used) {
  const most = contexts.get($('model').value);
  if (used === null || !most) {
    $('context-text').textContent = '–';
    $('context').value = 0;
    return;
  }
  $('context').max = most;
  $('context').high = 0.9 * most;
  $('context').value = used;
  $('context-text').textContent = `${used} of ${most} tokens`;
}

let counting = null;

/** Counts the tokens of the text a moment after its last change. */
function countSoon() {
  clearTimeout(counting);
  counting = setTimeout(async () => {
    const text = currentText();
    if (run || contexts.size === 0) {
      return;
    }
    try {
      const used = text === '' ? 0 : await countTokens($('model').value, text);
      if (!run && text === currentText()) {
        showContext(used);
      }
    } catch {
      showContext(null); // the next request to write says what is wrong
    }
  }, 400);
}

// ---- the text

const editing = () => !$('editor').hidden;

const currentText = () => editing() ? $('editor').value : toText(pieces);

/** Keeps the text for undo, and settings where these change with it. */
function remember(values = null) {
  past = [...past, {pieces, runStart, values}].slice(-MOST_UNDO);
}

/** Takes what was typed; tokens before the first change keep their probabilities. */
function takeEdited() {
  if (!editing() || $('editor').value === toText(pieces)) {
    return;
  }
  remember();
  pieces = edited(pieces, $('editor').value);
  runStart = null;
}

function tokenElement(piece, index) {
  const shown = element('span', {
    class: `token p${level(piece.logprob)}${piece.chosen ? ' chosen' : ''}`,
    role: 'button', tabindex: '-1', 'aria-haspopup': 'dialog',
    'aria-label': `${spoken(piece.text)}, ${percent(piece.logprob)}${piece.chosen ? ', chosen by you' : ''}`,
  }, piece.text);
  shown.dataset.index = index;
  return shown;
}

function pieceElement(piece, index) {
  return isToken(piece) ? tokenElement(piece, index) : element('span', {class: 'plain'}, piece.text);
}

/** Shows the text: for reading where it has tokens or is being written, else for editing. */
function show() {
  closeChoices();
  const reads = run !== null || pieces.some(isToken);
  $('editor').hidden = reads;
  $('reading').hidden = !reads;
  $('edit').hidden = !reads;
  if (reads) {
    $('reading').replaceChildren(...pieces.map(pieceElement));
    giveTabStop($('reading').querySelector('.token'));
  } else {
    $('reading').replaceChildren();
    $('editor').value = toText(pieces);
    fit();
  }
  showButtons();
  keepSoon();
}

function showButtons() {
  enable($('write'), run === null);
  enable($('stop'), run !== null);
  enable($('again'), run === null && runStart !== null);
  enable($('undo'), run === null && past.length > 0);
  enable($('edit'), run === null);
  $('reading').setAttribute('aria-busy', String(run !== null));
  $('reading').classList.toggle('running', run !== null);
}

/** Makes the editor as tall as its text where CSS cannot. */
function fit() {
  if (!CSS.supports('field-sizing', 'content')) {
    $('editor').style.height = 'auto';
    $('editor').style.height = `${$('editor').scrollHeight}px`;
  }
}

function edit(at = toText(pieces).length) {
  if (run) {
    return;
  }
  closeChoices();
  $('editor').value = toText(pieces);
  $('editor').hidden = false;
  $('reading').hidden = true;
  $('edit').hidden = true;
  fit();
  $('editor').focus();
  $('editor').setSelectionRange(at, at);
}

/** The place in the text at a point of the screen. */
function placeAt(x, y) {
  const caret = document.caretPositionFromPoint?.(x, y);
  const span = caret?.offsetNode?.parentElement;
  const index = span ? [...$('reading').children].indexOf(span) : -1;
  return index < 0 ? undefined : toText(pieces.slice(0, index)).length + caret.offset;
}

// ---- writing

/** Stops what runs and waits until it has ended. */
async function stop() {
  if (run) {
    run.controller.abort();
    await run.ended;
  }
}

/** Has the model continue the text. */
async function write() {
  if (run) {
    return;
  }
  takeEdited();
  const controller = new AbortController();
  let ended;
  run = {controller, ended: new Promise(resolve => {
    ended = resolve;
  })};
  clearError();
  clearTimeout(counting);
  remember();
  const before = pieces;
  runStart = pieces.length;
  const typing = document.activeElement === $('editor');
  show();
  if (typing) {
    $('reading').focus(); // the editor is hidden now: Tab goes on from here
  }
  $('status').textContent = 'Reading …';
  $('speed').textContent = '–';
  $('first').textContent = '–';
  let failed = null;
  let outcome = '';
  try {
    outcome = await stream(controller.signal);
  } catch (e) {
    if (e.name === 'AbortError') {
      outcome = `Stopped after ${tokens(pieces.length - before.length)}.`;
    } else {
      failed = e;
    }
  }
  speak('', true);
  run = null;
  if (pieces.length === before.length) { // nothing to undo or to write anew
    ({pieces, runStart} = past.at(-1));
    past = past.slice(0, -1);
  }
  const focused = document.activeElement;
  show();
  if (focused === $('reading') && editing()) {
    $('editor').focus();
  } else if (focused?.dataset?.index !== undefined) {
    tokenAt(focused.dataset.index)?.focus();
  }
  $('status').textContent = outcome;
  if (failed) {
    showError(failed);
  } else {
    countSoon();
  }
  ended();
}

const tokens = n => n === 1 ? '1 token' : `${n} tokens`;

async function stream(signal) {
  if (contexts.size === 0) {
    await loadModels();
  }
  const body = parameters();
  const prompt = toText(pieces);
  const most = contexts.get(body.model);
  const used = prompt === '' ? 1 : await countTokens(body.model, prompt, signal);
  if (used >= most) {
    throw new ApiError(`the text has ${used} tokens, and the model reads and writes ${most} in all: delete some of it`, {param: 'prompt'});
  }
  showContext(used);
  const short = body.max_tokens > most - used;
  if (short) {
    body.max_tokens = most - used;
  }
  const start = performance.now();
  let first = null;
  let count = 0;
  let reason = null;
  const aligner = new Aligner();
  const add = fresh => {
    const stick = $('sheet').scrollHeight - $('sheet').scrollTop - $('sheet').clientHeight < 40;
    for (const piece of fresh) {
      pieces = [...pieces, piece];
      $('reading').append(pieceElement(piece, pieces.length - 1));
      speak(piece.text);
    }
    if (!$('reading').querySelector('[tabindex="0"]')) {
      giveTabStop($('reading').querySelector('.token'));
    }
    if (stick) {
      $('sheet').scrollTop = $('sheet').scrollHeight;
    }
  };
  $('status').textContent = 'Writing …';
  for await (const chunk of complete({...body, prompt}, signal)) {
    if (chunk.tokens.length > 0) {
      const now = performance.now();
      if (first === null) {
        first = now;
        $('first').textContent = `${((now - start) / 1000).toFixed(2)} s`;
      }
      count += chunk.tokens.length;
      if (count > 1 && now > first) {
        $('speed').textContent = `${((count - 1) / (now - first) * 1000).toFixed(1)} tokens/s`;
      }
    }
    add(aligner.add(chunk.text, chunk.tokens));
    reason = chunk.reason ?? reason;
    showContext(chunk.usage ? chunk.usage.total_tokens : used + count);
  }
  add(aligner.end());
  return `Wrote ${tokens(count)}. ` + (reason === 'stop' ? 'The model ended the text, or a stop string came.'
      : short ? 'The context is full.' : 'Max tokens are reached; Write goes on.');
}

/** Regenerate: takes back what was written last and writes it anew. */
async function writeAnew() {
  takeEdited();
  if (run || runStart === null) {
    return;
  }
  remember();
  pieces = pieces.slice(0, runStart);
  if ($('seed').value !== '' && !$('seed').validity.badInput) {
    $('seed').value = String(Number($('seed').value) + 1); // the same seed would write the same
  }
  await writeFrom();
}

/** Writes behind a change that has its own entry of undo. */
async function writeFrom() {
  const undo = past;
  const length = pieces.length;
  await write();
  if (pieces.length > length) {
    past = undo;
    showButtons();
  }
}

async function choose(index, [text, logprob]) {
  await stop();
  const old = pieces[index];
  remember();
  const same = text === old.text;
  pieces = [...pieces.slice(0, index), {text, logprob, top: old.top, chosen: old.chosen || !same}];
  const writing = writeFrom();
  tokenAt(index)?.focus();
  closeChoices();
  await writing;
}

function undo() {
  if (run || past.length === 0) {
    return;
  }
  const last = past.at(-1);
  ({pieces, runStart} = last);
  if (last.values) {
    setSettings(last.values);
  }
  past = past.slice(0, -1);
  clearError();
  show();
  $('status').textContent = 'Undone.';
  countSoon();
}

/** Replaces the text by another one, and settings where there are some; undo brings the old ones back. */
async function replace(fresh, values) {
  await stop();
  takeEdited();
  if (pieces.length > 0 || values) {
    remember(values ? settings() : null);
  }
  pieces = fresh;
  runStart = null;
  clearError();
  if (values) {
    setSettings({...values, model: values.model || setting('model'), tint: values.tint ?? setting('tint')});
  }
  show();
  countSoon();
}

// ---- for screen readers: the text in steps, each a sentence or a line

let unspoken = '';

function speak(text, all = false) {
  unspoken += text;
  if (all ? unspoken.trim() !== '' : unspoken.length > 200 || (unspoken.length > 40 && /[.!?;:]\s|\n/.test(unspoken.slice(-3)))) {
    $('heard').textContent = unspoken;
    unspoken = '';
  }
}

// ---- tokens and their choices

const tokenAt = index => $('reading').querySelector(`.token[data-index="${Number(index)}"]`);

function giveTabStop(token) {
  $('reading').querySelectorAll('[tabindex="0"]').forEach(other => other.setAttribute('tabindex', '-1'));
  token?.setAttribute('tabindex', '0');
}

/** The token whose choices are open: {index, pinned}; an unpinned one closes when the pointer leaves. */
let open = null;
let timer = null;

function later(milliseconds, action) {
  clearTimeout(timer);
  timer = setTimeout(action, milliseconds);
}

function closeChoices() {
  clearTimeout(timer);
  if (open) {
    tokenAt(open.index)?.removeAttribute('aria-expanded');
    open = null;
  }
  if ($('choices').matches(':popover-open')) {
    $('choices').hidePopover();
  }
}

async function openChoices(index, {pinned = false, focus = false} = {}) {
  const piece = pieces[index];
  const token = tokenAt(index);
  if (!token) {
    return;
  }
  if (open?.index !== index) {
    closeChoices();
  }
  clearTimeout(timer);
  open = {index, pinned};
  token.setAttribute('aria-expanded', 'true');
  fillChoices(index, piece);
  $('choices').showPopover();
  place(token);
  if (piece.top === null && pinned) { // of a link, which has no alternatives
    try {
      const top = await following($('model').value, toText(pieces.slice(0, index)));
      if (pieces[index] !== piece) {
        return;
      }
      pieces = pieces.with(index, {...piece, top});
    } catch (e) {
      showError(e);
      return;
    }
    if (open?.index !== index) {
      return;
    }
    fillChoices(index, pieces[index]);
    place(token);
  }
  if (focus) {
    $('choices').querySelector(CHOOSABLE)?.focus();
  }
}

function fillChoices(index, piece) {
  const same = ([text]) => text === piece.text;
  const listed = piece.top ?? [];
  const all = listed.some(same) ? listed : [...listed, [piece.text, piece.logprob]];
  const most = Math.max(...all.map(([, logprob]) => Math.exp(logprob)));
  const list = element('ul', {}, ...all.map(choice => {
    const [text, logprob] = choice;
    const part = isPart(text);
    const written = same(choice);
    const button = element('button', {
      type: 'button', 'aria-disabled': String(part),
      'aria-label': `${spoken(text)}, ${percent(logprob)}${written ? ', as written' : ''}`,
    },
    element('span', {class: 'what'}, visible(text), ...(written ? [element('span', {class: 'written'}, 'written')] : [])),
    element('span', {class: 'bar', 'aria-hidden': 'true'}, element('span', {})),
    element('span', {class: 'percent'}, percent(logprob)));
    button.querySelector('.bar > span').style.inlineSize = `${100 * Math.exp(logprob) / most}%`;
    if (!part) {
      button.addEventListener('click', () => choose(index, choice));
    }
    return element('li', {}, button);
  }));
  const note = piece.top === null
      ? (open.pinned ? 'Asking the model for the alternatives …' : 'Press for the alternatives.')
      : 'Choose one to go on from it.';
  $('choices').replaceChildren(element('p', {}, note), list);
}

/** Puts the choices below the token, above it where there is no room. */
function place(token) {
  const box = token.getClientRects()[0] ?? token.getBoundingClientRect();
  const size = $('choices').getBoundingClientRect();
  const {clientWidth, clientHeight} = document.documentElement;
  const below = box.bottom + 6;
  const top = below + size.height <= clientHeight - 8 ? below : Math.max(8, box.top - 6 - size.height);
  $('choices').style.left = `${Math.max(8, Math.min(box.left - 12, clientWidth - size.width - 8))}px`;
  $('choices').style.top = `${top}px`;
}

const indexOf = target => {
  const token = target.closest?.('#reading .token');
  return token ? Number(token.dataset.index) : null;
};

/** The nearest token on a line above (-1) or below (1). */
function onLine(token, direction) {
  const from = token.getClientRects()[0];
  const middle = from.left + from.width / 2;
  let best = null;
  let least = Infinity;
  for (const other of $('reading').querySelectorAll('.token')) {
    const box = other.getClientRects()[0];
    const lines = box ? direction * (box.top - from.top) : 0;
    if (lines > 4) {
      const distance = lines * 1000 + Math.abs(box.left + box.width / 2 - middle);
      if (distance < least) {
        least = distance;
        best = other;
      }
    }
  }
  return best;
}

function move(token, key) {
  const all = [...$('reading').querySelectorAll('.token')];
  const at = all.indexOf(token);
  const next = {
    ArrowRight: () => all[at + 1], ArrowLeft: () => all[at - 1], Home: () => all[0], End: () => all.at(-1),
    ArrowDown: () => onLine(token, 1), ArrowUp: () => onLine(token, -1),
  }[key]();
  next?.focus();
}

function listenToTokens() {
  const reading = $('reading');
  const choices = $('choices');
  reading.addEventListener('pointerover', event => {
    const index = indexOf(event.target);
    if (event.pointerType === 'mouse' && index !== null && !open?.pinned) {
      later(open ? 60 : 160, () => openChoices(index));
    }
  });
  reading.addEventListener('pointerout', () => {
    if (!open?.pinned) {
      later(250, closeChoices);
    }
  });
  choices.addEventListener('pointerenter', () => clearTimeout(timer));
  choices.addEventListener('pointerleave', () => {
    if (!open?.pinned && !choices.contains(document.activeElement)) {
      later(250, closeChoices);
    }
  });
  reading.addEventListener('click', event => {
    const index = indexOf(event.target);
    if (index !== null) {
      event.target.closest('.token').focus();
      openChoices(index, {pinned: true, focus: event.detail === 0});
    } else if (getSelection().isCollapsed) {
      edit(placeAt(event.clientX, event.clientY));
    }
  });
  reading.addEventListener('focusin', event => {
    if (indexOf(event.target) === null) {
      return;
    }
    giveTabStop(event.target);
    if (event.target.matches(':focus-visible')) {
      openChoices(indexOf(event.target));
    }
  });
  reading.addEventListener('focusout', event => {
    if (!open?.pinned && !choices.contains(event.relatedTarget)) {
      closeChoices();
    }
  });
  reading.addEventListener('keydown', event => {
    if (indexOf(event.target) === null) {
      return;
    }
    if (['ArrowRight', 'ArrowLeft', 'ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key)) {
      event.preventDefault();
      move(event.target, event.key);
    } else if (event.key === 'Enter' || event.key === ' ') {
      if (!event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        openChoices(indexOf(event.target), {pinned: true, focus: true});
      }
    }
  });
  choices.addEventListener('keydown', event => {
    if (event.key === 'Tab') { // the choices are beside the text, not behind the page
      event.preventDefault();
      tokenAt(open?.index)?.focus();
      closeChoices();
    }
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const all = [...choices.querySelectorAll(CHOOSABLE)];
      const at = all.indexOf(document.activeElement) + (event.key === 'ArrowDown' ? 1 : -1);
      all[(at + all.length) % all.length]?.focus();
    }
  });
  document.addEventListener('pointerdown', event => {
    if (open && !choices.contains(event.target) && indexOf(event.target) === null) {
      closeChoices();
    }
  });
  addEventListener('resize', closeChoices);
  $('sheet').addEventListener('scroll', () => {
    if (open) {
      place(tokenAt(open.index));
    }
  });
  addEventListener('scroll', () => {
    if (open) {
      place(tokenAt(open.index));
    }
  });
}

// ---- keeping and sharing

let keeping = null;

function keepSoon() {
  clearTimeout(keeping);
  keeping = setTimeout(keep, 500);
}

function keep() {
  try {
    const shown = editing() ? edited(pieces, $('editor').value) : pieces;
    localStorage.setItem(KEPT, JSON.stringify(pack({pieces: shown, settings: settings()}, true)));
  } catch {
    // No storage, or it is full: the text stays on the page.
  }
}

function kept() {
  try {
    return unpack(JSON.parse(localStorage.getItem(KEPT)));
  } catch {
    return null;
  }
}

async function share() {
  takeEdited();
  const url = new URL(location.href);
  url.hash = await toFragment({pieces, settings: settings()});
  $('link').value = url.href;
  $('copied').textContent = '';
  $('share-dialog').showModal();
  $('link').select();
}

async function copy() {
  try {
    await navigator.clipboard.writeText($('link').value);
    $('copied').textContent = 'Copied.';
  } catch { // only where the page is not from this machine or over TLS
    $('link').select();
    $('copied').textContent = 'The browser does not let the page copy: press Ctrl+C.';
  }
}

/** Takes the state of the address, if it has one. */
async function takeShared() {
  if (location.hash.length < 2) {
    return;
  }
  const fragment = location.hash;
  history.replaceState(null, '', location.pathname + location.search); // a reload keeps later changes
  try {
    const state = await fromFragment(fragment);
    if (state) {
      await replace(state.pieces, state.settings);
    }
  } catch (e) {
    showError(new ApiError(`The link is broken: ${e instanceof Error && e.message !== '' ? e.message : 'it cannot be read'}.`));
  }
}

// ---- the start

async function loadModels() {
  const found = await models();
  const wanted = setting('model');
  contexts = new Map(found.map(({id, context}) => [id, context]));
  $('model').replaceChildren(...found.map(({id}) => element('option', {value: id}, id)));
  if (contexts.has(wanted)) {
    $('model').value = wanted;
  }
}

function fillGallery() {
  $('gallery').append(...GALLERY.map(entry => {
    const button = element('button', {type: 'button'}, element('strong', {}, entry.name), element('span', {}, entry.about));
    button.addEventListener('click', async () => {
      await replace([{text: entry.text}], entry.settings);
      $('status').textContent = `${entry.name}: ready. Write continues it.`;
      $('editor').focus();
      $('editor').setSelectionRange(entry.text.length, entry.text.length);
      $('sheet').scrollIntoView({block: 'nearest'});
    });
    return element('li', {}, button);
  }));
}

function setTheme(theme) {
  if (theme === 'auto') {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = theme;
  }
  try {
    localStorage.setItem('jneox.theme', theme);
  } catch {
    // Kept for this page alone.
  }
}

function listen() {
  onPress('write', write);
  onPress('stop', stop);
  onPress('again', writeAnew);
  onPress('undo', () => {
    takeEdited();
    undo();
  });
  onPress('edit', () => edit());
  onPress('clear', async () => {
    await replace([]);
    $('editor').focus();
  });
  onPress('share', share);
  onPress('copy', copy);
  onPress('share-close', () => $('share-dialog').close());
  onPress('key-button', () => $('key-dialog').showModal());
  onPress('key-close', () => $('key-dialog').close());
  onPress('reset', () => {
    setSettings({...DEFAULTS, model: setting('model')});
    clearError();
    keepSoon();
  });
  $('key-form').addEventListener('submit', async () => {
    setKey($('key').value.trim());
    $('key').value = '';
    clearError();
    await begin();
  });
  $('theme').addEventListener('change', () => setTheme($('theme').value));
  $('editor').addEventListener('input', () => {
    fit();
    clearError();
    keepSoon();
    countSoon();
    enable($('undo'), true);
  });
  $('editor').addEventListener('blur', () => {
    if (document.activeElement !== $('editor')) { // the window keeps its focus
      takeEdited();
      show();
    }
  });
  for (const place of [$('settings'), $('tint')]) {
    place.addEventListener('change', event => {
      event.target.removeAttribute('aria-invalid');
      showSettings();
      keepSoon();
      if (event.target === $('model')) {
        countSoon();
      }
    });
  }
  document.addEventListener('keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !document.querySelector('dialog[open]')) {
      event.preventDefault();
      write();
    } else if (event.key === 'Escape' && !document.querySelector('dialog[open]')) {
      if (open) {
        const token = $('choices').contains(document.activeElement) ? tokenAt(open.index) : null;
        closeChoices();
        token?.focus();
        closeChoices(); // which its focus has opened again
      } else if (run) {
        stop();
      } else if (document.activeElement === $('editor')) {
        $('editor').blur();
      }
    }
  });
  addEventListener('hashchange', takeShared);
  addEventListener('pagehide', keep);
  listenToTokens();
}

async function begin() {
  try {
    await loadModels();
    $('status').textContent = 'Ready.';
    countSoon();
  } catch (e) {
    showError(e);
  }
}

async function start() {
  $('theme').value = document.documentElement.dataset.theme ?? 'auto';
  $('settings').open = matchMedia('(min-width: 64rem)').matches;
  fillGallery();
  const state = kept();
  setSettings(state?.settings ?? DEFAULTS);
  pieces = state?.pieces ?? [];
  listen();
  show();
  const loaded = begin();
  await takeShared();
  await loaded;
}

start();
