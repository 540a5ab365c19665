"use strict";
// Refreshes the parts of the page that carry data-live, and finds Services while somebody types. Without it the page works the same,
// by reloading.
(() => {
  const every = 5000; // ms between two refreshes
  const typing = 150; // ms after the last key
  const field = document.getElementById("q");
  let paused = false;
  let timer = 0;
  let running = null;

  async function refresh() {
    clearTimeout(timer);
    if (running) running.abort();
    const mine = (running = new AbortController());
    try {
      const answer = await fetch(location.pathname + location.search, {signal: mine.signal, cache: "no-store"});
      if (!answer.ok) throw new Error((await answer.text()).trim());
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      say("");
    } catch (e) {
      if (mine.signal.aborted) return;
      say("The controller does not answer. This is what it said last.");
    }
    schedule();
  }

  function schedule() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(refresh, every);
  }

  // show replaces what differs. A part in which somebody is (by keyboard, or with a selection) waits for the next time.
  function show(fresh) {
    document.title = fresh.title;
    const selection = getSelection();
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      const busy = part.contains(document.activeElement) || (!selection.isCollapsed && selection.containsNode(part, true));
      if (!next || busy || part.innerHTML === next.innerHTML) continue;
      part.replaceChildren(...document.importNode(next, true).childNodes);
    }
    document.documentElement.dataset.refreshed = Number(document.documentElement.dataset.refreshed || 0) + 1;
  }

  function say(text) {
    status.textContent = text;
  }

  let waiting = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const words = field.value.trim();
      history.replaceState(null, "", words ? "?q=" + encodeURIComponent(words) : location.pathname);
      refresh();
    }, typing);
  });
  document.getElementById("search").addEventListener("submit", (e) => {
    e.preventDefault();
    field.dispatchEvent(new Event("input"));
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? schedule() : paused || refresh()));

  const status = document.createElement("span");
  status.setAttribute("role", "status");
  const pause = document.createElement("button");
  pause.type = "button";
  pause.textContent = "Pause refreshing";
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Refresh every 5 s" : "Pause refreshing";
    if (paused) schedule();
    else refresh();
  });
  document.getElementById("refresh").append(status, pause);
  document.documentElement.classList.add("js");
  schedule();
})();
