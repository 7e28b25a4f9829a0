// The service's own words, in sentences.
//
// Invariant: a cause is called the same wherever it is shown, and has one colour.

import { el } from './dom.js';
import { count } from './format.js';

/** Causes in the order in which they are shown; docs/semantics.md says what each means. */
export const CAUSES = {
  event: 'an event',
  late_event: 'a late event',
  time: 'time alone',
  refund: 'a refund',
  cancellation: 'a cancellation',
  trait: 'a trait',
  list: 'a list',
  definition: 'a changed definition',
  merge: 'two ids that are one customer',
  delete: 'an erasure',
  merge: 'a merge of two ids',
};

export function cause(name) {
  return CAUSES[name] ?? name;
}

/** `event 12 · time 3`, each with its colour. */
export function byCause(counts) {
  const told = Object.keys(CAUSES).filter((name) => counts[name] > 0);
  return el(
    'span',
    { class: 'causes' },
    told.map((name) =>
      el('span', { class: `cause cause-${name}`, title: `by ${cause(name)}` }, `${name.replace('_', ' ')} ${count(counts[name])}`),
    ),
  );
}

/** A sum, and its causes below it. */
export function flowed(counts) {
  return el('span', { class: 'flow' }, count(sum(counts)), byCause(counts));
}

export function sum(counts) {
  return Object.values(counts).reduce((all, number) => all + number, 0);
}

const WORD =
  /("(?:[^"\\]|\\.)*")|(\b(?:and|or|not|where|last|lifetime|from|to|ago|after|within|this|by|in)\b)|(\b\d[\w.]*%?)|([a-z_]\w*)(?=\()/gi;

/** A message of the service: what stands between backticks is code. */
export function message(text) {
  return text.split('`').map((part, i) => (i % 2 === 1 ? el('code', {}, part) : part));
}

/** A rule as it is read: one condition a line, its words marked. */
export function rule(text) {
  return el(
    'code',
    { class: 'rule' },
    broken(text).flatMap((line, i) => [i > 0 ? '\n' : '', marked(line)]),
  );
}

/** A line before each `and` and `or` that stands in no parenthesis. */
function broken(text) {
  const lines = [''];
  let depth = 0;
  for (const part of text.split(/("(?:[^"\\]|\\.)*"|\s(?=(?:and|or)\s)|[()])/)) {
    if (part === '(') depth += 1;
    if (part === ')') depth -= 1;
    if (depth === 0 && /^\s$/.test(part)) lines.push('');
    else lines[lines.length - 1] += part;
  }
  return lines;
}

function marked(line) {
  const made = [];
  let at = 0;
  for (const found of line.matchAll(WORD)) {
    const kind = ['text', 'word', 'number', 'call'][found.slice(1).findIndex((group) => group !== undefined)];
    made.push(line.slice(at, found.index), el('span', { class: `of-${kind}` }, found[0]));
    at = found.index + found[0].length;
  }
  return [...made, line.slice(at)];
}
