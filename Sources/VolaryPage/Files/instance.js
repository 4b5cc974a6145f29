// One instance: its state and why, what it uses, its console, what it is.

import { get, inProject, path, text } from "./api.js";
import { showActions } from "./actions.js";
import { backupCard } from "./backups.js";
import { chart } from "./chart.js";
import { showConsole } from "./console.js";
import { deviceText } from "./devices.js";
import { every, h, oneAtATime, setText } from "./dom.js";
import { bytes, percent, rate, time } from "./format.js";
import { icon } from "./icons.js";
import { showReason, showState } from "./instances.js";
import { linkList, linkTo } from "./links.js";
import { complain, say } from "./notices.js";
import { facts, pairTable } from "./pairs.js";
import { snapshotCard } from "./snapshots.js";
import { Meter } from "./usage.js";
import { volumeLink } from "./volumes.js";

const INTERVAL = 2000;
// Characters of the console's log that are shown where there is no console.
const TAIL = 6000;

// The log without what only moves a terminal's cursor or colours it.
function plain(log) {
  return log.replace(/\x1b(\[[0-9;?]*[ -\/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-_])/g, "").replace(/\r+\n/g, "\n").replace(/[^\n\t\x20-\uffff]/g, "");
}

// Where ports of the host lead to, and addresses that the guest is known to have.
function addresses(instance) {
  const ports = Object.values(instance.expanded_devices).filter((device) => device.type === "proxy")
    .map((device) => `${device.listen?.replace(/^\w+:/, "")} → ${device.connect?.split(":").pop()}`);
  const own = Object.values(instance.state?.network ?? {}).flatMap((card) => card.addresses.map((entry) => entry.address));
  return [...own, ...ports].join(", ") || "none that are known";
}

// Volumes that are attached to it.
function volumeLinks(devices) {
  const found = Object.values(devices).filter((device) => device.type === "disk" && device.pool && device.source);
  return linkList(found.map(({ pool, source }) => [volumeLink(pool, source), source]));
}

const profileLinks = (names) => linkList(names.map((one) => [linkTo("profiles", one), one]));

export function showInstance(view, { parameters: [name], onEvent }) {
  const chip = h("span", { class: "chip" });
  const why = h("p", { class: "reason" });
  const actions = h("div", { class: "buttons" });
  const meter = new Meter();
  const charts = {
    cpu: chart({ title: "CPU", series: ["CPU"], show: percent, top: 100 }),
    memory: chart({ title: "Memory", series: ["Memory"], show: bytes, least: 1 << 20 }),
    disk: chart({ title: "Disk", series: ["read", "written"], show: rate }),
    network: chart({ title: "Network", series: ["in", "out"], show: rate }),
  };
  const log = h("div");
  const snapshots = snapshotCard(name);
  const backups = backupCard({ name, place: path("instances", name), only: "instance_only" });
  const about = h("div", { class: "grid two" });
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" },
      h("a", { class: "button plain", href: "#/instances", "aria-label": "Back to the instances" }, icon("back")),
      h("h1", { id: "title" }, name), chip,
      h("a", { class: "button last", href: `${linkTo("instances", name)}/edit`, "data-edit": true }, icon("edit"), "Edit")),
    why, actions,
    h("div", { class: "grid charts" }, ...Object.values(charts).map((one) => one.element)),
    h("div", { class: "stack" }, log, snapshots.element, backups.element), about);
  view.replaceChildren(section);
  const terminal = showConsole(log, name);
  let shown = "";
  let tailOf = "";

  const refresh = oneAtATime(async () => {
    try {
      const instance = await get(path("instances", name), inProject());
      instance.state = await get(`${path("instances", name)}/state`, inProject());
      if (section.isConnected) draw(instance);
    } catch (error) {
      if (error.status === 404) {
        // Deleted by somebody, or ephemeral and stopped.
        if (section.isConnected && location.hash.startsWith("#/instances/")) {
          say(`${name} is gone.`);
          location.hash = "#/instances";
        }
      } else complain(error, name);
    }
  });

  function draw(instance) {
    showState(chip, instance);
    showReason(why, instance);
    showActions(actions, instance, { isPage: true, onDone: (action) => {
      if (action === "delete") location.hash = "#/instances";
      else refresh();
    } });
    meter.take(instance);
    charts.cpu.set([meter.cpu]);
    charts.memory.set([meter.memory], instance.state.memory.total || undefined);
    charts.disk.set([meter.read, meter.written]);
    charts.network.set([meter.received, meter.sent]);
    terminal.setRunning(instance.status === "Running" || instance.status === "Frozen");
    const ended = `${instance.status} ${instance.exit?.at}`;
    if (instance.status === "Stopped" && tailOf !== ended) {
      tailOf = ended;
      showTail();
    }
    const { state, ...rest } = instance;
    const key = JSON.stringify([rest, state.disk, state.started_at, Object.values(state.network ?? {}).map((card) => card.addresses)]);
    if (key === shown) return;
    shown = key;
    drawFacts(instance, state);
  }

  function drawFacts(instance, state) {
    const disk = state.disk.root;
    const own = Object.fromEntries(Object.entries(instance.config).filter(([key]) => !/^(volatile|image)\./.test(key)));
    about.replaceChildren(
      h("div", { class: "card" }, h("h2", {}, "About"), facts([
        ...(instance.description ? [["Description", instance.description]] : []),
        ["Architecture", instance.architecture], ["CPUs", instance.expanded_config["limits.cpu"] ?? "1"],
        ["Memory", instance.expanded_config["limits.memory"] ?? "1GiB"],
        ["Disk", disk ? `${bytes(disk.usage)} of ${bytes(disk.total)} on the host` : "–"],
        ...(Object.values(instance.expanded_devices).some((device) => device.source) ? [["Volumes", volumeLinks(instance.expanded_devices)]] : []),
        ["Addresses", addresses(instance)],
        ["Image", instance.config["image.alias"] ?? "–"],
        ["Profiles", instance.profiles.length ? profileLinks(instance.profiles) : "none"],
        ...(instance.stateful ? [["State", "kept: the next start goes on from where it stopped"]] : []),
        ["Ephemeral", instance.ephemeral ? "yes: deleted when it stops" : "no"],
        ["Created", time(instance.created_at)], ["Started", time(state.started_at)],
        ["Ended last", instance.exit ? `${instance.exit.message} (${time(instance.exit.at)})` : "never"],
      ])),
      h("div", { class: "stack" },
        pairTable("Configuration", own),
        pairTable("Devices", Object.fromEntries(Object.entries(instance.expanded_devices).map(([key, device]) => [key, deviceText(device)])))));
  }

  async function showTail() {
    try { terminal.showLog(plain(await text(`${path("instances", name)}/console`, inProject())).slice(-TAIL)); } catch (error) {
      complain(error, `${name}'s console`);
    }
  }

  onEvent((event) => {
    const source = event?.metadata?.source?.split("?")[0];
    for (const [card, part] of [[snapshots, "snapshots"], [backups, "backups"]]) {
      if (!event || (event.type === "lifecycle" && source?.startsWith(`${path("instances", name)}/${part}/`))) card.refresh();
    }
    if (!event || (event.type === "lifecycle" && event.metadata.source?.split("?")[0] === path("instances", name))) refresh();
  });
  every(INTERVAL, section, refresh);
  return () => terminal.close();
}
