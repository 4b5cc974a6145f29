// The serial console of an instance, in xterm.js. That is not a part of this page but of Debian: where it is not
// installed, all but the console works.

import { inProject, path, post } from "./api.js";
import { h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { attempt, say } from "./notices.js";
import { session } from "./session.js";

const PAUSES = [500, 1000, 2000, 4000, 8000];
// Bytes by which the place is found again.
const TAIL = 512;
const encoder = new TextEncoder();
const latin = (bytes) => String.fromCharCode(...bytes.subarray(-65_536));
let loading;

// xterm.js and what it needs, once. Drawing on a canvas it keeps to this page's policy, which allows no inline styles.
async function load() {
  const stylesheet = h("link", { rel: "stylesheet", href: "/ui/xterm.css" });
  document.head.append(stylesheet);
  await import("/ui/xterm.js");
  await Promise.all([import("/ui/xterm-addon-fit.js"), import("/ui/xterm-addon-canvas.js")]);
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { background: of("--console"), foreground: of("--console-text"), cursor: of("--console-cursor"), selectionBackground: of("--console-selection") };
}

export function showConsole(holder, name) {
  const button = (sign, title, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, sign ? icon(sign) : null, title);
  const connect = button("terminal", "Open console", () => open(), { class: "main", "data-console": "open" });
  const leave = button("close", "Disconnect", () => disconnect(), { hidden: true, "data-console": "close" });
  const paste = button("", "Paste", () => attempt("Paste", pasteText), { hidden: true });
  const size = button("", "Send size", () => tellSize(), { hidden: true, title: "Types stty in the guest, so that it knows how large this console is" });
  const state = h("span", { class: "quiet", role: "status" });
  const screen = h("div", { class: "terminal", hidden: true, "data-terminal": true });
  const log = h("pre", { class: "log", hidden: true, tabindex: "0", "aria-label": `The last lines of ${name}'s console` });
  const hint = h("p", { class: "quiet", hidden: true }, "The console takes all keys; ", h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "]"), " leads out of it.");
  holder.replaceChildren(h("div", { class: "card console" },
    h("div", { class: "card-head" }, h("h2", {}, "Console"), state, h("div", { class: "buttons tight" }, size, paste, leave, connect)),
    screen, log, hint));

  let terminal, fit, socket, observer;
  // The end of what was shown, byte by byte; a console that is opened again begins with some of it.
  let tail = "";
  let wanted = false;
  let isRunning = false;
  // Whether it was said that there is no terminal, which is not to be taken away again.
  let isMissing = false;
  let failures = 0;
  let timer;

  async function open() {
    wanted = true;
    failures = 0;
    connect.disabled = true;
    try {
      if (!terminal) await makeTerminal();
      await join();
      terminal?.focus();
    } finally { connect.disabled = false; }
  }

  async function makeTerminal() {
    try {
      await (loading ??= load());
      isMissing = false;
    } catch {
      loading = undefined;
      wanted = false;
      isMissing = true;
      log.hidden = false;
      setText(log, "The console in the browser needs xterm.js, which this host does not have.\n"
        + "On the daemon's host run `make build` and `make install` again, or on Debian 13: sudo apt install node-xterm\n"
        + `Meanwhile: volary console ${name}`);
      return;
    }
    const family = getComputedStyle(document.documentElement).getPropertyValue("--mono").trim();
    terminal = new globalThis.Terminal({ fontFamily: family, fontSize: 14, theme: colours(), scrollback: 5000, screenReaderMode: false, cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches });
    fit = new globalThis.FitAddon.FitAddon();
    terminal.loadAddon(fit);
    // Before `open`, so that the other renderer, which writes styles, is never made.
    const canvas = new globalThis.CanvasAddon.CanvasAddon();
    terminal.loadAddon(canvas);
    // For the same reason: when it goes it would put that one in its place, also in a terminal that goes with it.
    canvas.dispose = () => {};
    screen.hidden = false;
    log.hidden = true;
    hint.hidden = false;
    terminal.open(screen);
    terminal.attachCustomKeyEventHandler((event) => {
      if (!(event.ctrlKey && event.key === "]")) return true;
      if (event.type === "keydown") (leave.hidden ? connect : leave).focus();
      return false;
    });
    terminal.onData((text) => { if (socket?.readyState === WebSocket.OPEN) socket.send(encoder.encode(text)); });
    terminal.onBinary((text) => socket?.send(Uint8Array.from(text, (character) => character.charCodeAt(0))));
    observer = new ResizeObserver(() => { if (!screen.hidden) fit.fit(); });
    observer.observe(screen);
    addEventListener("themechange", recolour);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
    screen.volaryTerminal = terminal;
  }

  const recolour = () => { terminal.options.theme = colours(); };

  // An operation with the secret of a websocket, as Incus has it.
  async function join() {
    if (!terminal || !wanted) return;
    setText(state, "connecting…");
    let operation;
    try {
      operation = await post(`${path("instances", name)}/console`, { type: "console" }, inProject());
    } catch (error) { return ended(error.text ?? String(error), error.status === 0); }
    if (!wanted) return;
    const place = new URL(`/1.0/operations/${operation.id}/websocket`, location.href);
    place.protocol = place.protocol.replace("http", "ws");
    place.searchParams.set("secret", operation.metadata.fds["0"]);
    // A browser sends no headers of ours with a websocket: the token goes where the daemon looks for it there.
    const protocols = session.token ? ["volary", `volary.bearer.${session.token}`] : ["volary"];
    const mine = socket = new WebSocket(place, protocols);
    mine.binaryType = "arraybuffer";
    mine.onopen = () => {
      failures = 0;
      setText(state, "connected");
      say(`${name}'s console is connected.`);
      showButtons(true);
    };
    let isFirst = true;
    mine.onmessage = ({ data }) => {
      let bytes = typeof data === "string" ? encoder.encode(data) : new Uint8Array(data);
      if (isFirst) bytes = bytes.subarray(knownPart(bytes));
      isFirst = false;
      tail = (tail + latin(bytes)).slice(-TAIL);
      terminal.write(bytes);
    };
    mine.onclose = (event) => { if (socket === mine) ended(event.reason); };
  }

  // How much of what a console begins with has been shown: up to where the end of that is found in it.
  function knownPart(bytes) {
    if (!tail) return 0;
    const at = latin(bytes).lastIndexOf(tail);
    return at < 0 ? 0 : at + tail.length;
  }

  // Lost, or never there: it is tried again while the instance runs, and for as long as the daemon is away.
  function ended(why, isAway = false) {
    socket = undefined;
    showButtons(false);
    if (!wanted || !isRunning || (!isAway && failures >= PAUSES.length)) {
      wanted = false;
      setText(state, why ? `disconnected: ${why}` : "disconnected");
      setText(connect.lastChild, "Reconnect");
      return;
    }
    setText(state, "connection lost; trying again…");
    timer = setTimeout(join, PAUSES[Math.min(failures, PAUSES.length - 1)]);
    if (!isAway) failures++;
  }

  function disconnect() {
    wanted = false;
    clearTimeout(timer);
    socket?.close(1000);
    connect.focus();
  }

  function showButtons(isOpen) {
    const hadFocus = holder.contains(document.activeElement) && [connect, leave].includes(document.activeElement);
    connect.hidden = isOpen;
    leave.hidden = size.hidden = !isOpen;
    paste.hidden = !isOpen || !navigator.clipboard?.readText;
    if (hadFocus) (isOpen ? leave : connect).focus();
  }

  async function pasteText() {
    terminal.paste(await navigator.clipboard.readText());
    terminal.focus();
  }

  // A serial line has no way to say how large its window is, but the shell behind it has.
  function tellSize() {
    socket?.send(encoder.encode(`stty rows ${terminal.rows} cols ${terminal.cols}\r`));
    terminal.focus();
  }

  return {
    setRunning(runs) {
      const begins = runs && !isRunning;
      isRunning = runs;
      connect.disabled = !runs;
      connect.title = runs ? "" : "The instance does not run";
      if (begins && !terminal && !isMissing) log.hidden = true;
    },
    // What a guest that has ended said last.
    showLog(text) {
      if (terminal && !screen.hidden) return;
      log.hidden = !text;
      setText(log, text);
      log.scrollTop = log.scrollHeight;
    },
    close() {
      wanted = false;
      clearTimeout(timer);
      observer?.disconnect();
      removeEventListener("themechange", recolour);
      matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", recolour);
      socket?.close(1000);
      terminal?.dispose();
    },
  };
}
