// The way in: a token, as `volary page` prints it.

import { get, link } from "./api.js";
import { h, identifier, setText } from "./dom.js";
import { session } from "./session.js";

// What the daemon says of whoever this is; undefined when it does not know them.
export async function whoIsThis() {
  const server = await get("/1.0");
  return server.auth === "trusted" ? server : undefined;
}

export function showSignIn(view, { why = "", onDone }) {
  const [field, hint] = [identifier("token"), identifier("hint")];
  const input = h("input", {
    id: field, type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": hint,
  });
  const problem = h("p", { class: "field-error", id: hint, role: "alert" }, why);
  const form = h("form", { class: "card signin", onsubmit: async (event) => {
    event.preventDefault();
    session.token = input.value.trim();
    try {
      const server = await whoIsThis();
      if (server) return onDone(server);
      setText(problem, "The daemon does not know this token.");
    } catch (error) {
      setText(problem, link.isUp ? `${error.text ?? error}.` : "The daemon does not answer.");
    }
    session.token = "";
    input.setAttribute("aria-invalid", "true");
    input.select();
  } },
  h("h1", {}, "Sign in"),
  h("p", {}, "On the daemon's host, ", h("code", {}, "volary page"), " prints an address that signs you in, and the token in it."),
  h("div", { class: "field" }, h("label", { for: field }, "Token"), input, problem),
  h("div", { class: "buttons" }, h("button", { class: "main", type: "submit" }, "Sign in")));
  view.replaceChildren(form);
  input.focus();
}
