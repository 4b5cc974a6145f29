// Others like an instance, and more room for its disk.

import { get, getTagged, inProject, patch, path, post } from "./api.js";
import { ask, check, follow } from "./ask.js";
import { isProxy, rootOf, usualRoot } from "./devices.js";
import { demandInstanceName, field, input, SIZE } from "./form.js";
import { bytes, nameIn } from "./format.js";
import { linkTo } from "./links.js";
import { complain, say } from "./notices.js";

const newName = () => field({ name: "name", label: "Name of the new instance", hint: "Empty for one that is made up.", control: input({ maxlength: 63 }) });
const fieldOf = (one) => (message) => /\bname\b|an instance `/.test(message) ? one : undefined;

// A port of the host is one machine's: a copy that runs beside the other does without it.
function portsBox(devices, isChecked) {
  const names = Object.entries(devices).filter(([, device]) => isProxy(device)).map(([name]) => name);
  const box = check("unpublished", "Leave its published ports out, which the other has", isChecked);
  return { fields: names.length ? [box] : [], get devices() { return box.value ? Object.fromEntries(names.map((name) => [name, { type: "none" }])) : {}; } };
}

// Makes it, and shows it.
async function make(body, progress) {
  const operation = await post("/1.0/instances", body, inProject());
  await follow(operation, progress);
  const made = nameIn(operation.resources.instances[0]);
  say(`${made} is made.`);
  location.hash = linkTo("instances", made);
}

// `source` is an instance, or one of its snapshots: `web/before`; `devices` are those that it has, with what profiles give.
export function askCopy(source, devices) {
  const isSnapshot = source.includes("/");
  const name = newName();
  const alone = check("alone", "Leave its snapshots out");
  const ports = portsBox(devices, false);
  const start = check("start", "Start it at once");
  return ask({
    title: `Copy ${source}`, action: "Copy", fields: [name, ...(isSnapshot ? [] : [alone]), ...ports.fields, start],
    text: `No data is copied: both share what is there, and each keeps what it writes for itself.${isSnapshot ? "" : " One that runs is copied as if its power had been cut at this moment."}`,
    demand: (all) => demandInstanceName(all, name), fieldOf: fieldOf(name),
    submit: (progress) => make({
      name: name.value || undefined, source: { type: "copy", source, instance_only: alone.value }, devices: ports.devices, start: start.value,
    }, progress),
  });
}

export function askFork({ name: source, expanded_devices: devices }) {
  const name = newName();
  const ports = portsBox(devices, true);
  return ask({
    title: `Fork ${source}`, action: "Fork", fields: [name, ...ports.fields], demand: (all) => demandInstanceName(all, name), fieldOf: fieldOf(name),
    text: "Another one runs on from this very moment, memory included. Nothing is copied: memory and disk are shared until one of both writes. The new one's connections to the outside are gone.",
    submit: (progress) => make({ name: name.value || undefined, source: { type: "copy", source, instance_only: true, fork: true }, devices: ports.devices }, progress),
  });
}

export function askResize({ name, state }) {
  const place = path("instances", name);
  const now = state?.disk?.root?.total;
  const size = field({ name: "size", label: "How large it is to be", hint: `${now ? `It has ${bytes(now)} now. ` : ""}With a unit, such as 40GiB.`, control: input({}) });
  return ask({
    title: `Resize the disk of ${name}`, action: "Resize", fields: [size], fieldOf: () => size,
    text: "It becomes larger, and not smaller; it may run, and its guest sees the new size at once. The file system of an image of Volary's grows at its next start, another's by its own tools (resize2fs, xfs_growfs).",
    demand: (all) => all.demand(size, SIZE.test(size.value), "A size with its unit, such as 40GiB."),
    submit: async () => {
      const { value: instance, tag } = await getTagged(place, inProject());
      const [device, root] = rootOf(instance.devices) ?? rootOf(instance.expanded_devices) ?? usualRoot();
      await patch(place, { devices: { [device]: { ...root, size: size.value } } }, inProject(), tag);
      // The size is set where the machine could not take it.
      const { conditions } = await get(place, inProject());
      const trouble = conditions.find((condition) => condition.reason === "DiskNotResized");
      if (trouble) complain(trouble, name);
      else say(`The disk of ${name} has ${size.value}.`);
    },
  });
}
