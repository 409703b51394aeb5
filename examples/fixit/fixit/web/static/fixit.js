// What a page does beyond its HTML: live updates, the PIN pad, local times.
// Every page works without it.
"use strict";

function showLocalTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (!Number.isNaN(date.valueOf())) time.textContent = format.format(date);
  }
}

function listen() {
  const watched = document.querySelector("[data-live]");
  if (!watched || !("EventSource" in window)) return;
  const topics = watched.dataset.live.split(" ");
  const events = new EventSource("/events");
  let waiting = 0;
  events.onmessage = (message) => {
    if (!topics.includes(JSON.parse(message.data).topic)) return;
    // Several changes at once are one reload.
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (watched.hasAttribute("hx-get")) htmx.trigger(watched, "live");
      else document.getElementById("changed")?.removeAttribute("hidden");
    }, 150);
  };
  addEventListener("pagehide", () => events.close());
}

function pinPad() {
  const pad = document.querySelector(".pad");
  const pin = document.getElementById("pin");
  if (!pad || !pin) return;
  pad.hidden = false;
  pad.addEventListener("click", (event) => {
    const key = event.target.closest("button")?.dataset.key;
    if (key === undefined) return;
    pin.value = key === "back" ? pin.value.slice(0, -1) : pin.value + key;
  });
}

function sendOnce() {
  document.addEventListener("submit", (event) => {
    for (const button of event.target.querySelectorAll("button")) {
      setTimeout(() => { button.disabled = true; });
      setTimeout(() => { button.disabled = false; }, 4000);
    }
  });
}

document.addEventListener("htmx:afterSwap", (event) => showLocalTimes(event.target.parentElement ?? document));
showLocalTimes(document);
pinPad();
sendOnce();
listen();
