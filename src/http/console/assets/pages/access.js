// Access: which token is used, and what it opens.
//
// Invariant: what a token opens is found by asking, with questions that change nothing and are about no customer but one that
// cannot be.

import { get, path, readiness, Refusal, text, token } from '../api.js';
import { el } from '../dom.js';
import { heading, notice, panel, table } from '../parts.js';
import { tokenForm } from '../token.js';

export const title = () => 'Access';

/** A question for each scope that the console needs. */
const QUESTIONS = [
  { scope: 'read:segments', opens: 'segments, ladders, experiments, the playground', ask: (signal) => get('segments', {}, signal) },
  {
    scope: 'read:customers',
    opens: 'customers, who is in a segment, live transitions',
    ask: (signal) => get(path`customers/${'\u0000'}/segments`, {}, signal),
  },
  { scope: 'metrics', opens: 'the overview', ask: (signal) => text('version', signal) },
];

export async function show(view) {
  await readiness(view.signal);
  const found = await Promise.all(QUESTIONS.map(async (question) => ({ ...question, verdict: await verdict(question, view.signal) })));
  const columns = [
    { name: 'Scope', of: (row) => el('code', {}, row.scope), head: true },
    { name: 'Opens', of: (row) => row.opens },
    { name: 'With this token', of: (row) => el('span', { class: row.verdict === 'yes' ? 'met' : 'unmet' }, row.verdict) },
  ];
  const isOpen = !token() && found.every(({ verdict: said }) => said === 'yes');
  view.show(
    heading('Access', token() ? 'A token is in use.' : 'No token is in use.'),
    isOpen ? notice('This service asks for no token: whoever reaches its address may ask everything.') : null,
    panel(
      'Token',
      tokenForm(() => show(view)),
    ),
    panel('What is open', table('Scopes', columns, found)),
  );
}

async function verdict(question, signal) {
  try {
    await question.ask(signal);
    return 'yes';
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) return token() ? `no: ${error.message}` : 'no: it needs a token';
    if (error.status === 403) return 'no: the token lacks this scope';
    // It came as far as the answer.
    return error.status === 0 ? 'no answer' : 'yes';
  }
}
