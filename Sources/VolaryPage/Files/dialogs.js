// Questions, in the browser's own dialogs: they keep the focus, and Escape leaves them.

import { h, identifier } from "./dom.js";
import { icon } from "./icons.js";
import { attempt } from "./notices.js";

export function showDialog(dialog) {
  document.body.append(dialog);
  const before = document.activeElement;
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const value = dialog.returnValue;
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(value);
    });
  });
}

// Whether something is to be done that cannot be undone, or that somebody would miss.
export async function confirm({ title, text, action, isDangerous = false }) {
  const heading = identifier("question");
  const dialog = h("dialog", { "aria-labelledby": heading });
  const close = (value) => () => dialog.close(value);
  dialog.append(
    h("h2", { id: heading }, title), h("p", {}, text),
    h("div", { class: "buttons end" },
      h("button", { type: "button", autofocus: true, onclick: close("") }, "Cancel"),
      h("button", { type: "button", class: isDangerous ? "danger" : "main", "data-confirm": true, onclick: close("yes") },
        action)));
  return await showDialog(dialog) === "yes";
}

// Asks whether it is to be deleted, and has `task` do that. True when it was done.
export async function askAndDelete(name, text, task) {
  return await confirm({ title: `Delete ${name}?`, text, action: "Delete", isDangerous: true })
    && await attempt(`Delete ${name}`, async () => {
      await task();
      return true;
    }) === true;
}

export function explain(title, ...content) {
  const heading = identifier("about");
  const dialog = h("dialog", { "aria-labelledby": heading });
  dialog.append(
    h("div", { class: "dialog-head" }, h("h2", { id: heading }, title),
      h("button", { type: "button", class: "plain", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    ...content);
  return showDialog(dialog);
}
