// Playground: a rule is checked while it is written, and explained for a customer. Nothing of it comes into force.
//
// Invariant: an answer for a text that stands there no more is thrown away; a problem is marked at the place that the service
// names, whatever letters stand before it.

import { path, post, Refusal } from '../api.js';
import { el, fill, to } from '../dom.js';
import { instant, utc } from '../format.js';
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
  const { kind, customer, at } = fields(view);
  const places = {
    verdict: el('div', { class: 'checked', role: 'status' }),
    canonical: el('div'),
    told: el('div', { class: 'explanations' }),
  };
  const written = editor('Rule', view.query.get('when') ?? EXAMPLES[0][1], later);
  const everybody = dryRun(view, definitions);
  let [timer, keys, asked] = [0, [], new AbortController()];
  kind.addEventListener('change', later);
  customer.addEventListener('input', later);
  at.addEventListener('change', later);
  view.signal.addEventListener('abort', () => asked.abort());
  const about =
    'A rule is checked while it is written, and explained for a customer. Nothing of it comes into force: that is for files alone.';
  const examples = el('span', { class: 'chips' }, EXAMPLES.map(example));
  view.show(
    heading('Playground', about),
    panel('Rule', labelled(kind, 'What is written', examples), written.element, places.verdict, places.canonical),
    panel('For a customer', labelled(customer, 'Customer id', label(at, 'As it will be at (UTC)'), at), places.told),
    panel('For everybody', everybody.element),
  );
  await look();

  function example([name, text]) {
    return el('button', { type: 'button', class: 'chip', onclick: () => ((kind.value = 'when'), written.write(text), look()) }, name);
  }

  /** A rule is a file with one segment: JSON is YAML. */
  function definitions() {
    const text = written.text();
    return { text: kind.value === 'text' ? text : `segments: [{key: rule, when: ${JSON.stringify(text)}}]`, keys };
  }

  function later() {
    everybody.changed(false);
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
      fill(
        places.told,
        checked.valid && customer.value !== ''
          ? await tried(text, signal)
          : el('p', { class: 'empty' }, checked.valid ? 'Give a customer to see what the rule says.' : 'The rule has to be right first.'),
      );
    } catch (error) {
      if (!signal.aborted && !view.signal.aborted) fill(error instanceof Refusal ? places.told : places.verdict, refusedPart(error));
    }
  }

  function tell(text, { valid, diagnostics, segments }) {
    keys = segments.map((segment) => segment.key);
    everybody.changed(valid);
    written.mark(diagnostics);
    const right = valid ? el('p', { class: 'met' }, diagnostics.length > 0 ? 'It is right, with a warning.' : 'It is right.') : null;
    fill(
      places.verdict,
      right,
      el(
        'ul',
        { class: 'diagnostics' },
        diagnostics.map((one) => problem(one, written)),
      ),
    );
    const same = segments.length === 1 && segments[0].when === text.trim();
    fill(
      places.canonical,
      same
        ? null
        : segments.map(({ key, when }) =>
            el(
              'div',
              { class: 'canonical' },
              el('h3', {}, segments.length > 1 || kind.value === 'text' ? key : 'As it is kept'),
              rule(when),
            ),
          ),
    );
  }

  async function tried(text, signal) {
    const given = at.value ? { at: utc(at.value) } : {};
    const told = await post(path`definitions/explain`, { customer: customer.value, [kind.value]: text, ...given }, signal);
    const { seen, explanations } = told.explained;
    if (!seen) return el('p', { class: 'empty' }, 'Nothing is known of this customer.');
    return [
      (told.incomplete ?? []).map(({ segment, complete_since: since }) =>
        notice(
          `${segment === 'rule' ? 'The rule' : segment} looks at what was not kept: it knows everything since ${instant(since)} only.`,
        ),
      ),
      explanations.map((explanation) =>
        explained(explanation, { name: explanation.segment === 'rule' ? 'The rule' : null, open: true, tried: true }),
      ),
    ];
  }
}

function fields(view) {
  const kinds = [
    ['when', 'A rule'],
    ['text', 'A file of definitions'],
  ];
  const given = view.query.get('customer') ?? '';
  return {
    kind: el(
      'select',
      { id: 'kind' },
      kinds.map(([value, name]) => el('option', { value }, name)),
    ),
    customer: el('input', { id: 'for', type: 'search', autocomplete: 'off', spellcheck: 'false', value: given }),
    at: el('input', { id: 'at', type: 'datetime-local', step: '1' }),
  };
}

function label(field, name) {
  return el('label', { for: field.id }, name);
}

function labelled(field, name, ...more) {
  return el('div', { class: 'fields' }, label(field, name), field, more);
}

function problem({ severity, code, message: text, label, help, line, column, bytes }, written) {
  const meant = /^did you mean `(.+)`\?$/.exec(label ?? '')?.[1];
  return el(
    'li',
    { class: severity },
    el('strong', {}, severity),
    ' ',
    message(text),
    label ? [' ', el('span', { class: 'suggestion' }, message(label))] : null,
    ' ',
    meant && bytes
      ? [el('button', { type: 'button', class: 'place', onclick: () => written.replace(bytes, meant) }, `Use ${meant}`), ' ']
      : null,
    help ? el('span', { class: 'soft' }, message(help)) : null,
    ' ',
    bytes ? el('button', { type: 'button', class: 'place', onclick: () => written.select(bytes) }, `line ${line}, column ${column}`) : null,
    ' ',
    el('code', { class: 'soft' }, code),
  );
}
