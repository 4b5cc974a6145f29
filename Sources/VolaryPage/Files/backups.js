// Backups of an instance, or of a volume: made, fetched as files, deleted.

import { finish, inProject, post, remove } from "./api.js";
import { ask, check, follow } from "./ask.js";
import { askAndDelete } from "./dialogs.js";
import { h } from "./dom.js";
import { field } from "./form.js";
import { bytes, time } from "./format.js";
import { icon } from "./icons.js";
import { aboutName, demandExpiry, keptCard, keptExpiry, keptName, keptUntil } from "./kept.js";
import { attempt, say } from "./notices.js";
import { askRename } from "./rename.js";
import { fromNow } from "./timespan.js";
import { download } from "./transfer.js";

const packings = [["zstd", "With zstd"], ["gzip", "With gzip"], ["none", "Not at all"]];

// `place` is the instance's or the volume's; `only` is the key of one without snapshots.
export function backupCard({ name, place, only }) {
  const button = h("button", { type: "button", "data-action": "backup", onclick: make }, icon("plus"), "New backup");
  const card = keptCard({
    kind: "backup", title: "Backups", subject: name, place: `${place}/backups`, buttons: [button],
    none: `None. A backup is a file beside ${name} that it can be made again from, here or on another host.`,
    columns: [
      ["Made", (backup) => time(backup.created_at)], ["Goes", keptUntil],
      ["Size", (backup) => bytes(backup.size)], ["Snapshots", (backup) => backup[only] ? "no" : "yes"],
    ],
    actions: [
      { name: "download", title: "Download", sign: "down", task: fetchFile },
      { name: "rename", title: "Rename", sign: "edit", task: (one) => askRename(one.name, `${place}/backups/${encodeURIComponent(one.name)}`, card.refresh) },
      { name: "delete", title: "Delete", sign: "trash", task: (one) => drop(one) },
    ],
  });

  async function make() {
    const called = keptName();
    const expiry = keptExpiry("Such as 12H, 3d or 4w; empty for not by itself.");
    const packing = field({ name: "packing", label: "Packed", control: h("select", {}, ...packings.map(([value, title]) => h("option", { value }, title))) });
    const alone = check("alone", "Leave its snapshots out");
    await ask({
      title: `New backup of ${name}`, action: "Create", fields: [called, expiry, packing, alone],
      text: only === "instance_only" ? "It may run meanwhile. Memory is not in a backup, and neither are volumes that are attached." : "A machine may have it meanwhile.",
      demand: (all) => demandExpiry(all, expiry), fieldOf: aboutName(called),
      submit: async (progress) => {
        await follow(await post(`${place}/backups`, {
          name: called.value || undefined, expires_at: fromNow(expiry.value), compression_algorithm: packing.value, [only]: alone.value,
        }, inProject()), progress);
        say(`A backup of ${name} is made.`);
        await card.refresh();
      },
    });
  }

  async function fetchFile(backup) {
    const abort = new AbortController();
    const leave = h("button", { type: "button", onclick: () => abort.abort() }, "Cancel");
    card.progress.element.append(leave);
    await attempt(`Download ${backup.name}`, async () => {
      await download(`${place}/backups/${encodeURIComponent(backup.name)}/export`, inProject(), `${name}-${backup.name}`,
        (done, total) => card.progress.move(`fetching ${backup.name}`, done, total), abort.signal);
      say(`The backup ${backup.name} is fetched.`);
    });
    leave.remove();
    card.progress.hide();
  }

  const drop = (backup) => askAndDelete(`the backup ${backup.name}`, `The file of ${backup.name} is deleted. ${name} stays as it is.`, async () => {
    await finish(await remove(`${place}/backups/${encodeURIComponent(backup.name)}`, inProject()));
    say(`The backup ${backup.name} is deleted.`);
    await card.refresh();
  });

  card.refresh();
  return card;
}
