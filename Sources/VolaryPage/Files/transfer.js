// Files on their way between the browser and the daemon.

import { ApiError, authorization, failure, send, target } from "./api.js";
import { h } from "./dom.js";

// For how long a file that was fetched is kept for the browser to save it.
const KEPT = 60_000;
// What packed files begin with (RFC 8878, RFC 1952).
const beginnings = [[[0x28, 0xb5, 0x2f, 0xfd], ".tar.zst"], [[0x1f, 0x8b], ".tar.gz"]];

async function ending(blob) {
  const first = new Uint8Array(await blob.slice(0, 4).arrayBuffer());
  return beginnings.find(([bytes]) => bytes.every((byte, at) => first[at] === byte))?.[1] ?? ".tar";
}

// Fetches a backup and has the browser save it. It goes by fetch, because a link has no header for the token; browsers
// keep on their disk what is large. `name` is without an ending.
export async function download(place, query, name, onProgress, signal) {
  const response = await send("GET", place, { query, signal });
  const total = Number(response.headers.get("Content-Length"));
  let done = 0;
  const counted = response.body.pipeThrough(new TransformStream({
    transform(part, controller) {
      done += part.byteLength;
      onProgress(done, total);
      controller.enqueue(part);
    },
  }));
  const blob = await new Response(counted).blob().catch(() => undefined);
  signal?.throwIfAborted();
  if (!blob || total && blob.size !== total) throw new ApiError(-1, "the backup did not come whole");
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name + await ending(blob), hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), KEPT);
}

// Sends a file, and returns what the daemon answers. XMLHttpRequest, because fetch does not tell how much has gone.
export function upload(place, query, file, headers, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", target(place, query));
    const all = { ...authorization(), "Content-Type": "application/octet-stream", ...headers };
    for (const [name, value] of Object.entries(all)) if (value) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded, total));
    request.addEventListener("load", async () => {
      const answer = new Response(request.responseText, { status: request.status });
      if (!answer.ok) return reject(await failure(answer));
      try { resolve((await answer.json()).metadata); } catch { reject(new ApiError(request.status, "the daemon's answer is none")); }
    });
    request.addEventListener("error", () => reject(new ApiError(-1, "the file did not go through: the daemon ended the connection, or is away")));
    request.addEventListener("abort", () => reject(signal.reason));
    signal?.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
