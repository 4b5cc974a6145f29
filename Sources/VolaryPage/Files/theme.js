// Before anything is drawn: the theme that the person chose, or the system's. A classic script, so that it runs
// before the first paint.
(() => {
  const key = "volary.theme";
  const themes = ["system", "light", "dark"];
  const read = () => {
    try { return localStorage.getItem(key) ?? "system"; } catch { return "system"; }
  };
  const apply = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  window.volaryTheme = {
    get current() { return read(); },
    // The next of the three; says which.
    turn() {
      const next = themes[(themes.indexOf(read()) + 1) % themes.length];
      try { localStorage.setItem(key, next); } catch { /* It holds for this page then. */ }
      apply(next);
      window.dispatchEvent(new Event("themechange"));
      return next;
    },
  };
  apply(read());
})();
