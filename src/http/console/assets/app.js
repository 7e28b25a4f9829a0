// The frame: which page an address means, and what is shown when there is no answer.
//
// An address is #/page/part/…?name=value, each part percent-encoded.
//
// Invariant: one page is alive at a time. When it is left its signal is aborted, and with it every question, stream and
// repetition of it.

import { Refusal } from './api.js';
import { el, fill, to } from './dom.js';
import { refused } from './refused.js';
import { lookTheme } from './theme.js';
import * as access from './pages/access.js';
import * as customer from './pages/customer.js';
import * as experiments from './pages/experiments.js';
import * as ladders from './pages/ladders.js';
import * as overview from './pages/overview.js';
import * as playground from './pages/playground.js';
import * as segment from './pages/segment.js';
import * as segments from './pages/segments.js';

/** Pages by the first part of their address; `listed`: as the navigation names them. */
const PAGES = {
  '': { page: overview, listed: 'Overview' },
  segments: { page: segments, within: segment, listed: 'Segments' },
  ladders: { page: ladders, within: ladders, listed: 'Ladders' },
  customers: { page: customer, within: customer, listed: 'Customer' },
  experiments: { page: experiments, within: experiments, listed: 'Experiments' },
  playground: { page: playground, listed: 'Playground' },
  access: { page: access, listed: 'Access' },
};

const main = document.getElementById('main');
const said = document.getElementById('said');
let alive = new AbortController();

/** What a page is given: where it is shown, what its address says, and how long it lives. */
function viewOf(parts, query, signal) {
  return {
    main,
    parts,
    query,
    signal,
    /** Shows this as the whole page. */
    show: (...children) => signal.aborted || fill(main, ...children),
    /** Tells those who cannot see it. */
    say: (text) => signal.aborted || fill(said, text),
    /** Does it now, and again so many milliseconds after each time, until the page is left. */
    async every(milliseconds, act) {
      while (!signal.aborted) {
        if (!document.hidden) await act();
        await new Promise((done) => setTimeout(done, milliseconds));
      }
    },
  };
}

function address() {
  const [where, query] = location.hash.replace(/^#\/?/, '').split('?');
  const decoded = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part; // Written by hand, with a lone percent sign.
    }
  };
  return { parts: where === '' ? [] : where.split('/').map(decoded), query: new URLSearchParams(query ?? '') };
}

async function go() {
  alive.abort();
  alive = new AbortController();
  const { signal } = alive;
  const { parts, query } = address();
  const found = PAGES[parts[0] ?? ''] ?? { page: { title: () => 'Not found', show: notFound } };
  const page = parts.length > 1 ? (found.within ?? found.page) : found.page;
  navigation(parts[0] ?? '');
  document.title = `${page.title(parts)} · segmentd`;
  main.setAttribute('aria-busy', 'true');
  fill(main, el('p', { class: 'waiting' }, 'Asking the service …'));
  try {
    await page.show(viewOf(parts, query, signal));
  } catch (error) {
    if (!signal.aborted) stopped(error, signal);
  }
  if (!signal.aborted) main.removeAttribute('aria-busy');
}

function stopped(error, signal) {
  if (!(error instanceof Refusal)) console.error(error);
  refused(error, { again: go, signal, show: (...children) => fill(main, ...children) });
}

async function notFound(view) {
  view.show(el('h1', {}, 'No such page'), el('p', {}, el('a', { href: '#/' }, 'To the overview')));
}

function navigation(current) {
  const entry = ([name, { listed }]) =>
    el('li', {}, el('a', { href: to(name === '' ? [] : [name]), 'aria-current': name === current ? 'page' : null }, listed));
  const list = document.getElementById('pages');
  fill(list, Object.entries(PAGES).map(entry));
  // Where the list is longer than the screen is wide.
  list.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

document.getElementById('jump').addEventListener('submit', (event) => {
  event.preventDefault();
  const field = document.getElementById('jump-id');
  if (field.value !== '') location.hash = to(['customers', field.value]);
  field.value = '';
});
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener('hashchange', () => {
  go();
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
});
lookTheme(document.getElementById('theme'));
go();
