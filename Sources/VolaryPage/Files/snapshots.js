// An instance's snapshots: made, put back, copied, deleted.

import { finish, inProject, path, post, put, remove } from "./api.js";
import { ask, check, follow } from "./ask.js";
import { demandExpiry, keptExpiry, keptName } from "./backups.js";
import { askCopy } from "./copies.js";
import { askAndDelete } from "./dialogs.js";
import { h } from "./dom.js";
import { field, lines } from "./form.js";
import { bytes, isTime, time } from "./format.js";
import { icon } from "./icons.js";
import { keptCard } from "./kept.js";
import { say } from "./notices.js";
import { askRename } from "./rename.js";
import { fromNow } from "./timespan.js";

export function snapshotCard(name) {
  const place = path("instances", name);
  const button = h("button", { type: "button", "data-action": "snapshot", onclick: make }, icon("plus"), "New snapshot");
  const card = keptCard({
    kind: "snapshot", title: "Snapshots", subject: name, place: `${place}/snapshots`, buttons: [button],
    none: "None. One keeps the disk and the configuration as they are at that moment, and takes no time.",
    columns: [
      ["Taken", (one) => time(one.created_at)], ["Goes", (one) => isTime(one.expires_at) ? time(one.expires_at) : "–"],
      ["Memory", (one) => one.stateful ? "yes" : "no"], ["Size", (one) => bytes(one.size)],
    ],
    actions: [
      { name: "restore", title: "Restore", sign: "back", task: restore },
      { name: "copy", title: "Copy", sign: "copy", task: (one) => askCopy(`${name}/${one.name}`, one.expanded_devices) },
      { name: "rename", title: "Rename", sign: "edit", task: (one) => askRename(one.name, path("instances", name, "snapshots", one.name), card.refresh) },
      { name: "delete", title: "Delete", sign: "trash", task: (one) => drop(one) },
    ],
  });

  async function make() {
    const called = keptName();
    const description = field({ name: "description", label: "Description", control: lines({}) });
    const expiry = keptExpiry("Such as 12H, 3d or 4w; empty for what snapshots.expiry says.");
    const stateful = check("stateful", "Keep memory and devices too: what runs can go on from there");
    await ask({
      title: `New snapshot of ${name}`, action: "Create", fields: [called, description, expiry, stateful],
      demand: (all) => demandExpiry(all, expiry), fieldOf: (message) => /name|already/.test(message) ? called : undefined,
      submit: async (progress) => {
        await follow(await post(`${place}/snapshots`, {
          name: called.value, description: description.value || undefined, expires_at: fromNow(expiry.value), stateful: stateful.value,
        }, inProject()), progress);
        say(`A snapshot of ${name} is made.`);
        await card.refresh();
      },
    });
  }

  async function restore(snapshot) {
    const stateful = check("stateful", "Go on with memory and devices as they were", snapshot.stateful);
    await ask({
      title: `Go back to ${snapshot.name}?`, action: "Restore", isDangerous: true, fields: snapshot.stateful ? [stateful] : [],
      text: `${name} becomes what it was when ${snapshot.name} was made, disk and configuration. What it became since is lost; if it runs, its power is cut, and it is started again.`,
      submit: async (progress) => {
        await follow(await put(place, { restore: snapshot.name, stateful: snapshot.stateful && stateful.value }, inProject()), progress);
        say(`${name} is as it was at ${snapshot.name}.`);
        await card.refresh();
      },
    });
  }

  const drop = (snapshot) => askAndDelete(`${name}/${snapshot.name}`, `The snapshot ${snapshot.name} is deleted. ${name} and copies of it stay as they are.`, async () => {
    await finish(await remove(path("instances", name, "snapshots", snapshot.name), inProject()));
    say(`The snapshot ${snapshot.name} is deleted.`);
    await card.refresh();
  });

  card.refresh();
  return card;
}
