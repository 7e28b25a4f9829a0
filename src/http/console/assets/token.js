// The field in which somebody gives a token.
//
// Invariant: what is typed is kept by api.js alone, and never shown again.

import { keepToken, token } from './api.js';
import { el } from './dom.js';

/** `given` is called once a token was given or taken away. */
export function tokenForm(given) {
  const field = el('input', { id: 'token', type: 'password', autocomplete: 'off', spellcheck: 'false' });
  const keep = (event) => {
    event.preventDefault();
    if (field.value.trim() === '') return;
    keepToken(field.value.trim());
    given();
  };
  const forget = () => {
    keepToken('');
    given();
  };
  return el(
    'form',
    { class: 'fields', onsubmit: keep },
    el('label', { for: 'token' }, 'Token'),
    field,
    el('button', { type: 'submit', class: 'main' }, 'Use it'),
    token() ? el('button', { type: 'button', onclick: forget }, 'Forget the one in use') : null,
    el('p', { class: 'hint' }, 'Kept for this tab alone, until it is closed.'),
  );
}
