// What happens in the daemon, as it happens: server-sent events read with fetch, because an EventSource cannot show
// a token. A stream that breaks goes on after the last event that was seen; when that is too old (410), whoever
// listens is told to read everything again.

import { authorization, failure, link, target, tellLink } from "./api.js";
import { session } from "./session.js";

// The daemon says something every 15 seconds at least.
const SILENCE = 40_000;
const PAUSES = [500, 1000, 2000, 5000, 10_000];

export class EventStream extends EventTarget {
  #last;
  #abort;
  #isOpen = false;
  #failures = 0;
  #wake = () => {};

  // Begins, and goes on until `stop`.
  start() {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#run();
  }

  constructor() {
    super();
    // There is no need to wait when something else got an answer.
    link.addEventListener("change", () => { if (link.isUp) this.#wake(); });
    addEventListener("online", () => this.#wake());
  }

  stop() {
    this.#isOpen = false;
    this.#last = undefined;
    this.#abort?.abort();
    this.#wake();
  }

  // Another project: from now on its events.
  restart() { this.#last = undefined; this.#abort?.abort(); }

  async #run() {
    while (this.#isOpen) {
      try {
        await this.#listen();
        this.#failures = 0;
      } catch (error) {
        if (error.status === 410) {
          this.#last = undefined;
          continue;
        } else if (error.status === 403) {
          return;
        } else if (error.name !== "AbortError") {
          tellLink(false);
        }
      }
      if (!this.#isOpen) return;
      const pause = PAUSES[Math.min(this.#failures++, PAUSES.length - 1)];
      await new Promise((resolve) => { this.#wake = resolve; setTimeout(resolve, pause); });
    }
  }

  async #listen() {
    const abort = this.#abort = new AbortController();
    let alarm = setTimeout(() => abort.abort(), SILENCE);
    try {
      const query = { project: session.project, since: this.#last };
      const response = await fetch(target("/1.0/events", query), {
        headers: { ...authorization(), Accept: "text/event-stream" }, signal: abort.signal, cache: "no-store",
      });
      if (!response.ok) throw await failure(response);
      const wasUp = link.isUp && this.#failures === 0;
      tellLink(true);
      this.#failures = 0;
      // What was missed without an id to go on from is read anew.
      if (this.#last === undefined || !wasUp) this.dispatchEvent(new Event("lost"));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(alarm);
        alarm = setTimeout(() => abort.abort(), SILENCE);
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) this.#take(block);
      }
    } finally { clearTimeout(alarm); }
  }

  #take(block) {
    // The daemon's first line says where it begins: from there it goes on, should it break before any event.
    const begin = /^: events after (\d+)/.exec(block);
    if (begin) this.#last = begin[1];
    const data = block.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
    const id = /^id: (\d+)$/m.exec(block)?.[1];
    if (id) this.#last = id;
    if (!data.length) return;
    this.dispatchEvent(new CustomEvent("message", { detail: JSON.parse(data.join("\n")) }));
  }
}

export const events = new EventStream();
