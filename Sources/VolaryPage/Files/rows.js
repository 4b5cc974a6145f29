// Rows of a form that can be added and taken away: keys with values, and profiles in their order.

import { h, identifier, setText } from "./dom.js";
import { icon } from "./icons.js";
import { input, lines } from "./form.js";

const small = (sign, label, onclick, attributes = {}) =>
  h("button", { type: "button", class: "plain", "aria-label": label, title: label, onclick, ...attributes }, icon(sign));

// Keys with values. `words` names them: the legend, a key, a value, and what a new one is called.
export function pairs({ name, words, hint, known = [], entries }) {
  const list = identifier("known");
  const holder = h("div", { class: "rows" });
  const add = h("button", { type: "button", "data-add": name, onclick: () => append("", "").control.focus() }, icon("plus"), words.add);
  const element = h("fieldset", { class: "field", "data-field": name }, h("legend", {}, words.legend), h("p", { class: "hint" }, hint), holder,
    known.length ? h("datalist", { id: list }, ...known.map((key) => h("option", { value: key }))) : null, h("div", { class: "buttons" }, add));
  let rows = [];

  function append(key, value) {
    const errorId = identifier("error");
    const error = h("p", { class: "field-error", id: errorId, role: "alert" });
    const keyField = input({ value: key, placeholder: words.key, "aria-label": words.key, "aria-describedby": errorId, list: known.length ? list : undefined });
    const valueField = lines({ value, placeholder: words.value, "aria-describedby": errorId });
    // As the control holds it: other line ends are not to be a change.
    const shown = valueField.value;
    const drop = small("trash", "", () => take(row));
    const name = () => {
      valueField.setAttribute("aria-label", `${words.value} of ${keyField.value || "the new one"}`);
      drop.setAttribute("aria-label", `Remove ${keyField.value || "the new one"}`);
      drop.title = drop.getAttribute("aria-label");
    };
    const tell = (text) => {
      setText(error, text);
      for (const control of [keyField, valueField]) {
        if (text) control.setAttribute("aria-invalid", "true");
        else control.removeAttribute("aria-invalid");
      }
    };
    const row = {
      element: h("div", { class: "row", oninput: () => tell("") }, keyField, valueField, drop, error),
      control: keyField, tell, drop,
      get key() { return keyField.value.trim(); },
      get value() { return valueField.value === shown ? value : valueField.value; },
      get isOriginal() { return keyField.value === key && valueField.value === shown; },
    };
    keyField.addEventListener("input", name);
    name();
    rows.push(row);
    holder.append(row.element);
    return row;
  }

  function take(row) {
    const at = rows.indexOf(row);
    rows = rows.filter((one) => one !== row);
    row.element.remove();
    (rows[at] ?? rows[at - 1])?.drop.focus();
    if (!rows.length) add.focus();
  }

  for (const [key, value] of entries) append(key, value);
  return {
    element,
    // Those in which there is something.
    get rows() { return rows.filter((row) => row.key || row.value); },
  };
}

// Profiles in their order, of all that there are.
export function profileRows({ all, chosen, onChange = () => {} }) {
  let names = [...chosen];
  const errorId = identifier("error");
  const holder = h("ol", { class: "rows" });
  const choice = h("select", { "aria-label": "A profile to add", "aria-describedby": errorId });
  const add = h("button", { type: "button", "data-add": "profile", onclick: () => {
    names.push(choice.value);
    draw();
    (choice.hidden ? holder.querySelector("li:last-child button:last-of-type") : choice)?.focus();
  } }, icon("plus"), "Add a profile");
  const error = h("p", { class: "field-error", id: errorId, role: "alert" });
  const none = h("p", { class: "quiet" }, "None.");
  const element = h("fieldset", { class: "field", "data-field": "profiles" }, h("legend", {}, "Profiles"),
    h("p", { class: "hint" }, "A later one is over an earlier one, and what the instance says itself is over all."),
    holder, none, h("div", { class: "buttons" }, choice, add), error);

  function draw() {
    setText(error, "");
    holder.replaceChildren(...names.map((name, at) => h("li", { "data-profile": name },
      h("span", { class: "profile" }, h("span", { class: "strong" }, name), h("span", { class: "under" }, all.find((one) => one.name === name)?.description ?? "")),
      at ? small("up", `Put ${name} before ${names[at - 1]}`, () => move(at)) : null,
      small("trash", `Take the profile ${name} away`, () => take(at)))));
    const left = all.map((profile) => profile.name).filter((name) => !names.includes(name));
    choice.replaceChildren(...left.map((name) => h("option", { value: name }, name)));
    choice.hidden = add.hidden = !left.length;
    none.hidden = names.length > 0;
    onChange();
  }

  function move(at) {
    const [name] = names.splice(at, 1);
    names.splice(at - 1, 0, name);
    draw();
    holder.children[at - 1].querySelector("button").focus();
  }

  function take(at) {
    names.splice(at, 1);
    draw();
    (holder.children[Math.min(at, names.length - 1)]?.querySelector("button:last-of-type") ?? choice).focus();
  }

  const one = {
    element, tell: (text) => setText(error, text),
    get control() { return choice.hidden ? holder.querySelector("button") ?? choice : choice; },
    get names() { return names; },
  };
  draw();
  return one;
}
