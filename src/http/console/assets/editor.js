// A field for a rule, in which problems are underlined where they stand.
//
// Behind the field lies the same text, in the same type, whose marked parts are underlined.
//
// Invariant: the text behind is the text in the field, letter by letter; places come in bytes of UTF-8, and letters are none.

import { el, fill } from './dom.js';

/** `changed` is called when somebody writes. */
export function editor(name, text, changed) {
  const behind = el('div', { class: 'behind', 'aria-hidden': 'true' });
  const field = el('textarea', {
    id: 'rule',
    'aria-label': name,
    rows: 4,
    spellcheck: 'false',
    autocomplete: 'off',
    autocapitalize: 'off',
  });
  const grow = () => {
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
  };
  const write = (written) => {
    field.value = written;
    fill(behind, written);
    requestAnimationFrame(grow);
  };
  field.addEventListener('input', () => {
    fill(behind, field.value);
    grow();
    changed();
  });
  write(text);
  return {
    element: el('div', { class: 'editor' }, behind, field),
    write,
    text: () => field.value,
    mark: (diagnostics) => fill(behind, marked(field.value, diagnostics), '\n'),
    replace(bytes, other) {
      field.setRangeText(other, ...letters(field.value, bytes), 'end');
      field.focus();
      field.dispatchEvent(new Event('input'));
    },
    select(bytes) {
      const [from, until] = letters(field.value, bytes);
      field.focus();
      field.setSelectionRange(from, Math.max(until, from + 1));
    },
  };
}

/** Places in bytes, as places in letters. */
export function letters(text, bytes) {
  const encoded = new TextEncoder().encode(text);
  const before = (end) => new TextDecoder().decode(encoded.slice(0, end)).length;
  return bytes.map(before);
}

function marked(text, diagnostics) {
  const places = diagnostics.filter((one) => one.bytes).map((one) => ({ severity: one.severity, place: letters(text, one.bytes) }));
  places.sort((a, b) => a.place[0] - b.place[0]);
  const made = [];
  let at = 0;
  for (const {
    severity,
    place: [from, until],
  } of places) {
    // Of two that overlap the first is marked; both are listed.
    if (from < at) continue;
    // What is missing at the end has no letter of its own.
    const end = Math.max(until, from + 1);
    made.push(text.slice(at, from), el('mark', { class: severity }, text.slice(from, end) || ' '));
    at = end;
  }
  return [...made, text.slice(at)];
}
