// The pages of dashboards work without this; it sorts at once, follows the log while it changes, and copies the address.
"use strict";

const sort = document.getElementById("sort");
if (sort) sort.addEventListener("change", () => sort.form.requestSubmit());

const log = document.querySelector("[data-log]");
if (log && window.EventSource) {
  const state = document.querySelector("[data-log-state]");
  const empty = "It does not run just now, or has written nothing.";
  const source = new EventSource(log.dataset.log);
  const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.scrollTop = log.scrollHeight;
  source.addEventListener("message", (event) => {
    const follow = atEnd();
    log.textContent = event.data || empty;
    if (follow) log.scrollTop = log.scrollHeight;
  });
  source.addEventListener("open", () => (state.textContent = "Followed live, without secrets."));
  source.addEventListener("error", () => (state.textContent = "Not connected just now; the page tries again by itself."));
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = before), 1500);
  });
}
