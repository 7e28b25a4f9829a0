// What is shown where there is no answer: why, and what to do about it.
//
// Invariant: each refusal has a way out: a token to give, a scope to ask for, another address, or another try.

import { Refusal, token } from './api.js';
import { el, to } from './dom.js';
import { tokenForm } from './token.js';

/** How long until another try, when the service does not say. */
const PATIENCE = 3000;

/** Shows a refusal in place of a page. `again` tries once more. */
export function refused(error, { again, signal, show }) {
  const status = error instanceof Refusal ? error.status : -1;
  // A process whose partitions are moving knows no owner for a moment.
  if (status === 0 || status === 503 || (status === 421 && !error.problem.owner)) {
    const seconds = status === 503 && error.retryAfter > 0 ? error.retryAfter * 1000 : PATIENCE;
    const timer = setTimeout(again, seconds);
    signal.addEventListener('abort', () => clearTimeout(timer));
  }
  show(...(KINDS[status] ?? other)(error, again));
}

const KINDS = {
  [-1]: (error) => [el('h1', {}, 'The console failed'), el('p', {}, `This is a mistake of the console itself: ${error.message}`)],
  0: () => [el('h1', {}, 'The service does not answer'), waiting('It is asked again every few seconds.')],
  401: (error, again) => [
    el('h1', {}, 'A token, please'),
    el(
      'p',
      {},
      token()
        ? `The one in use is of no use: ${error.message}.`
        : 'This service answers those alone who have one. Whoever operates it gives tokens.',
    ),
    tokenForm(again),
  ],
  403: (error, again) => [
    el('h1', {}, 'Not with this token'),
    el('p', {}, 'The token is good, but lacks the scope ', el('code', {}, error.scope ?? 'that this page needs'), '.'),
    el(
      'p',
      {},
      'Whoever operates the service gives scopes: ',
      el('code', {}, `segmentd token new NAME --scope ${error.scope ?? 'SCOPE'}`),
      '.',
    ),
    tokenForm(again),
  ],
  404: (error) => [el('h1', {}, 'Not found'), el('p', {}, error.message)],
  421: (error) => [
    el('h1', {}, 'Another process knows'),
    el('p', {}, `This customer is in partition ${error.problem.partition}, which this process does not have.`),
    owner(error.problem.owner),
  ],
  429: (error, again) => [el('h1', {}, 'Too many questions'), el('p', {}, error.message), retry(again)],
  503: (error) => [el('h1', {}, 'Not yet'), el('p', {}, error.message), waiting('It is asked again by itself.')],
};

function other(error, again) {
  return [el('h1', {}, 'No answer'), el('p', {}, `${error.message} (${error.status})`), retry(again)];
}

/** A refusal of one part of a page, in a line. */
export function refusedPart(error) {
  if (!(error instanceof Refusal)) throw error;
  const why =
    error.status === 403 ? `The token lacks the scope ${error.scope}.` : error.status === 401 ? 'This needs a token.' : error.message;
  return el(
    'p',
    { class: 'notice' },
    why,
    error.status === 401 || error.status === 403 ? [' ', el('a', { href: to(['access']) }, 'Access')] : null,
  );
}

function owner(address) {
  if (!address) return waiting('Which process has it is not known: they tell each other by http.advertise. It is asked again by itself.');
  return el('p', {}, el('a', { href: `${address}/console/${location.hash}` }, `Ask ${address}`));
}

function waiting(text) {
  return el('p', { class: 'waiting' }, text);
}

function retry(again) {
  return el('p', {}, el('button', { type: 'button', onclick: again }, 'Try again'));
}
