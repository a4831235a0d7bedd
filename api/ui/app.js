// The page: hand in a URL, watch its scan, list the recent ones. `#<id>` shows a scan.

import * as client from "./client.js";
import {el, time, urlText} from "./dom.js";
import {badge, render, sentence} from "./scan.js";

const POLL_MS = 700;
const POLL_AFTER_FAILURE_MS = 3000;
const HEALTH_MS = 15000;

const at = (id) => document.getElementById(id);
const warnings = new Map();
let shown = "";

function problem(text) {
  at("problem").textContent = text;
  at("problem").hidden = !text;
  at("url").setAttribute("aria-invalid", String(Boolean(text)));
}

async function submit(event) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  problem("");
  try {
    const scan = await client.submit(at("url").value.trim());
    warnings.set(scan.id, scan.warning);
    at("url").value = "";
    location.hash = scan.id;
    await recent();
  } catch (error) {
    problem(error.message);
  } finally {
    button.disabled = false;
  }
}

// Follow one scan until it is final or another one is shown.
async function follow(id) {
  let drawn = "";
  while (shown === id) {
    let wait = POLL_MS;
    try {
      const scan = await client.scan(id);
      if (shown !== id) return;
      const version = `${scan.state} ${scan.updated_at}`;
      if (version !== drawn) draw(scan);
      drawn = version;
      if (scan.final) return void recent();
    } catch (error) {
      if (shown !== id) return;
      const known = error.status === 404 || error.status === 422;
      at("announcement").textContent = error.message;
      if (!drawn) at("scan").replaceChildren(el("p", {class: "problem", id: "scan-url"}, error.message));
      at("scan").hidden = false;
      if (known) return;
      wait = POLL_AFTER_FAILURE_MS;
    }
    await new Promise((resume) => setTimeout(resume, wait));
  }
}

// Not disabled meanwhile, which would take the focus away: cancelling twice is no error.
async function cancel(id, button) {
  const words = button.textContent;
  button.textContent = "Cancelling…";
  try {
    await client.cancel(id);
  } catch (error) {
    button.textContent = words;
    at("announcement").textContent = error.message;
    button.parentElement.replaceChildren(button, el("span", {class: "problem"}, error.message));
  }
}

function draw(scan) {
  const held = document.activeElement?.id === "cancel";
  at("scan").replaceChildren(
    ...render(scan, warnings.get(scan.id), (button) => cancel(scan.id, button)));
  at("scan").hidden = false;
  // The button that had the focus was drawn anew, or has gone with the scan's end.
  if (held) (at("cancel") ?? at("scan-url")).focus();
  at("announcement").textContent = sentence(scan);
  document.title = `${scan.result?.judgement ?? "scanning"} – SafeURL`;
}

function route() {
  shown = decodeURIComponent(location.hash.slice(1));
  at("scan").hidden = true;
  at("scan").replaceChildren();
  document.title = "SafeURL";
  mark();
  if (shown) follow(shown);
}

function mark() {
  for (const link of at("recent").querySelectorAll("a")) {
    if (link.hash.slice(1) === shown) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

async function recent(path) {
  try {
    const page = await client.page(path);
    const rows = page.scans.map((scan) => el("li", {},
      el("a", {href: `#${scan.id}`}, urlText(scan.url), time(scan.created_at), badge(scan))));
    if (path) at("recent").append(...rows);
    else at("recent").replaceChildren(...rows);
    at("empty").hidden = Boolean(at("recent").children.length);
    at("older").hidden = !page.next;
    at("older").dataset.next = page.next ?? "";
    mark();
  } catch (error) {
    at("empty").textContent = error.message;
    at("empty").hidden = false;
  }
}

async function health() {
  const spot = at("health");
  try {
    const found = await client.health();
    spot.className = `health ${found.health.status}`;
    const workers = found.workers.length;
    const words = found.health.issues[0] ?? `${workers} ${workers === 1 ? "worker" : "workers"} ready`;
    spot.replaceChildren(el("b", {}, found.health.status), ` ${words}`);
    spot.title = found.recommendations.join("\n");
  } catch (error) {
    spot.className = "health unhealthy";
    spot.textContent = error.message;
  }
}

at("submit").addEventListener("submit", submit);
at("older").addEventListener("click", () => recent(at("older").dataset.next));
addEventListener("hashchange", route);
setInterval(health, HEALTH_MS);
health();
recent();
route();
