// Who the person is, for as long as this tab is open: the token, and the project that is looked at.

const TOKEN = "volary.token";
const PROJECT = "volary.project";

export const session = {
  get token() { return sessionStorage.getItem(TOKEN) ?? ""; },
  set token(value) {
    if (value) sessionStorage.setItem(TOKEN, value);
    else sessionStorage.removeItem(TOKEN);
  },
  get project() { return sessionStorage.getItem(PROJECT) ?? "default"; },
  set project(name) { sessionStorage.setItem(PROJECT, name); },
};

// A token in the address (`#token=…`) is taken, and out of the address bar and the history at once.
export function takeTokenFromAddress() {
  const match = /^#token=([^&]+)/.exec(location.hash);
  if (!match) return;
  history.replaceState(null, "", location.pathname + "#/instances");
  session.token = decodeURIComponent(match[1]);
}
