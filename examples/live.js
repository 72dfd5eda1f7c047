"use strict";
const runs = "/troubleshoot/runs";
const element = (id) => document.getElementById(id);

const words = {
  ok: "ok", no_data: "sem dados", timeout: "tempo esgotado", error: "erro", not_started: "não iniciada",
  lost: "perdida", late: "atrasada", complete: "completa", partial: "parcial", failed: "falhou",
  timed_out: "tempo esgotado", cancelled: "cancelada",
};
const word = (name) => words[name] || name;

// What is asked of each source: about the whole question, or about each job, in batches or one by one.
const asked = new Map();
const batches = new Map();
const few = 12;
const key = (source, job) => (job ? `${source}|${job}` : source);
const jobsOf = ({ source, job, batch, jobs }) => {
  const known = (jobs || []).map((each) => each.job || each);
  if (batch && known.length) batches.set(`${source}|+${batch}`, known);
  return batch ? batches.get(`${source}|+${batch}`) || [] : [job];
};

function tell(data, state, text) {
  for (const job of jobsOf(data)) {
    const { outcome, finding, error } = (data.jobs || []).find((part) => part.job === job) || data;
    const shown = text || `${word(outcome)}: ${finding || error || ""}`;
    asked.set(key(data.source, job), { source: data.source, job, isDone: state === "finished", shown });
  }
  show();
}

// Findings quote logs: they are shown as text, never as HTML.
function show() {
  const rows = new Map();
  const jobs = new Map();
  for (const [name, { source, job, isDone, shown }] of asked) {
    if (job) jobs.set(job, isDone && jobs.get(job) !== false);
    if (asked.size <= few || !job) rows.set(name, shown);
    else {
      const { done = 0, all = 0 } = rows.get(source) || {};
      rows.set(source, { done: done + isDone, all: all + 1 });
    }
  }
  const cells = (texts) => texts.map((text) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    return cell;
  });
  const text = (shown) => (shown.all ? `${shown.done} de ${shown.all} jobs` : shown);
  element("sources").replaceChildren(...[...rows].map(([name, shown]) => {
    const row = document.createElement("tr");
    row.append(...cells([name, text(shown)]));
    return row;
  }));
  const done = [...jobs.values()].filter(Boolean).length;
  element("progress").textContent = jobs.size > 1 ? `${done} de ${jobs.size} jobs` : "";
}

function follow(url) {
  const events = new EventSource(url);
  const on = (name, take) => events.addEventListener(name, (event) => take(JSON.parse(event.data)));
  // After a broken connection the browser reconnects by itself, with the id of the last event.
  events.onopen = () => { element("state").textContent = "conectado"; };
  events.onerror = () => { element("state").textContent = "reconectando…"; };
  on("routed", ({ data }) => data.sources.forEach((planned) => tell(planned, "planned", "planejada")));
  on("source_started", ({ data }) => tell(data, "started", "consultando…"));
  on("source_finished", ({ data }) => tell(data, "finished"));
  on("synthesis_started", () => { element("answer").textContent = ""; });
  on("draft", ({ data }) => { element("answer").textContent = data.text; });
  const end = ({ data }) => {
    events.close();
    element("state").textContent = word(data.outcome || "cancelled");
    if (data.response) element("answer").textContent = data.response;
  };
  on("final", end);
  on("cancelled", end);
}

element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  asked.clear();
  batches.clear();
  show();
  element("answer").textContent = "";
  const response = await fetch(runs, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ message: element("message").value }),
  });
  const reply = await response.json();
  if (response.ok) follow(reply.events_url);
  else element("state").textContent = reply.detail;
});
