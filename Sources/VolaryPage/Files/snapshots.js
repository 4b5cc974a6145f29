// An instance's snapshots: made, put back, copied, deleted.

import { inProject, path, put } from "./api.js";
import { ask, check, follow } from "./ask.js";
import { askCopy } from "./copies.js";
import { h } from "./dom.js";
import { bytes, time } from "./format.js";
import { icon } from "./icons.js";
import { askSnapshot, dropSnapshot, keptCard, keptUntil, snapshotPath } from "./kept.js";
import { say } from "./notices.js";
import { askRename } from "./rename.js";

export function snapshotCard(name) {
  const place = path("instances", name);
  const button = h("button", { type: "button", "data-action": "snapshot", onclick: () => make() }, icon("plus"), "New snapshot");
  const card = keptCard({
    kind: "snapshot", title: "Snapshots", subject: name, place: `${place}/snapshots`, buttons: [button],
    none: "None. One keeps the disk and the configuration as they are at that moment, and takes no time.",
    columns: [
      ["Taken", (one) => time(one.created_at)], ["Goes", keptUntil],
      ["Memory", (one) => one.stateful ? "yes" : "no"], ["Size", (one) => bytes(one.size)],
    ],
    actions: [
      { name: "restore", title: "Restore", sign: "back", task: restore },
      { name: "copy", title: "Copy", sign: "copy", task: (one) => askCopy(`${name}/${one.name}`, one.expanded_devices) },
      { name: "rename", title: "Rename", sign: "edit", task: (one) => askRename(one.name, snapshotPath(place, one.name), card.refresh) },
      { name: "delete", title: "Delete", sign: "trash", task: (one) => dropSnapshot({ name, place, card }, one.name) },
    ],
  });

  const make = () => askSnapshot({
    name, place, card, boxes: { stateful: check("stateful", "Keep memory and devices too: what runs can go on from there") },
  });

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

  card.refresh();
  return card;
}
