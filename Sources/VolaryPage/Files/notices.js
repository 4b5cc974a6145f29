// What went wrong and what has changed: banners that stay until they are put away, a voice for screen readers, and
// the line that says that the daemon is away.

import { link } from "./api.js";
import { h, setText } from "./dom.js";
import { icon } from "./icons.js";

const place = document.getElementById("notices");
const live = document.getElementById("live");
let away;

// Says it to those who listen rather than look.
export function say(text) {
  live.textContent = "";
  // A live region speaks when its text changes, also to the same.
  setTimeout(() => setText(live, text), 50);
}

export function complain(error, what = "") {
  if (error?.name === "AbortError" || error?.status === 0) return;
  const text = (what ? `${what}: ` : "") + (error?.text ?? String(error?.message ?? error));
  for (const other of place.querySelectorAll(".notice p")) {
    if (other.textContent === text) return;
  }
  const banner = h("div", { class: "notice bad", role: "alert" },
    h("p", {}, text),
    h("button", { class: "plain", type: "button", "aria-label": "Put this notice away", onclick: () => banner.remove() },
      icon("close")));
  place.append(banner);
}

export function clearNotices() {
  for (const banner of [...place.children]) if (banner !== away) banner.remove();
}

// Runs what a person asked for, and says what came of it.
export async function attempt(what, task) {
  try { return await task(); } catch (error) { complain(error, what); }
  return undefined;
}

link.addEventListener("change", () => {
  if (link.isUp) {
    away?.remove();
    away = undefined;
    say("The daemon answers again.");
  } else if (!away) {
    away = h("div", { class: "notice warn", role: "alert" },
      h("p", {}, "The daemon does not answer. What you see may be old; it is asked again and again."));
    place.prepend(away);
  }
});
