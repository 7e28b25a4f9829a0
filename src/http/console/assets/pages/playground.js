// Playground: a rule is checked while it is written, and explained for a customer. Nothing of it comes into force.
//
// Invariant: an answer is shown for the text that stands there, never for one before; and a problem is marked at the place that
// the service names, whatever letters stand before it.

import { path, post, Refusal } from '../api.js';
import { el, fill, to } from '../dom.js';
import { instant } from '../format.js';
import { heading, notice, panel } from '../parts.js';
import { refusedPart } from '../refused.js';
import { editor } from '../editor.js';
import { message, rule } from '../words.js';
import { dryRun } from './dryrun.js';
import { explained } from './explained.js';

/** Nobody types faster than that for long. */
const PAUSE = 250;

const EXAMPLES = [
  ['Loyal', 'count(orders last 30d) > 2 and every(orders last 30d: total > 20)'],
  ['Lapsed', 'count(orders lifetime) > 0 and count(orders last 30d) == 0'],
  ['Spends', 'sum(orders.total last 90d where redeemed) >= 100'],
  ['Won back', 'returned(orders after 60d within 14d)'],
];

export const title = () => 'Playground';

export async function show(view) {
  const kind = el('select', { id: 'kind' }, el('option', { value: 'when' }, 'A rule'), el('option', { value: 'text' }, 'A file of definitions'));
  const customer = el('input', { id: 'for', type: 'search', autocomplete: 'off', spellcheck: 'false', value: view.query.get('customer') ?? '' });
  const at = el('input', { id: 'at', type: 'datetime-local', step: '1' });
  const places = { verdict: el('div', { class: 'checked', role: 'status' }), canonical: el('div'), told: el('div', { class: 'explanations' }) };
  const written = editor('Rule', view.query.get('when') ?? EXAMPLES[0][1], later);
  const everybody = dryRun(view, definitions);
  let [timer, keys] = [0, []];
  let asked = new AbortController();
  for (const field of [kind, customer, at]) field.addEventListener(field === kind || field === at ? 'change' : 'input', later);
  view.signal.addEventListener('abort', () => asked.abort());
  view.show(
    heading('Playground', 'A rule is checked while it is written, and explained for a customer. Nothing of it comes into force: that is for files alone.'),
    panel('Rule',
      el('div', { class: 'fields' }, el('label', { for: 'kind' }, 'What is written'), kind, el('span', { class: 'chips' }, EXAMPLES.map(example))),
      written.element, places.verdict, places.canonical),
    panel('For a customer',
      el('div', { class: 'fields' }, el('label', { for: 'for' }, 'Customer id'), customer, el('label', { for: 'at' }, 'As it will be at (UTC)'), at),
      places.told),
    panel('For everybody', everybody.element),
  );
  await look();

  function example([name, text]) {
    return el('button', { type: 'button', class: 'chip', onclick: () => (kind.value = 'when', written.write(text), look()) }, name);
  }

  /** A rule is a file with one segment: JSON is YAML. */
  function definitions() {
    const text = written.text();
    return { text: kind.value === 'text' ? text : `segments: [{key: rule, when: ${JSON.stringify(text)}}]`, keys };
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  }

  async function look() {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    const text = written.text();
    history.replaceState(null, '', to(['playground'], kind.value === 'when' ? { when: text, customer: customer.value } : {}));
    try {
      const checked = await post(path`definitions/check`, { [kind.value]: text }, signal);
      if (signal.aborted) return;
      tell(text, checked);
      fill(places.told, checked.valid && customer.value !== '' ? await tried(text, signal) : el('p', { class: 'empty' }, checked.valid ? 'Give a customer to see what the rule says.' : 'The rule has to be right first.'));
    } catch (error) {
      if (!signal.aborted && !view.signal.aborted) fill(error instanceof Refusal ? places.told : places.verdict, refusedPart(error));
    }
  }

  function tell(text, { valid, diagnostics, segments }) {
    keys = segments.map((segment) => segment.key);
    everybody.changed(valid);
    written.mark(diagnostics);
    const right = valid ? el('p', { class: 'met' }, diagnostics.length > 0 ? 'It is right, with a warning.' : 'It is right.') : null;
    fill(places.verdict, right, el('ul', { class: 'diagnostics' }, diagnostics.map((one) => problem(one, written))));
    const same = segments.length === 1 && segments[0].when === text.trim();
    fill(places.canonical, same ? null : segments.map(({ key, when }) => el('div', { class: 'canonical' }, el('h3', {}, segments.length > 1 || kind.value === 'text' ? key : 'As it is kept'), rule(when))));
  }

  async function tried(text, signal) {
    const given = at.value ? { at: `${at.value}${at.value.length === 16 ? ':00' : ''}Z` } : {};
    const told = await post(path`definitions/explain`, { customer: customer.value, [kind.value]: text, ...given }, signal);
    const { seen, explanations } = told.explained;
    if (!seen) return el('p', { class: 'empty' }, 'Nothing is known of this customer.');
    return [
      (told.incomplete ?? []).map(({ segment, complete_since: since }) => notice(`${segment === 'rule' ? 'The rule' : segment} looks at what was not kept: it knows everything since ${instant(since)} only.`)),
      explanations.map((explanation) => explained(explanation, { name: explanation.segment === 'rule' ? 'The rule' : null, open: true, tried: true })),
    ];
  }
}

function problem({ severity, code, message: text, label, help, line, column, bytes }, written) {
  const meant = /^did you mean `(.+)`\?$/.exec(label ?? '')?.[1];
  return el('li', { class: severity },
    el('strong', {}, severity), ' ', message(text), label ? [' ', el('span', { class: 'suggestion' }, message(label))] : null, ' ',
    meant && bytes ? [el('button', { type: 'button', class: 'place', onclick: () => written.replace(bytes, meant) }, `Use ${meant}`), ' '] : null,
    help ? el('span', { class: 'soft' }, message(help)) : null, ' ',
    bytes ? el('button', { type: 'button', class: 'place', onclick: () => written.select(bytes) }, `line ${line}, column ${column}`) : null, ' ',
    el('code', { class: 'soft' }, code));
}
