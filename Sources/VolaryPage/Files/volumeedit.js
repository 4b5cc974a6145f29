// Changes what a volume is, other than its size and name.

import { getTagged, inProject, put } from "./api.js";
import { ask, check } from "./ask.js";
import { h } from "./dom.js";
import { field, input, lines } from "./form.js";
import { attempt, say } from "./notices.js";

const [SHARED, FORMAT, EXPIRY, PATTERN] = ["security.shared", "volary.format", "snapshots.expiry", "snapshots.pattern"];
const formats = [["raw", "As it is (raw)"], ["qcow2", "A qcow2 image"]];
const isTrue = (value) => ["true", "1", "yes", "on"].includes(value);

export const sharedBox = (isChecked) => check("shared", "Shared: several instances may have it attached, one machine at a time", isChecked);

// It is saved over what was read and nothing else. True when it was done.
export async function askVolumeEdit(name, place, isServer) {
  const read = await attempt(name, () => getTagged(place, inProject()));
  if (!read) return false;
  const { value: volume, tag } = read;
  const description = field({ name: "description", label: "Description", control: lines({ value: volume.description }) });
  const text = (key, label, hint) => [key, field({ name: key, label, hint, control: input({ value: volume.config[key] ?? "" }) })];
  const format = [FORMAT, field({ name: "format", label: "What is on it", control: h("select", {}, ...formats.map(([value, title]) => h("option", { value }, title))) })];
  format[1].control.value = volume.config[FORMAT] ?? "raw";
  const keys = isServer ? [format] : [text(EXPIRY, "Snapshots go after", "Such as 3d; empty for not by themselves."), text(PATTERN, "Names of snapshots", "Empty for the usual ones.")];
  const shared = sharedBox(isTrue(volume.config[SHARED]));
  return await ask({
    title: `Edit ${name}`, action: "Save", fields: [description, ...keys.map(([, one]) => one), shared],
    fieldOf: (message) => keys.find(([key]) => message.includes(key))?.[1],
    submit: async () => {
      const said = Object.fromEntries([...keys.map(([key, one]) => [key, one.value]), [SHARED, shared.value ? "true" : ""]]);
      // What is as it was stays as it was said.
      if (shared.value === isTrue(volume.config[SHARED])) said[SHARED] = volume.config[SHARED] ?? "";
      if (isServer && format[1].value === (volume.config[FORMAT] ?? "raw")) said[FORMAT] = volume.config[FORMAT] ?? "";
      const config = Object.fromEntries(Object.entries({ ...volume.config, ...said }).filter(([, value]) => value));
      await put(place, { description: description.value, config }, inProject(), tag);
      say(`${name} is saved.`);
    },
  });
}
