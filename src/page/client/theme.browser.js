// The theme button: the system's theme, light or dark, remembered by this browser.
const themes = ['system', 'light', 'dark'];
const button = document.getElementById('theme');

/** @param {string} theme */
function apply(theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  if (button) button.textContent = `Theme: ${theme}`;
}

apply(themes.find((theme) => theme === localStorage.getItem('theme')) ?? 'system');
if (button) {
  button.hidden = false;
  button.addEventListener('click', () => {
    const now = document.documentElement.dataset.theme ?? 'system';
    const next = themes[(themes.indexOf(now) + 1) % themes.length] ?? 'system';
    localStorage.setItem('theme', next);
    apply(next);
  });
}
