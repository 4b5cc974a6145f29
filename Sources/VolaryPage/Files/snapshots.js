// An instance's snapshots: made, put back, copied, deleted.

import { finish, get, inProject, path, post, put, remove } from "./api.js";
import { askAndDelete, confirm, prompt } from "./dialogs.js";
import { h, listTable, oneAtATime, reconcile, setText } from "./dom.js";
import { bytes, time } from "./format.js";
import { icon } from "./icons.js";
import { linkTo } from "./links.js";
import { attempt, complain, say } from "./notices.js";

const NEVER = "0001-01-01T00:00:00Z";

export function showSnapshots(holder, name) {
  const place = path("instances", name);
  const of = (snapshot) => path("instances", name, "snapshots", snapshot);
  const body = h("tbody");
  const none = h("p", { class: "quiet" }, "None. One keeps the disk and the configuration as they are at that moment, and takes no time.");
  const table = listTable(["Snapshot", "Taken", "Goes", "Size"], body, { hidden: true });
  const button = h("button", { type: "button", "data-action": "snapshot", onclick: make }, icon("plus"), "New snapshot");
  holder.replaceChildren(h("div", { class: "card", id: "snapshots" }, h("h2", {}, "Snapshots"), none, table, h("div", { class: "buttons" }, button)));

  const refresh = oneAtATime(async () => {
    try {
      const all = await get(`${place}/snapshots`, inProject({ recursion: 1 }));
      none.hidden = all.length > 0;
      table.hidden = !all.length;
      reconcile(body, all, (snapshot) => snapshot.name, makeRow, updateRow);
    } catch (error) {
      if (error.status !== 404) complain(error, `${name}'s snapshots`);
    }
  });

  // Does something that is an operation, and tells.
  const carryOut = (title, done, task) => attempt(title, async () => {
    await finish(await task());
    say(done);
    await refresh();
    return true;
  });

  async function make() {
    const wanted = await prompt({ title: `New snapshot of ${name}`, label: "Name", hint: "Empty for one that is made up.", action: "Create" });
    if (wanted === null) return;
    await carryOut(`Snapshot of ${name}`, `A snapshot of ${name} is made.`, () => post(`${place}/snapshots`, { name: wanted }, inProject()));
  }

  async function restore(snapshot) {
    const isWanted = await confirm({
      title: `Go back to ${snapshot}?`, action: "Restore", isDangerous: true,
      text: `${name} becomes what it was when ${snapshot} was made, disk and configuration. What it became since is lost; if it runs, its power is cut, and it is started again.`,
    });
    if (isWanted) await carryOut(`Restore ${name}`, `${name} is as it was at ${snapshot}.`, () => put(place, { restore: snapshot }, inProject()));
  }

  async function copy(snapshot) {
    const wanted = await prompt({ title: `Copy ${name}/${snapshot}`, label: "Name of the new instance", hint: "Empty for one that is made up. No data is copied.", action: "Copy" });
    if (wanted === null) return;
    const source = { type: "copy", source: `${name}/${snapshot}` };
    const made = await attempt(`Copy ${name}/${snapshot}`, async () =>
      (await finish(await post("/1.0/instances", { name: wanted, source }, inProject()))).resources.instances[0].split("/").pop());
    if (!made) return;
    say(`${made} is made.`);
    location.hash = linkTo("instances", made);
  }

  const drop = (snapshot) => askAndDelete(`${name}/${snapshot}`, `The snapshot ${snapshot} is deleted. ${name} and copies of it stay as they are.`, async () => {
    await finish(await remove(of(snapshot), inProject()));
    say(`The snapshot ${snapshot} is deleted.`);
    await refresh();
  });

  function makeRow(snapshot) {
    const act = (action, title, sign, task) => h("button", {
      type: "button", class: "plain", "data-action": action, title, "aria-label": `${title} ${snapshot.name}`, onclick: () => task(snapshot.name),
    }, icon(sign));
    return h("tr", { "data-snapshot": snapshot.name },
      h("th", { scope: "row" }, h("span", { class: "strong" }, snapshot.name), h("span", { class: "under" })),
      h("td", { "data-title": "Taken" }), h("td", { "data-title": "Goes" }), h("td", { "data-title": "Size" }),
      h("td", { class: "actions" }, h("div", { class: "buttons tight" },
        act("restore", "Restore", "back", restore), act("copy", "Copy", "plus", copy), act("delete", "Delete", "trash", drop))));
  }

  function updateRow(row, snapshot) {
    const [taken, goes, size] = row.querySelectorAll("td");
    setText(row.querySelector(".under"), snapshot.description);
    setText(taken, time(snapshot.created_at));
    setText(goes, snapshot.expires_at === NEVER ? "–" : time(snapshot.expires_at));
    setText(size, bytes(snapshot.size));
  }

  refresh();
  return refresh;
}
