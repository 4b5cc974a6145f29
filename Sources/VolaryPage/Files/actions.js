// What can be done with an instance, in which state, and whether it is asked about first.

import { finish, inProject, path, put, remove } from "./api.js";
import { askCopy, askFork, askResize } from "./copies.js";
import { confirm } from "./dialogs.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { attempt, say } from "./notices.js";

const isRunning = (instance) => instance.status === "Running";
const isFrozen = (instance) => instance.status === "Frozen";
const isStopped = (instance) => instance.status === "Stopped" || instance.status === "Error";

const all = [
  { name: "start", title: "Start", sign: "play", fits: isStopped, state: { action: "start" } },
  {
    name: "anew", title: "Start anew", sign: "play", fits: (instance) => isStopped(instance) && instance.stateful, state: { action: "start", stateful: false },
    isOnPageOnly: true, question: (name) => `${name} starts as from its disk alone. The memory that was kept when it stopped is lost.`,
  },
  { name: "resume", title: "Resume", sign: "play", fits: isFrozen, state: { action: "unfreeze" } },
  { name: "pause", title: "Pause", sign: "pause", fits: isRunning, state: { action: "freeze" } },
  {
    name: "restart", title: "Restart", sign: "restart", fits: isRunning, state: { action: "restart" },
    question: (name) => `The guest of ${name} is asked to restart; what runs in it ends.`,
  },
  {
    name: "stop", title: "Stop", sign: "stop", fits: isRunning, state: { action: "stop" },
    question: (name) => `The guest of ${name} is asked to end, and has half a minute for it. Its disk stays.`,
  },
  {
    name: "keep", title: "Stop with state", sign: "keep", fits: isRunning, state: { action: "stop", stateful: true }, isOnPageOnly: true,
    question: (name) => `${name} ends at once, and its memory and devices are kept: when it is started again, it goes on from here.`,
  },
  { name: "copy", title: "Copy", sign: "copy", fits: () => true, isOnPageOnly: true, task: ({ name, expanded_devices: devices }) => askCopy(name, devices) },
  { name: "fork", title: "Fork", sign: "fork", fits: (instance) => isRunning(instance) || isFrozen(instance), isOnPageOnly: true, task: askFork },
  { name: "resize", title: "Resize", sign: "grow", fits: () => true, isOnPageOnly: true, task: askResize },
  {
    name: "cut", title: "Cut power", sign: "power", fits: (instance) => isRunning(instance) || isFrozen(instance),
    state: { action: "stop", force: true }, isDangerous: true, isOnPageOnly: true,
    question: (name) => `The power of ${name} is cut at once, as by pulling its plug. What its guest has not written is lost.`,
  },
  {
    name: "delete", title: "Delete", sign: "trash", fits: isStopped, isDangerous: true,
    question: (name) => `${name} and its disk are deleted, with its snapshots and backups. This cannot be undone.`,
  },
];

// Only the daemon says so of a guest that does not end.
const TIMED_OUT = 408;

async function carryOut(action, name) {
  const place = path("instances", name);
  const change = async (state) => finish(await put(`${place}/state`, state, inProject()));
  if (!action.state) return await finish(await remove(place, inProject()));
  try { return await change(action.state); } catch (error) {
    if (error.status !== TIMED_OUT) throw error;
    const isToBeCut = await confirm({
      title: `Cut the power of ${name}?`, text: `Its guest has not ended in time. When the power is cut, what it has not written is lost.`,
      action: "Cut power", isDangerous: true,
    });
    if (!isToBeCut) throw error;
    return await change({ ...action.state, force: true });
  }
}

// True when it needs no question, or the answer is yes.
async function isWanted(action, { name }) {
  return !action.question || await confirm({
    title: `${action.title} ${name}?`, text: action.question(name), action: action.title, isDangerous: action.isDangerous,
  });
}

// Does it, and tells. True when it was done.
async function run(action, instance) {
  if (action.task) return await action.task(instance);
  const { name } = instance;
  return await attempt(`${action.title} ${name}`, async () => {
    await carryOut(action, name);
    say(`${name}: ${action.title.toLowerCase()} is done.`);
    return true;
  }) ?? false;
}

// The buttons for an instance; kept as they are while its state is the same, so that focus stays.
export function showActions(holder, instance, { isPage = false, onDone = () => {} } = {}) {
  const fitting = all.filter((action) => action.fits(instance) && (isPage || !action.isOnPageOnly));
  // As it is when a button is pressed.
  holder.instance = instance;
  const key = `${instance.name} ${fitting.map((action) => action.name).join()}`;
  if (holder.dataset.shown === key) return;
  const hadFocus = holder.contains(document.activeElement);
  holder.dataset.shown = key;
  holder.replaceChildren(...fitting.map((action) => {
    const classes = [isPage ? "" : "plain", action.isDangerous && isPage ? "danger-text" : ""].join(" ").trim();
    const button = h("button", {
      type: "button", class: classes, "data-action": action.name, title: action.title,
      "aria-label": isPage ? undefined : `${action.title} ${instance.name}`,
      onclick: async () => {
        // Not disabled, or it would lose the focus.
        if (button.hasAttribute("aria-busy") || !await isWanted(action, holder.instance)) return;
        button.setAttribute("aria-busy", "true");
        const isDone = await run(action, holder.instance);
        button.removeAttribute("aria-busy");
        if (isDone) onDone(action.name);
      },
    }, icon(action.sign), isPage ? action.title : null);
    return button;
  }));
  if (hadFocus) holder.querySelector("button")?.focus();
}
