// One run, drawn from its events alone: live while it is open, from the first to the last once it has ended.
import { address, element, make, quote, request, show } from "./dom.js";
import { tone } from "./list.js";
import { date, duration, t, word } from "./texts.js";

const few = 12;
let run = null;
let drawn = [];

const key = (source, job) => (job ? `${source}|${job}` : source);

/** Show a run and follow it. */
export function open(id) {
  close();
  run = { id, facts: {}, state: "accepted", outcome: null, asked: new Map(), batches: new Map(), evidence: [],
    answer: "", connection: "", last: "", busy: false, events: null, timer: 0 };
  draw();
  connect(run);
}

export function close() {
  run?.events?.close();
  clearTimeout(run?.timer);
  run = null;
}

// After a broken connection the browser reconnects by itself, with the id of the last event. After a refusal it does
// not: why is asked, and if that can pass, the stream is resumed here.
function connect(mine) {
  const query = new URLSearchParams({ results: "true", ...(mine.last && { after: mine.last }) });
  const events = new EventSource(address(`/${encodeURIComponent(mine.id)}/events`, query));
  mine.events = events;
  for (const [name, take] of Object.entries(takers)) {
    events.addEventListener(name, (event) => {
      if (run !== mine) return;
      mine.last = event.lastEventId;
      const told = JSON.parse(event.data);
      take(mine, told.data, told);
      draw();
    });
  }
  events.onopen = () => {
    if (run !== mine) return;
    if (mine.connection) {
      mine.connection = "run.again";
      show();
    }
    draw();
  };
  events.onerror = () => {
    if (run !== mine) return;
    mine.connection = "run.gone";
    draw();
    if (events.readyState === EventSource.CLOSED) resume(mine);
  };
}

async function resume(mine) {
  let seconds = 1;
  try {
    await request(address(`/${encodeURIComponent(mine.id)}`));
  } catch (error) {
    if (run !== mine) return;
    show(error);
    if (!error.isPassing) {
      Object.assign(mine, { connection: "", isUnknown: !mine.last });
      draw();
      return;
    }
    seconds = Math.min(error.retrySeconds || 2, 10);
  }
  if (run === mine) mine.timer = setTimeout(connect, seconds * 1000, mine);
}

const takers = {
  accepted(mine, data, told) {
    Object.assign(mine.facts, { message: data.message, jobs: data.jobs || [], instance: data.tws_instance_id, at: told.at_ms });
  },
  routed(mine, data) {
    mine.state = "dispatched";
    if (data.jobs) mine.facts.jobs = data.jobs;
    else if (!mine.facts.jobs?.length) mine.facts.jobs = data.entities?.jobs || [];
    for (const planned of data.sources) tell(mine, planned, "planned");
  },
  source_started: (mine, data) => tell(mine, data, "started"),
  source_finished(mine, data) {
    tell(mine, data, "finished");
    for (const result of data.results || []) mine.evidence.push(...result.evidence);
  },
  synthesis_started: (mine) => Object.assign(mine, { state: "synthesis", answer: "" }),
  draft: (mine, data) => Object.assign(mine, { answer: data.text }),
  final: (mine, data) => end(mine, data.outcome, data),
  cancelled: (mine, data) => end(mine, "cancelled", data),
};

function end(mine, outcome, data) {
  mine.events.close();
  Object.assign(mine, { outcome, connection: mine.connection === "run.gone" ? "" : mine.connection });
  if (data.response) mine.answer = data.response;
  if (data.total_latency_ms) mine.facts.duration = data.total_latency_ms;
  conclude(mine);
}

// In the report the evidence has the numbers that the answer cites.
async function conclude(mine) {
  try {
    const report = await (await request(address(`/${encodeURIComponent(mine.id)}`))).json();
    mine.evidence = report.evidence;
    mine.facts.rerunOf = report.metadata.rerun_of;
  } catch (error) {
    if (run === mine) show(error);
  }
  if (run === mine) draw();
}

// What is asked of each source: about the whole question, or about each job, in batches or one by one.
function tell(mine, data, state) {
  const { source, job, batch, jobs } = data;
  const known = (jobs || []).map((each) => each.job || each);
  if (batch && known.length) mine.batches.set(`${source}|+${batch}`, known);
  for (const each of batch ? mine.batches.get(`${source}|+${batch}`) || [] : [job]) {
    const part = (jobs || []).find((one) => one.job === each && one.outcome) || data;
    const { outcome, latency_ms: latency, finding, error } = state === "finished" ? part : {};
    mine.asked.set(key(source, each), { source, job: each, state: outcome || state, latency, text: finding || error || "",
      isDone: state === "finished" });
  }
}

export function draw() {
  if (!run) return;
  const { facts, outcome, evidence, isUnknown } = run;
  element("run-title").replaceChildren(quote(facts.message || run.id));
  document.title = `${facts.message || run.id} · ${t("title")}`;
  const said = [["run.id", run.id], ["run.jobs", (facts.jobs || []).slice(0, few).join(", ")
    + (facts.jobs?.length > few ? ` ${t("list.more_jobs", { n: facts.jobs.length - few })}` : "")],
    ["run.rerun_of", facts.rerunOf], ["column.instance", facts.instance], ["column.submitted", facts.at && date(facts.at)],
    ["column.duration", duration(facts.duration)]];
  element("facts").replaceChildren(...said.filter(([, text]) => text)
    .flatMap(([name, text]) => [make("dt", {}, t(name)), make("dd", {}, quote(text))]));
  element("run-body").hidden = Boolean(isUnknown);
  say("state", outcome ? word("outcome", outcome) : word("state", run.state));
  element("state").className = tone(outcome);
  say("progress", progress());
  say("connection", run.connection && t(run.connection));
  element("sources").replaceChildren(...rows());
  if (element("answer").textContent !== run.answer) element("answer").textContent = run.answer;
  element("evidence-title").textContent = t("run.evidence", { n: evidence.length });
  drawEvidence(evidence);
  enable("cancel", !outcome && !run.busy);
  enable("rerun", outcome && outcome !== "complete" && !run.busy);
  enable("rerun-all", outcome && !run.busy);
}

// A screen reader reads a status out whenever it is written.
function say(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

function enable(id, can) {
  const button = element(id);
  if (!can && document.activeElement === button) element("run-title").focus();
  button.disabled = !can;
}

function progress() {
  const all = [...run.asked.values()];
  if (!all.length) return "";
  const jobs = new Map();
  const sources = new Map();
  for (const { source, job, isDone } of all) {
    if (job) jobs.set(job, isDone && jobs.get(job) !== false);
    sources.set(source, isDone && sources.get(source) !== false);
  }
  const counted = jobs.size > 1 ? jobs : sources;
  const done = [...counted.values()].filter(Boolean).length;
  return t(jobs.size > 1 ? "run.jobs_done" : "run.progress", { done, n: counted.size });
}

function rows() {
  const shown = new Map();
  for (const [name, part] of run.asked) {
    if (run.asked.size <= few || !part.job) shown.set(name, { name: part.source, ...part });
    else {
      const { done = 0, n = 0 } = shown.get(part.source) || {};
      shown.set(part.source, { name: part.source, done: done + part.isDone, n: n + 1 });
    }
  }
  return [...shown.values()].map(({ name, job, state, latency, text, done, n }) => make("tr", {},
    make("th", { scope: "row" }, quote(name), ...(job ? [make("small", {}, quote(job))] : [])),
    make("td", { className: tone(state) }, n ? t("run.jobs_done", { done, n }) : word("source", state),
      make("small", { className: "less" }, ` ${duration(latency)}`)),
    make("td", { className: "more" }, duration(latency)),
    make("td", { className: "text" }, quote(text))));
}

// From the first that is another: what was opened before it stays open.
function drawEvidence(items) {
  const box = element("evidence");
  const names = items.map((item) => `${run.id} [${item.id}] ${item.title} ${item.where} ${item.job}`);
  let same = 0;
  while (same < drawn.length && drawn[same] === names[same]) same += 1;
  while (box.childElementCount > same) box.lastElementChild.remove();
  box.append(...items.slice(same).map(({ id, title, text, where, when }) => make("details", {},
    make("summary", {}, quote(`[${id}] ${title}`)),
    make("small", {}, quote([where, when].filter(Boolean).join(" · "))),
    make("pre", { tabIndex: 0 }, quote(text)))));
  drawn = names;
}

async function act(task) {
  const mine = run;
  mine.busy = true;
  show();
  draw();
  try {
    return await task(`/${encodeURIComponent(mine.id)}`);
  } catch (error) {
    if (run === mine) show(error);
    return null;
  } finally {
    mine.busy = false;
    draw();
  }
}

export const cancel = () => act((path) => request(address(path), { method: "DELETE" }));

/** The id of the new run, if there is one. */
export async function rerun(all) {
  const response = await act((path) => request(address(`${path}/rerun`), { method: "POST", body: { all } }));
  return response && (await response.json()).run_id;
}
