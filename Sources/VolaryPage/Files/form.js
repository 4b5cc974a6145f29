// What forms are made of. What is wrong with a field stands beside it; what the daemon says of a field too.

import { h, identifier, setText } from "./dom.js";

export const SIZE = /^\d+(\.\d+)?\s*([KMGT]i?B?|B)?$/i;

export const input = (attributes) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "none", ...attributes });

// Text that may have more than one line. Enter means the form, as in a field of one line, until there are two.
export function lines({ value = "", ...attributes }) {
  const control = h("textarea", { rows: 1, spellcheck: "false", autocapitalize: "none", ...attributes, value });
  const fit = () => { control.rows = Math.min(8, control.value.split("\n").length); };
  control.addEventListener("input", fit);
  control.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || control.value.includes("\n")) return;
    event.preventDefault();
    control.form?.requestSubmit();
  });
  fit();
  return control;
}

// A field with its label, hint and the place for what is wrong with it.
export function field({ name, label, hint = "", control }) {
  const [id, hintId, errorId] = [identifier(name), identifier("hint"), identifier("error")];
  control.id = id;
  control.name = name;
  control.setAttribute("aria-describedby", `${hintId} ${errorId}`);
  const hintLine = h("p", { class: "hint", id: hintId }, hint);
  const error = h("p", { class: "field-error", id: errorId, role: "alert" });
  const element = h("div", { class: "field", "data-field": name }, h("label", { for: id }, label), control, hintLine, error);
  const tell = (text) => {
    setText(error, text);
    if (text) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  control.addEventListener("input", () => tell(""));
  return { element, control, tell, hint: (text) => setText(hintLine, text), get value() { return control.value.trim(); } };
}

// The name of a profile or a pool, which the daemon takes alike.
export const nameField = () => field({ name: "name", label: "Name", hint: "Letters, digits, dashes, dots and underlines.", control: input({ maxlength: 63 }) });
export const demandName = (all, one) =>
  all.demand(one, /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(one.value), "A name has letters, digits and - _ or . within.");

// The name of an instance, as hosts have them. The daemon makes one up where there is none.
export const demandInstanceName = (all, one) =>
  all.demand(one, /^([A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?)?$/.test(one.value), "A name begins with a letter and has letters, digits and dashes.");

// Complains beside fields; `isRight` is true when there was nothing to complain about. Otherwise the first has the focus.
export function checker() {
  const wrong = [];
  return {
    demand(one, isRight, text) {
      one.tell(isRight ? "" : text);
      if (!isRight) wrong.push(one);
    },
    get isRight() {
      wrong[0]?.control.focus();
      return wrong.length === 0;
    },
  };
}

// A form with its button and Cancel, which lead back; Escape leaves it as Cancel does. `submit` does what is asked for,
// once at a time; of what it throws, `fieldOf` finds the field by the daemon's words.
export function form({ content, action, back, submit, fieldOf = () => undefined }) {
  const problem = h("p", { class: "field-error", role: "alert" });
  const button = h("button", { class: "main", type: "submit" }, action);

  function tell(error) {
    const text = error.text ?? String(error);
    const one = fieldOf(error.message ?? "");
    if (!one) {
      setText(problem, text);
      return button.focus();
    }
    one.tell(text);
    one.control.focus();
  }

  async function run() {
    if (button.disabled) return;
    setText(problem, "");
    button.disabled = true;
    let failure;
    try { await submit(); } catch (error) { failure = error; }
    button.disabled = false;
    if (failure) tell(failure);
  }

  const element = h("form", {
    class: "card form", novalidate: true,
    onsubmit: (event) => {
      event.preventDefault();
      run();
    },
    onkeydown: (event) => {
      // In a choice that is open, Escape closes that.
      if (event.key !== "Escape" || event.isComposing || event.target.matches("select")) return;
      event.preventDefault();
      location.hash = back;
    },
  }, ...content, problem, h("div", { class: "buttons" }, button, h("a", { class: "button", href: back }, "Cancel")));
  return element;
}
