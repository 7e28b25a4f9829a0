// What pages are made of: headings, tiles, tables, notices.
//
// Invariant: a table is a table to those who hear it too: its columns have headings, its numbers stand at the right.

import { el, fill } from './dom.js';

/** The head of a page. `about`: a line below it. */
export function heading(title, about, ...more) {
  return el('div', { class: 'heading' }, el('h1', {}, title), about ? el('p', { class: 'about' }, about) : null, more);
}

/** A part of a page under a heading of its own. */
export function panel(title, ...children) {
  const id = `panel-${title.toLowerCase().replace(/[^a-z]+/g, '-')}`;
  return el('section', { class: 'panel', 'aria-labelledby': id }, el('h2', { id }, title), children);
}

/** A figure with its name; `about` explains it below. */
export function tile(name, value, about = null, state = null) {
  const size = typeof value === 'string' && value.length > 12 ? 'long' : null;
  return el(
    'div',
    { class: state ? `tile ${state}` : 'tile' },
    el('dt', {}, name),
    el('dd', { class: size }, value),
    about ? el('dd', { class: 'about' }, about) : null,
  );
}

export function tiles(...children) {
  return el('dl', { class: 'tiles' }, children);
}

/** Tiles whose figures are instants, or words. */
export function wideTiles(...children) {
  return el('dl', { class: 'tiles wide' }, children);
}

/**
 * A table. A column: `{name, of(row), number, sort(row)}`; with `sort` its heading orders by it.
 * `caption` names it to those who hear it.
 */
export function table(caption, columns, rows, empty = 'Nothing.') {
  const body = el('tbody');
  let order = null;
  const draw = () => {
    const sorted = order ? [...rows].sort((a, b) => order.sign * compared(order.column.sort(a), order.column.sort(b))) : rows;
    fill(
      body,
      sorted.map((row) =>
        el(
          'tr',
          {},
          columns.map((column) => cell(column, row)),
        ),
      ),
    );
  };
  const head = columns.map((column) => {
    const heading = el('th', { scope: 'col', class: column.number ? 'number' : null });
    if (!column.sort) return fill(heading, column.name);
    const sort = () => {
      order = { column, sign: order?.column === column ? -order.sign : column.number ? -1 : 1 };
      head.forEach((other) => other.removeAttribute('aria-sort'));
      heading.setAttribute('aria-sort', order.sign > 0 ? 'ascending' : 'descending');
      draw();
    };
    return fill(heading, el('button', { type: 'button', class: 'sort', onclick: sort }, column.name));
  });
  draw();
  if (rows.length === 0) return el('p', { class: 'empty' }, empty);
  return el(
    'div',
    { class: 'scroll cards', tabindex: '0', role: 'group', 'aria-label': caption },
    el('table', {}, el('caption', { class: 'unseen' }, caption), el('thead', {}, el('tr', {}, head)), body),
  );
}

/** On a narrow screen rows become cards, in which each cell says its column's name. */
function cell(column, row) {
  const attributes = { class: column.number ? 'number' : (column.class ?? null), 'data-name': column.name };
  return el(column.head ? 'th' : 'td', { ...attributes, scope: column.head ? 'row' : null }, el('span', { class: 'cell' }, column.of(row)));
}

function compared(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  return b === null || b === undefined || a > b ? 1 : -1;
}

export function notice(...children) {
  return el('p', { class: 'notice' }, children);
}

/** Says which partitions figures are about, where they are not all, and who could not be asked for theirs. */
export function covered(partitions) {
  if (!partitions?.partial) return null;
  const missing = (partitions.unreached ?? []).map(({ address, partitions: theirs, why }) =>
    el('li', {}, el('code', {}, address), ` has ${numbered(theirs)}: ${why}`),
  );
  return el(
    'div',
    { class: 'notice' },
    el('p', {}, el('strong', {}, 'Not all: '), `these figures are of ${numbered(partitions.here)}; there are ${partitions.of}.`),
    missing.length > 0
      ? el('ul', { class: 'plain' }, missing)
      : el('p', {}, 'Which processes have the others is not known: they tell each other by http.advertise.'),
  );
}

function numbered(partitions) {
  if (partitions.length === 0) return 'no partition';
  return `${partitions.length === 1 ? 'partition' : 'partitions'} ${partitions.join(', ')}`;
}

export function tags(list) {
  return list.map((tag) => el('span', { class: 'tag' }, tag));
}
