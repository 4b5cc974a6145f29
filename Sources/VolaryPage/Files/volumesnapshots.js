// A volume's snapshots: made, put back, copied, deleted.

import { finish, inProject, post, put, remove } from "./api.js";
import { ask, follow } from "./ask.js";
import { demandExpiry, keptExpiry, keptName } from "./backups.js";
import { askAndDelete } from "./dialogs.js";
import { h } from "./dom.js";
import { field, lines } from "./form.js";
import { isTime, nameIn, time } from "./format.js";
import { icon } from "./icons.js";
import { keptCard } from "./kept.js";
import { say } from "./notices.js";
import { askRename } from "./rename.js";
import { fromNow } from "./timespan.js";

// `copy` asks for a copy of one, by its name.
export function volumeSnapshotCard({ name, place, copy }) {
  const button = h("button", { type: "button", "data-action": "snapshot", onclick: make }, icon("plus"), "New snapshot");
  const of = (snapshot) => `${place}/snapshots/${encodeURIComponent(snapshot)}`;
  const card = keptCard({
    kind: "snapshot", title: "Snapshots", subject: name, place: `${place}/snapshots`, buttons: [button],
    // The volume's name stands before it.
    nameOf: (snapshot) => nameIn(snapshot.name),
    none: "None. One keeps what is on the volume at that moment, and takes no time; a machine may have it.",
    columns: [["Taken", (one) => time(one.created_at)], ["Goes", (one) => isTime(one.expires_at) ? time(one.expires_at) : "–"]],
    actions: [
      { name: "restore", title: "Restore", sign: "back", task: (one, called) => restore(called) },
      { name: "copy", title: "Copy", sign: "copy", task: (one, called) => copy(`${name}/${called}`) },
      { name: "rename", title: "Rename", sign: "edit", task: (one, called) => askRename(called, of(called), card.refresh) },
      { name: "delete", title: "Delete", sign: "trash", task: (one, called) => drop(called) },
    ],
  });

  async function make() {
    const called = keptName();
    const description = field({ name: "description", label: "Description", control: lines({}) });
    const expiry = keptExpiry("Such as 12H, 3d or 4w; empty for what snapshots.expiry says.");
    await ask({
      title: `New snapshot of ${name}`, action: "Create", fields: [called, description, expiry],
      demand: (all) => demandExpiry(all, expiry), fieldOf: (message) => /name|already/.test(message) ? called : undefined,
      submit: async (progress) => {
        await follow(await post(`${place}/snapshots`, {
          name: called.value, description: description.value || undefined, expires_at: fromNow(expiry.value),
        }, inProject()), progress);
        say(`A snapshot of ${name} is made.`);
        await card.refresh();
      },
    });
  }

  const restore = (snapshot) => ask({
    title: `Go back to ${snapshot}?`, action: "Restore", isDangerous: true,
    text: `${name} becomes what it was when ${snapshot} was made. What was written to it since is lost. No machine that has it may run.`,
    submit: async () => {
      await put(place, { restore: snapshot }, inProject());
      say(`${name} is as it was at ${snapshot}.`);
    },
  });

  const drop = (snapshot) => askAndDelete(`${name}/${snapshot}`, `The snapshot ${snapshot} is deleted. ${name} and copies of it stay as they are.`, async () => {
    await finish(await remove(of(snapshot), inProject()));
    say(`The snapshot ${snapshot} is deleted.`);
    await card.refresh();
  });

  card.refresh();
  return card;
}
