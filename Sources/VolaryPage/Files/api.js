// Speaks to the daemon. The token goes into a header that only this page sets, so no other site can use it.

import { session } from "./session.js";

// Why a request failed, in the daemon's words.
export class ApiError extends Error {
  constructor(status, message, wayOut = "") {
    super(message);
    this.status = status;
    this.wayOut = wayOut;
  }
  get text() { return this.wayOut ? `${this.message}; ${this.wayOut}` : this.message; }
}

// No answer at all: the daemon or the network is away.
export class Unreachable extends ApiError {
  constructor() { super(0, "the daemon does not answer"); }
}

// Tells who listens whether the daemon answers, and when it knows the token no more.
export const link = Object.assign(new EventTarget(), { isUp: true });

export function tellLink(isUp) {
  if (link.isUp === isUp) return;
  link.isUp = isUp;
  link.dispatchEvent(new Event("change"));
}

export function authorization() {
  return session.token ? { Authorization: `Bearer ${session.token}` } : {};
}

// A path of the API, with each part escaped.
export function path(...parts) { return "/1.0/" + parts.map(encodeURIComponent).join("/"); }

export function target(place, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return pairs.length ? `${place}?${new URLSearchParams(pairs)}` : place;
}

// `tag` is what a change is made to: the daemon refuses it (412) where that is no more.
export async function send(method, place, { query, body, signal, tag } = {}) {
  let response;
  try {
    response = await fetch(target(place, query), {
      method, signal, cache: "no-store", credentials: "same-origin",
      headers: {
        ...authorization(), ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...(tag ? { "If-Match": tag } : {}),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    tellLink(false);
    throw new Unreachable();
  }
  tellLink(true);
  if (!response.ok) throw await failure(response);
  return response;
}

export async function failure(response) {
  const answer = await response.json().catch(() => null);
  const message = answer?.error || `the daemon answered with status ${response.status}`;
  const error = new ApiError(response.status, message, answer?.metadata?.way_out ?? "");
  if (response.status === 403 && message.startsWith("this token is not known")) {
    link.dispatchEvent(new Event("signedout"));
  }
  return error;
}

async function metadata(method, place, options) {
  return (await (await send(method, place, options)).json()).metadata;
}

export const get = (place, query, signal) => metadata("GET", place, { query, signal });
export const post = (place, body, query) => metadata("POST", place, { body, query });
export const put = (place, body, query, tag) => metadata("PUT", place, { body, query, tag });
export const patch = (place, body, query, tag) => metadata("PATCH", place, { body, query, tag });
export const remove = (place, query) => metadata("DELETE", place, { query });
export const text = async (place, query) => (await send("GET", place, { query })).text();

// With the name of the state that was read, for a change to it.
export async function getTagged(place, query) {
  const response = await send("GET", place, { query });
  return { value: (await response.json()).metadata, tag: response.headers.get("ETag") };
}

// In the project that is looked at.
export const inProject = (query = {}) => ({ project: session.project, ...query });

// Waits for an operation's end, and throws why it failed. `onProgress` sees it as it goes.
export async function finish(operation, onProgress = () => {}) {
  let current = operation;
  while (current.status_code < 200) {
    onProgress(current);
    current = await get(`/1.0/operations/${current.id}/wait`, { timeout: 0.5 });
  }
  onProgress(current);
  if (current.status_code !== 200) {
    throw new ApiError(current.error_code ?? current.status_code, current.err || "it was cancelled");
  }
  return current;
}
