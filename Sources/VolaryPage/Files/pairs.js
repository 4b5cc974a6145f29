// Names with what stands for them, to be read.

import { h } from "./dom.js";

export function pairTable(title, values, none = "Nothing of its own.") {
  const rows = Object.entries(values).sort(([a], [b]) => a.localeCompare(b));
  return h("div", { class: "card" }, h("h2", {}, title),
    rows.length ? h("table", { class: "pairs" }, h("tbody", {}, ...rows.map(([key, value]) =>
      h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, value))))) : h("p", { class: "quiet" }, none));
}

export function facts(rows) {
  return h("dl", { class: "facts" }, ...rows.flatMap(([title, value]) => [h("dt", {}, title), h("dd", {}, value)]));
}
