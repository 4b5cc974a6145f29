// Asks for what is needed for something, in a dialog that stays until it is done: what goes wrong is told within.

import { finish } from "./api.js";
import { showDialog } from "./dialogs.js";
import { h, identifier, setText } from "./dom.js";
import { checker } from "./form.js";
import { complain } from "./notices.js";
import { progressBar } from "./progress.js";

// A box to be ticked.
export function check(name, label, isChecked = false) {
  const control = h("input", { type: "checkbox", name, checked: isChecked });
  return { control, element: h("label", { class: "check" }, control, label), get value() { return control.checked; } };
}

// `fields` are of form.js, or of `check`. `demand(all)` complains beside them; `submit(progress, signal)` does it, and throws
// what goes wrong. True when it was done. Whoever closes the dialog before hears of a failure all the same; the signal
// says so to what can be left off.
export async function ask({ title, text = "", fields = [], action, isDangerous = false, demand = () => {}, fieldOf = () => undefined, submit }) {
  const heading = identifier("question");
  const problem = h("p", { class: "field-error", role: "alert" });
  const progress = progressBar();
  const button = h("button", { type: "submit", class: isDangerous ? "danger" : "main", "data-confirm": true }, action);
  const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const abort = new AbortController();
  let isDone = false;

  function tell(error) {
    const one = fieldOf(error.message ?? "");
    if (one) one.tell(error.text ?? String(error));
    else setText(problem, error.text ?? String(error));
    (one?.control ?? button).focus();
  }

  async function run(event) {
    event.preventDefault();
    if (button.disabled) return;
    const all = checker();
    demand(all);
    if (!all.isRight) return;
    setText(problem, "");
    button.disabled = true;
    let failure;
    try { await submit(progress, abort.signal); } catch (error) { failure = error; }
    button.disabled = false;
    progress.hide();
    if (!failure) {
      isDone = true;
      dialog.close();
    } else if (dialog.isConnected) tell(failure);
    else complain(failure, title);
  }

  const dialog = h("dialog", { "aria-labelledby": heading },
    h("form", { novalidate: true, onsubmit: run },
      h("h2", { id: heading }, title), text ? h("p", {}, text) : null, ...fields.map((one) => one.element),
      progress.element, problem, h("div", { class: "buttons end" }, cancel, button)));
  (isDangerous || !fields.length ? cancel : fields[0].control).autofocus = true;
  await showDialog(dialog);
  abort.abort();
  return isDone;
}

// Waits for an operation, and shows how far it is.
export const follow = (operation, progress) => finish(operation, (current) => progress.follow(current));
