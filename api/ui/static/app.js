// The page: submit a URL, watch its scan, list the recent ones. `#<id>` shows a scan.

import * as client from "./client.js";
import {at, el, update, urlText} from "./dom.js";
import {health} from "./health.js";
import {keepUp, mark, older, refresh} from "./recent.js";
import {render, sentence} from "./scan.js";

const POLL_MS = 700;
const POLL_AFTER_FAILURE_MS = 3000;
const WATCH_MS = 15000;
// The most URLs of one submit; each is a request, and people rarely paste more.
const MOST_URLS = 50;
// The form of an id. Any other text could lead to another route of the API.
const ID = /^[\w-]{1,64}$/;

const warnings = new Map();
let shown = "";

function problem(text) {
  update(at("problem"), text);
  at("problem").hidden = !text;
  at("url").setAttribute("aria-invalid", String(Boolean(text)));
}

async function submit(event) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  problem("");
  update(at("found"));
  try {
    await handIn(at("url").value.trim());
  } catch (error) {
    problem(error.message);
  } finally {
    button.disabled = false;
  }
}

// One URL is shown as soon as it is submitted; of several URLs, the result of each is listed.
async function handIn(text) {
  const {urls, left_out: leftOut} = await client.read(text);
  if (urls.length > MOST_URLS)
    throw new Error(`This text holds ${urls.length} URLs, and ${MOST_URLS} are taken here at once. Use submit-scan for more.`);
  if (urls.length > 1) {
    at("url").value = (await handInAll(urls, leftOut)).join("\n");
  } else {
    const scan = await client.submit(urls[0]?.text ?? text);
    warnings.set(scan.id, scan.warning);
    update(at("found"), aside(leftOut));
    at("url").value = "";
    location.hash = scan.id;
  }
  await refresh();
}

// Returns the URLs that were not taken because of a temporary failure.
async function handInAll(urls, leftOut) {
  const rows = [];
  const kept = [];
  for (const {text, url, message} of urls) {
    let fault = message;
    let id = null;
    if (url !== null) {
      try {
        const scan = await client.submit(text);
        warnings.set(scan.id, scan.warning);
        id = scan.id;
      } catch (error) {
        fault = error.message;
        kept.push(text);
      }
    }
    rows.push(el("li", {}, id ? el("a", {href: `#${id}`}, urlText(url)) : urlText(text),
      id ? null : el("p", {class: "problem"}, fault)));
    update(at("found"), el("ul", {}, rows), aside(leftOut));
  }
  return kept;
}

function aside(leftOut) {
  return leftOut.length ? el("p", {class: "hint"}, `Left out, because it is not a URL: ${leftOut.join(" ")}`) : null;
}

// Enter submits, as in a box of one line. The box has more lines, because pasted lines would be joined.
function onKey(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("submit").requestSubmit();
}

function announce(text) {
  update(at("announcement"), text);
}

function fail(message) {
  announce(message);
  update(at("scan"), el("p", {class: "problem", id: "scan-url"}, message));
  at("scan").hidden = false;
}

// Follow one scan until it is final or another one is shown.
async function follow(id) {
  if (!ID.test(id)) return fail("No scan has this id.");
  let drawn = "";
  while (shown === id) {
    let wait = POLL_MS;
    try {
      const scan = await client.scan(id);
      if (shown !== id) return;
      const version = `${scan.state} ${scan.updated_at}`;
      if (version !== drawn) draw(scan);
      drawn = version;
      if (scan.final) return void refresh();
    } catch (error) {
      if (shown !== id) return;
      const known = error.status === 404 || error.status === 422;
      if (drawn) announce(error.message);
      else fail(error.message);
      if (known) return;
      wait = POLL_AFTER_FAILURE_MS;
    }
    await new Promise((resume) => setTimeout(resume, wait));
  }
}

// The button is not disabled meanwhile, because it would lose the focus. A second cancel is not an error.
async function cancel(id, button) {
  const words = button.textContent;
  button.textContent = "Cancelling…";
  try {
    await client.cancel(id);
  } catch (error) {
    button.textContent = words;
    announce(error.message);
    button.parentElement.replaceChildren(button, el("span", {class: "problem"}, error.message));
  }
}

function draw(scan) {
  const held = document.activeElement?.id === "cancel";
  at("scan").replaceChildren(
    ...render(scan, warnings.get(scan.id), (button) => cancel(scan.id, button)));
  at("scan").hidden = false;
  // The button with the focus was replaced, or was removed at the end of the scan.
  if (held) (at("cancel") ?? at("scan-url")).focus();
  announce(sentence(scan));
  document.title = `${scan.result?.judgement ?? "scanning"} – SafeURL`;
}

function route() {
  shown = location.hash.slice(1);
  at("scan").hidden = true;
  at("scan").replaceChildren();
  document.title = "SafeURL";
  announce("");
  mark();
  if (shown) follow(shown);
}

function watch() {
  health();
  keepUp();
}

at("submit").addEventListener("submit", submit);
at("url").addEventListener("keydown", onKey);
at("older").addEventListener("click", older);
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", watch);
setInterval(watch, WATCH_MS);
health();
refresh();
route();
