// The page's address says what is shown: `?run=ID` a run, anything else the list with its filters.
import { address, element, request, show, showAgain } from "./dom.js";
import * as list from "./list.js";
import * as run from "./run.js";
import { current, speak, t } from "./texts.js";

let shownRun = "";
let listSearch = "";

function open({ isFirst = false } = {}) {
  const search = new URLSearchParams(location.search);
  const id = search.get("run") || "";
  const left = shownRun;
  shownRun = id;
  show();
  element("list").hidden = Boolean(id);
  element("run").hidden = !id;
  if (id) {
    list.close();
    run.open(id);
    if (!isFirst) element("run-title").focus();
  } else {
    run.close();
    listSearch = location.search;
    element("back").href = listSearch || "?";
    document.title = t("title");
    if (!isFirst && !left) element("list-title").focus();
    list.open(search, left);
  }
}

function go(search) {
  history.pushState(null, "", search || location.pathname);
  open();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-go]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(new URL(link.href).search);
});
addEventListener("popstate", () => open());
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shownRun && event.target !== element("language")) go(listSearch);
  else list.move(event);
});

element("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  go(`?${list.filtered(event.target)}`);
});
element("refresh").addEventListener("click", list.load);

element("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { message } = event.target.elements;
  show();
  try {
    const reply = await request(address(), { method: "POST", body: { message: message.value } });
    go(`?run=${(await reply.json()).run_id}`);
    message.value = "";
  } catch (error) {
    show(error);
  }
});

element("cancel").addEventListener("click", run.cancel);
for (const [id, all] of [["rerun", false], ["rerun-all", true]]) {
  element(id).addEventListener("click", async () => {
    const made = await run.rerun(all);
    if (made) go(`?run=${made}`);
  });
}

element("language").addEventListener("change", (event) => {
  speak(event.target.value);
  if (shownRun) run.draw();
  else {
    document.title = t("title");
    list.draw();
  }
  showAgain();
});

speak();
element("language").value = current();
open({ isFirst: true });
