// The hub's own pages work without this; it adds what happens while one looks: a start's progress, local times, sizes
// that the chosen project has, one click for one start.
"use strict";

for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault(); // a second click is not a second start
    form.dataset.sent = "yes";
    if (event.submitter && event.submitter.value !== "stop") event.submitter.setAttribute("aria-busy", "true");
  });
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent; // back by the browser
});

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  const day = at.toDateString() === new Date().toDateString() ? {} : { day: "numeric", month: "short" };
  if (!isNaN(at)) time.textContent = at.toLocaleString([], { hour: "2-digit", minute: "2-digit", ...day });
}

function fitSizes() {
  const chosen = document.querySelector("input[name=choice]:checked");
  const sizes = [...document.querySelectorAll("input[name=size]")];
  if (!chosen || !sizes.length) return;
  for (const size of sizes) {
    size.disabled = !size.dataset.projects.split(" ").includes(chosen.dataset.project);
    size.closest("label").classList.toggle("off", size.disabled);
  }
  if (!sizes.some((size) => size.checked && !size.disabled)) {
    const first = sizes.find((size) => !size.disabled);
    if (first) first.checked = true;
  }
}
document.addEventListener("change", (event) => event.target.name === "choice" && fitSizes());
fitSizes();

function follow(pending) {
  const [bar, message, elapsed] = ["bar", "message", "elapsed"].map((id) => document.getElementById(id));
  const steps = [...pending.querySelectorAll("[data-stage]")];
  const since = pending.dataset.since ? new Date(pending.dataset.since) : new Date();

  function show(stage, part) {
    const now = steps.findIndex((step) => step.dataset.stage === stage);
    if (now < 0) return;
    steps.forEach((step, index) => {
      step.classList.toggle("done", index < now);
      if (index === now) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
      step.querySelector(".state").textContent = index < now ? "done" : index === now ? part : "";
    });
  }

  function tick() {
    const seconds = Math.max(0, Math.round((Date.now() - since) / 1000));
    const minutes = Math.floor(seconds / 60);
    elapsed.textContent = `Begun ${minutes ? `${minutes} min ` : ""}${seconds % 60} s ago.`;
  }
  setInterval(tick, 1000);
  tick();

  const events = new EventSource(pending.dataset.events);
  events.onmessage = (received) => {
    const event = JSON.parse(received.data);
    if (event.ready || event.failed) {
      events.close();
      if (event.ready) show("ready", "");
      location.reload(); // the hub leads on to the server, or says what went wrong and what one can do
      return;
    }
    if (event.progress !== undefined) bar.value = event.progress;
    if (event.message !== undefined && message.textContent !== event.message) message.textContent = event.message;
    if (event.stage) show(event.stage, event.percent === undefined ? "" : `${event.percent} %`);
  };
  document.addEventListener("submit", () => events.close()); // cancelled: the answer to that is the next page
  events.onerror = () => setTimeout(() => location.reload(), 3000); // the hub was restarted, or the start is over
}
const pending = document.getElementById("pending");
if (pending) follow(pending);
else if (document.querySelector("[data-state$=ing]:not([data-state=running])")) setTimeout(() => location.reload(), 3000);
