// The two directories of a mirrored pool: whether they have the same, and what brings them to it.

import { finish, get, inProject, path, post } from "./api.js";
import { ask, check } from "./ask.js";
import { h, listTable, reconcile, setText } from "./dom.js";
import { icon } from "./icons.js";
import { attempt, say } from "./notices.js";
import { progressBar } from "./progress.js";

const words = { current: "In sync", behind: "Behind", rebuilding: "Rebuilding", missing: "Missing" };

export function sidesCard(pool, onDone) {
  const place = path("storage-pools", pool);
  const body = h("tbody");
  const progress = progressBar();
  const repairing = h("button", { type: "button", "data-action": "repair", onclick: repair }, icon("restart"), "Repair");
  const element = h("div", { class: "card", id: "sides", hidden: true }, h("h2", {}, "Mirror"),
    listTable(["Directory", "State"], body, { hasActions: false }), progress.element, h("div", { class: "buttons" }, repairing));
  let sides = [];

  const makeRow = (side) => h("tr", { "data-side": side.source },
    h("th", { scope: "row", class: "words" }, h("span", { class: "strong" }, side.source)),
    h("td", { class: "state", "data-title": "State" }, h("span", { class: "chip" }), h("span", { class: "under reason" })));

  function updateRow(row, side) {
    const chip = row.querySelector(".chip");
    chip.dataset.state = side.state;
    setText(chip, words[side.state] ?? side.state);
    setText(row.querySelector(".reason"), side.message);
  }

  async function repair() {
    const isMissing = sides.some((side) => side.state === "missing");
    const replace = check("replace", "An empty directory takes the place of the side that is not there: that one is lost for good");
    let operation;
    const isBegun = await ask({
      title: `Repair ${pool}?`, action: "Repair", fields: isMissing ? [replace] : [],
      text: "What a side lacks is copied to it, while machines run.",
      submit: async () => { operation = await post(`${place}/repair`, { replace: isMissing && replace.value }, inProject()); },
    });
    if (!isBegun) return;
    onDone();
    // The pool shows how far it is.
    await attempt(`Repair ${pool}`, async () => {
      await finish(operation);
      say(`Both sides of ${pool} have everything.`);
    });
    onDone();
  }

  // The repair that runs, whoever has begun it.
  async function running() {
    const groups = await get("/1.0/operations", { recursion: 1, "all-projects": true }).catch(() => ({}));
    return Object.values(groups).flat().find((one) => one.status_code < 200 && one.resources?.storage_pools?.some((other) => other.split("?")[0] === place));
  }

  return {
    element,
    async show(all) {
      sides = all ?? [];
      element.hidden = !sides.length;
      if (!sides.length) return;
      const operation = await running();
      // What is behind is being copied while a repair runs.
      reconcile(body, sides.map((side) => operation && side.state === "behind" ? { ...side, state: "rebuilding" } : side), (side) => side.source, makeRow, updateRow);
      repairing.hidden = Boolean(operation);
      if (operation) progress.follow(operation);
      else progress.hide();
    },
  };
}
