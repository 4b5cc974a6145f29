// A volume's snapshots: made, put back, copied, deleted.

import { inProject, put } from "./api.js";
import { ask } from "./ask.js";
import { h } from "./dom.js";
import { nameIn, time } from "./format.js";
import { icon } from "./icons.js";
import { askSnapshot, dropSnapshot, keptCard, keptUntil, snapshotPath } from "./kept.js";
import { say } from "./notices.js";
import { askRename } from "./rename.js";

// `copy` asks for a copy of one, by its name.
export function volumeSnapshotCard({ name, place, copy }) {
  const button = h("button", { type: "button", "data-action": "snapshot", onclick: () => askSnapshot({ name, place, card }) }, icon("plus"), "New snapshot");
  const card = keptCard({
    kind: "snapshot", title: "Snapshots", subject: name, place: `${place}/snapshots`, buttons: [button],
    // The volume's name stands before it.
    nameOf: (snapshot) => nameIn(snapshot.name),
    none: "None. One keeps what is on the volume at that moment, and takes no time; a machine may have it.",
    columns: [["Taken", (one) => time(one.created_at)], ["Goes", keptUntil]],
    actions: [
      { name: "restore", title: "Restore", sign: "back", task: (one, called) => restore(called) },
      { name: "copy", title: "Copy", sign: "copy", task: (one, called) => copy(`${name}/${called}`) },
      { name: "rename", title: "Rename", sign: "edit", task: (one, called) => askRename(called, snapshotPath(place, called), card.refresh) },
      { name: "delete", title: "Delete", sign: "trash", task: (one, called) => dropSnapshot({ name, place, card }, called) },
    ],
  });

  const restore = (snapshot) => ask({
    title: `Go back to ${snapshot}?`, action: "Restore", isDangerous: true,
    text: `${name} becomes what it was when ${snapshot} was made. What was written to it since is lost. No machine that has it may run.`,
    submit: async () => {
      await put(place, { restore: snapshot }, inProject());
      say(`${name} is as it was at ${snapshot}.`);
    },
  });

  card.refresh();
  return card;
}
