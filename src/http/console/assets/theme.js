// Light or dark: as the system wants it, until somebody says otherwise.
//
// Invariant: charts are drawn with the colours of the page; whoever draws on a canvas is told when they change.

const KEPT_AS = 'segmentd-theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const drawn = new Set();

function chosen() {
  try {
    return localStorage.getItem(KEPT_AS);
  } catch {
    return null; // The browser keeps nothing for this page.
  }
}

function isDark() {
  return (chosen() ?? (system.matches ? 'dark' : 'light')) === 'dark';
}

function wear(button) {
  document.documentElement.dataset.theme = isDark() ? 'dark' : 'light';
  button.textContent = isDark() ? 'Light' : 'Dark';
  button.setAttribute('aria-label', isDark() ? 'Switch to light colours' : 'Switch to dark colours');
  drawn.forEach((draw) => draw());
}

/** Puts the colours on, and lets the button switch them. */
export function lookTheme(button) {
  wear(button);
  system.addEventListener('change', () => wear(button));
  button.addEventListener('click', () => {
    try {
      localStorage.setItem(KEPT_AS, isDark() ? 'light' : 'dark');
    } catch {
      return;
    }
    wear(button);
  });
}

/** A colour of the page, by its variable's name. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Calls `draw` whenever colours have changed, until `signal` is aborted. */
export function redrawn(draw, signal) {
  drawn.add(draw);
  signal.addEventListener('abort', () => drawn.delete(draw));
}
