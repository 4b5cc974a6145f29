// Single keys for those who do not want the mouse. They rest while somebody types, and can be turned off.

import { explain } from "./dialogs.js";
import { h } from "./dom.js";

const OFF = "volary.keys-off";
const sections = {
  i: "#/instances", m: "#/images", p: "#/profiles", n: "#/networks", s: "#/storage", o: "#/operations", e: "#/events",
};
let waitsForSection = 0;

const isOn = () => localStorage.getItem(OFF) !== "1";

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable], .terminal, dialog") !== null;
}

// Moves among the rows of a list.
function step(by) {
  const links = [...document.querySelectorAll("[data-row-link]")].filter((link) => link.offsetParent !== null);
  if (!links.length) return;
  const here = links.findIndex((link) => link.closest("[data-row]")?.contains(document.activeElement));
  links[Math.min(links.length - 1, Math.max(0, here + by))].focus();
}

const actions = {
  "?": () => showKeys(),
  "/": () => document.querySelector("[type=search]")?.focus(),
  c: () => { location.hash = "#/create"; },
  j: () => step(1),
  k: () => step(-1),
  t: () => document.getElementById("theme")?.click(),
  g: () => { waitsForSection = Date.now(); },
};

export function listenForKeys() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
    if (!isOn() && event.key !== "?") return;
    const section = Date.now() - waitsForSection < 1500 ? sections[event.key] : undefined;
    waitsForSection = 0;
    if (section) location.hash = section;
    else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
  });
}

const rows = [
  [["?"], "This list"], [["/"], "Search"], [["j"], "The next row"], [["k"], "The row before"],
  [["Enter"], "Open the row"], [["c"], "Create an instance"], [["g", "i"], "Instances"], [["g", "m"], "Images"],
  [["g", "p"], "Profiles"], [["g", "n"], "Networks"], [["g", "s"], "Storage"],
  [["g", "o"], "Operations"], [["g", "e"], "Events"], [["t"], "System's theme, light, dark"],
  [["Esc"], "Out of a form, without a change"], [["Ctrl", "]"], "Out of the console, back to the page"],
];

export function showKeys() {
  const toggle = h("input", { type: "checkbox", checked: isOn(), onchange: (event) => {
    if (event.target.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  } });
  return explain("Keyboard",
    h("table", { class: "keys" }, h("tbody", {},
      ...rows.map(([keys, what]) => h("tr", {},
        h("th", { scope: "row" }, ...keys.flatMap((key, at) => [at ? " " : null, h("kbd", {}, key)])),
        h("td", {}, what))))),
    h("label", { class: "check" }, toggle, "Single keys do this"));
}
