// Elements, addresses and requests. Texts become text nodes, never HTML: findings and questions quote logs.
import { t } from "./texts.js";

export const element = (id) => document.getElementById(id);

export function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** A text of somebody else, whose direction of writing ends with it. */
export const quote = (text) => make("bdi", {}, text || "");

// Not against the document's address: one with user and password is refused by fetch.
const root = new URL(location.pathname, location.origin);
export const address = (path = "", query = "") => new URL(`troubleshoot/runs${path}${query && `?${query}`}`, root);

/** What the server refused, or that it does not answer (status 0). */
export class Problem extends Error {
  constructor(status, { detail = "" } = {}, retrySeconds = 0) {
    super(detail);
    Object.assign(this, { status, detail, retrySeconds });
  }

  get isPassing() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

/** The response; raises a Problem. */
export async function request(url, { method = "GET", body, signal } = {}) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  let response;
  try {
    response = await fetch(url, { method, headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0);
  }
  if (response.ok) return response;
  const reply = await response.json().catch(() => ({}));
  throw new Problem(response.status, reply, Number(response.headers.get("Retry-After")) || 0);
}

let shown = null;

/** Show a problem in words, or none. */
export function show(problem = null) {
  if (problem && !(problem instanceof Problem)) throw problem;
  shown = problem;
  const lines = [];
  if (problem) {
    const { status, detail, retrySeconds } = problem;
    const known = { 0: "problem.network", 401: "problem.401", 403: "problem.403", 404: "problem.404", 409: "problem.409",
      413: "problem.413", 422: "problem.422", 429: "problem.429", 501: "problem.501", 503: "problem.503" };
    const words = t(known[status] || "problem.unknown", { status: String(status) });
    lines.push(make("div", {}, words, retrySeconds ? ` ${t("problem.retry", { n: retrySeconds })}` : ""));
    if (detail) lines.push(make("small", {}, `${t("problem.detail")} `, make("bdi", { lang: "en" }, String(detail))));
  }
  element("problem").replaceChildren(...lines);
}

export const showAgain = () => show(shown);
