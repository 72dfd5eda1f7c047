// The list of runs: filters and place are those of the page's own address.
import { address, element, make, quote, request, show } from "./dom.js";
import { date, duration, t, time, word } from "./texts.js";

const filters = ["state", "outcome", "since", "job", "instance"];
const choices = {
  state: ["open", "done", "cancelled"],
  outcome: ["complete", "partial", "failed", "timed_out", "cancelled"],
  since: ["1h", "24h", "7d", "30d"],
};
const few = 3;
let query = new URLSearchParams();
let runs = null;
let next = null;
let at = 0;
let asking = null;
let seen = "";

/** The filters of a form as the query of an address. */
export function filtered(form) {
  const kept = [...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
  return new URLSearchParams(kept).toString();
}

/** Show the runs that an address asks for; `run` is the one that the reader comes back from. */
export async function open(search, run = "") {
  query = new URLSearchParams([...search].filter(([name]) => filters.includes(name) || name === "after"));
  seen = run;
  runs = null;
  draw();
  await load();
}

export async function load() {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  show();
  try {
    const response = await request(address("", query), { signal });
    const found = await response.json();
    const link = /<([^>]*)>;\s*rel="next"/.exec(response.headers.get("Link") || "");
    next = link && new URL(link[1], location.origin).searchParams.get("after");
    [runs, at] = [found, Date.now()];
  } catch (error) {
    if (error.name === "AbortError") return;
    [runs, next] = [runs || [], null];
    at = 0;
    show(error);
  }
  draw();
}

export const close = () => asking?.abort();

export function draw() {
  for (const [name, values] of Object.entries(choices)) {
    const options = [make("option", { value: "" }, t("filter.any"))];
    const asked = query.get(name);
    for (const value of asked && !values.includes(asked) ? [...values, asked] : values) {
      options.push(make("option", { value }, word(name, value)));
    }
    element("filter").elements[name].replaceChildren(...options);
  }
  for (const name of filters) element("filter").elements[name].value = query.get(name) || "";
  const links = { newest: query.has("after") ? [] : null, older: next ? [["after", next]] : null };
  for (const [id, place] of Object.entries(links)) {
    const others = [...query].filter(([name]) => name !== "after");
    element(id).hidden = !place;
    element(id).href = `?${new URLSearchParams([...others, ...(place || [])])}`;
  }
  element("count").textContent = count();
  const focused = document.activeElement?.dataset?.run || seen;
  element("runs").replaceChildren(...(runs || []).map(row));
  if (focused && runs) {
    element("runs").querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
    seen = "";
  }
}

function count() {
  if (!runs) return t("list.loading");
  if (!at) return "";
  if (!runs.length) return t(next ? "list.go_on" : "list.none");
  return t("list.count", { n: runs.length, time: time(at) });
}

function row(run) {
  const { run_id: id, state, outcome, message, jobs, tws_instance_id: instance, user_id: user } = run;
  const rest = jobs.length - few;
  const named = jobs.slice(0, few).join(", ") + (rest > 0 ? ` ${t("list.more_jobs", { n: rest })}` : "");
  const link = make("a", { href: `?run=${encodeURIComponent(id)}` }, quote(named || message));
  Object.assign(link.dataset, { run: id, go: "" });
  const result = outcome ? word("outcome", outcome) : word("state", state);
  const more = (text) => make("td", { className: "more" }, quote(text));
  return make("tr", {},
    make("th", { scope: "row" }, link, ...(named ? [make("small", {}, quote(message))] : [])),
    make("td", { className: tone(outcome) }, result),
    make("td", {}, date(run.created_at_ms)),
    more(instance), more(user), more(duration(run.total_latency_ms)));
}

export const tone = (outcome) => ({ complete: "good", ok: "good", no_data: "good", planned: "", started: "" })[outcome]
  ?? (outcome ? "bad" : "");

/** Arrow keys, Home and End move between the runs. */
export function move(event) {
  const links = [...element("runs").querySelectorAll("a")];
  const place = links.indexOf(document.activeElement);
  const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: links.length - 1 }[event.key];
  if (place < 0 || to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  links[Math.min(Math.max(to, 0), links.length - 1)].focus();
}
