// What a page does beyond its HTML: live updates, the PIN pad, local times, words for
// what could not be sent. Every page works without it.
"use strict";

const main = () => document.getElementById("main");

function showLocalTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (!Number.isNaN(date.valueOf())) time.textContent = format.format(date);
  }
}

// Live updates. The page knows the last event it was made from, so what this user
// did a moment ago is no news, and what came in between is not missed. A list loads
// itself again; a page with forms only says that something changed.
function listen() {
  const seen = main().dataset.seen;
  if (!seen || !document.querySelector("[data-live]") || !("EventSource" in window)) return;
  const events = new EventSource(`/events?since=${seen}`);
  let waiting = 0;
  events.onmessage = (message) => {
    const event = JSON.parse(message.data);
    const watched = document.querySelector("[data-live]");
    if (!watched || (event.topic !== "*" && !concerns(watched, event, message.lastEventId))) return;
    // Several changes at once are one reload.
    clearTimeout(waiting);
    waiting = setTimeout(() => refresh(watched), 150);
  };
  addEventListener("pagehide", () => events.close());
}

function concerns(watched, event, number) {
  return Number(number) > Number(main().dataset.seen)
    && watched.dataset.live.split(" ").includes(event.topic)
    && (!watched.dataset.liveId || watched.dataset.liveId === event.id);
}

function refresh(watched) {
  if (watched.hasAttribute("hx-get") && !watched.querySelector("[data-more]")) {
    htmx.trigger(watched, "live");
  } else {
    document.getElementById("news").hidden = false;
  }
}

function login() {
  const form = document.getElementById("login");
  if (!form) return;
  const pad = form.querySelector(".pad");
  pad.hidden = false;
  pad.addEventListener("click", (event) => {
    const digit = event.target.closest("button")?.dataset.digit;
    if (digit === "back") form.pin.value = form.pin.value.slice(0, -1);
    else if (digit === "clear") form.pin.value = "";
    else if (digit && form.pin.value.length < form.pin.maxLength) form.pin.value += digit;
  });
}

// An ordinary form is sent once, however often it is tapped.
function sendOnce() {
  document.addEventListener("submit", (event) => {
    if (event.target.hasAttribute("hx-post") || event.defaultPrevented) return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
}

// When something could not be sent, what was typed stays where it is.
function tell(words) {
  let notice = document.getElementById("unsent");
  if (!notice) {
    notice = document.createElement("div");
    notice.id = "unsent";
    notice.className = "notice news bad";
    notice.setAttribute("role", "alert");
    main().prepend(notice);
  }
  notice.textContent = words;
  notice.scrollIntoView({ block: "nearest" });
}

document.addEventListener("htmx:sendError", () => tell("No connection. Nothing was sent; what you typed is still here."));
document.addEventListener("htmx:responseError", (event) => {
  const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  const words = [...page.querySelectorAll("#refusal h1, #refusal h1 + p")].map((line) => line.textContent.trim());
  tell(words.join(". ") || "That did not work. Nothing was changed.");
});
document.addEventListener("htmx:afterSwap", (event) => {
  showLocalTimes(document);
  // More of a list than its first page: loading it again would lose the place.
  if (event.detail.requestConfig?.elt.closest(".more")) {
    document.getElementById("list")?.setAttribute("data-more", "");
  }
});
// The answer to a live reload carries the number of the last event in its frame.
document.addEventListener("htmx:beforeSwap", (event) => {
  const seen = /data-seen="(\d+)"/.exec(event.detail.xhr.responseText);
  if (seen) main().dataset.seen = seen[1];
});
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

showLocalTimes(document);
login();
sendOnce();
listen();
