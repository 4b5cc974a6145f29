// What an instance uses, from one look at its counters to the next.

const KEPT = 90;
const SERIES = ["cpu", "memory", "read", "written", "received", "sent"];

export class Meter {
  #before;
  cpu = [];
  memory = [];
  read = [];
  written = [];
  received = [];
  sent = [];

  // Takes an instance with its state; returns rates a second since the last one, or undefined for the first.
  // `cpu` is in percent of all the instance's CPUs.
  take(instance) {
    const { state } = instance;
    if (instance.status !== "Running" || !state?.pid) {
      this.#before = this.last = undefined;
      for (const name of SERIES) this[name].length = 0;
      return undefined;
    }
    const now = performance.now() / 1000;
    const card = Object.values(state.network ?? {})[0]?.counters;
    const counters = {
      pid: state.pid, now, cpu: state.cpu.usage / 1e9, read: state.disk?.root?.bytes_read ?? 0,
      written: state.disk?.root?.bytes_written ?? 0, received: card?.bytes_received ?? 0, sent: card?.bytes_sent ?? 0,
    };
    const before = this.#before;
    // Another process begins to count anew.
    if (before?.pid !== counters.pid) {
      this.#before = counters;
      return undefined;
    }
    const seconds = now - before.now;
    if (seconds < 0.2) return this.last;
    this.#before = counters;
    const perSecond = (name) => Math.max(0, (counters[name] - before[name]) / seconds);
    const processors = Number(instance.expanded_config?.["limits.cpu"] ?? instance.config["limits.cpu"] ?? 1) || 1;
    this.last = {
      cpu: 100 * perSecond("cpu") / processors, memory: state.memory.usage, read: perSecond("read"),
      written: perSecond("written"), received: perSecond("received"), sent: perSecond("sent"),
    };
    for (const name of SERIES) {
      this[name].push(this.last[name]);
      if (this[name].length > KEPT) this[name].shift();
    }
    return this.last;
  }
}
