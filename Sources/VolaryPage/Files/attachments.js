// Who has a volume: it is attached to instances that do not run, and taken from them.

import { get, getTagged, inProject, patch, path } from "./api.js";
import { ask, check } from "./ask.js";
import { h } from "./dom.js";
import { demandName, field, input } from "./form.js";
import { nameIn } from "./format.js";
import { icon } from "./icons.js";
import { users } from "./links.js";
import { complain, say } from "./notices.js";
import { session } from "./session.js";

const isOf = (pool, volume) => ([, device]) => device.type === "disk" && device.pool === pool && device.source === volume;

// True when it was done.
export async function attach(pool, volume) {
  let instances = [];
  try { instances = await get("/1.0/instances", inProject({ recursion: 1 })); } catch (error) { complain(error, "Instances"); }
  const choice = field({
    name: "instance", label: "Instance", hint: "One that does not run.",
    control: h("select", {}, ...instances.map(({ name, status }) => h("option", { value: name }, `${name} (${status})`))),
  });
  const device = field({ name: "device", label: "Device", hint: "What it is called there; in the guest it is /dev/disk/by-id/virtio-NAME.", control: input({ value: volume }) });
  const reading = check("readonly", "The guest may only read it");
  return ask({
    title: `Attach ${volume}`, action: "Attach", fields: [choice, device, reading],
    demand: (all) => {
      all.demand(choice, choice.value, "There is no instance in this project.");
      demandName(all, device);
    },
    submit: async () => {
      const place = path("instances", choice.value);
      const { value: instance, tag } = await getTagged(place, inProject());
      if (instance.devices[device.value]) {
        device.tell(`${choice.value} has a device ${device.value} already.`);
        throw new Error("Name another device.");
      }
      const disk = { type: "disk", pool, source: volume, ...(reading.value ? { readonly: "true" } : {}) };
      await patch(place, { devices: { [device.value]: disk } }, inProject(), tag);
      say(`${volume} is attached to ${choice.value}.`);
    },
  });
}

// True when it was done.
function detach(pool, volume, name) {
  return ask({
    title: `Detach ${volume} from ${name}?`, action: "Detach", text: "What is on it stays. The instance must not run.",
    submit: async () => {
      const place = path("instances", name);
      const { value: instance, tag } = await getTagged(place, inProject());
      const found = Object.entries(instance.devices).filter(isOf(pool, volume)).map(([device]) => [device, {}]);
      if (!found.length) throw new Error(`${volume} is not attached to ${name} by a device of its own.`);
      await patch(place, { devices: Object.fromEntries(found) }, inProject(), tag);
      say(`${volume} is detached from ${name}.`);
    },
  });
}

const isHere = (place) => (new URLSearchParams(place.split("?")[1] ?? "").get("project") ?? "default") === session.project;

// The card of those that have it, made anew only when they change, so that focus stays.
export function attachments(pool, volume, onDone) {
  const list = h("ul", { class: "rows" });
  const none = h("p", { class: "quiet" }, "No instance has it.");
  const element = h("div", { class: "card", id: "attachments" }, h("h2", {}, "Attached to"), none, list);
  let shown;

  function makeLine(place) {
    const name = nameIn(place);
    const button = h("button", { type: "button", class: "plain", "data-action": "detach", title: "Detach", "aria-label": `Detach from ${name}`,
      onclick: async () => { if (await detach(pool, volume, name)) onDone(); } }, icon("close"));
    return h("li", { "data-holder": name }, h("div", { class: "profile" }, users([place])), isHere(place) ? button : null);
  }

  return {
    element,
    show(places) {
      if (shown === places.join()) return;
      shown = places.join();
      none.hidden = places.length > 0;
      list.replaceChildren(...places.map(makeLine));
    },
  };
}
