// The list of recent scans: the newest ones, and older ones after a click.

import * as client from "./client.js";
import {at, el, time, update, urlText} from "./dom.js";
import {badge} from "./scan.js";

const PAGE = 10;
// The most scans of one response of the API: so many new scans may precede the older pages.
const MOST = 200;
// While a scan in the list has not ended, the list is read again after this time.
const AGAIN_MS = 2000;

const list = at("recent");
let hasOlder = false;
let waiting = 0;
let turn = Promise.resolve();
let again = 0;

export const refresh = () => inTurn(newest);
export const older = () => inTurn(next);

// Shows the changes by other clients. It does nothing while older pages are shown, whose reader wants no
// jumps.
export function keepUp() {
  if (!hasOlder && !waiting && !document.hidden) refresh();
}

export function mark() {
  for (const link of list.querySelectorAll("a")) {
    if (link.hash === location.hash) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

// Runs one request after the other: a response that is older than the list would leave a gap.
function inTurn(work) {
  waiting += 1;
  turn = turn.then(work).then(() => note("Nothing has been scanned yet."), (error) => note(error.message, true))
    .finally(() => { waiting -= 1; });
  return turn;
}

function note(text, isFailure = false) {
  update(at("empty"), text);
  at("empty").hidden = !isFailure && Boolean(list.children.length);
}

async function newest() {
  clearTimeout(again);
  const page = await client.page(hasOlder ? MOST : PAGE);
  if (page.scans.some((scan) => !scan.final)) again = setTimeout(keepUp, AGAIN_MS);
  const shown = [...list.children];
  const rows = page.scans.map(row);
  const last = rows.indexOf(shown.at(-1));
  const joint = shown.indexOf(rows.at(-1));
  // Older pages stay, unless there are so many new scans that some between them are missing.
  if (hasOlder && last >= 0) return show(rows.slice(0, last + 1));
  if (hasOlder && joint >= 0) return show([...rows, ...shown.slice(joint + 1)]);
  show(rows);
  at("older").hidden = !page.next;
}

async function next() {
  const last = list.lastElementChild;
  // A second click, after the first response was the last page.
  if (!last || at("older").hidden) return;
  const page = await client.page(PAGE, last.dataset.id);
  hasOlder = true;
  show([...list.children, ...page.scans.map(row)]);
  at("older").hidden = !page.next;
}

// Returns the scan's row with its present state: the shown one, or a new one.
function row(scan) {
  const found = [...list.children].find((each) => each.dataset.id === scan.id)
    ?? el("li", {"data-id": scan.id}, el("a", {href: `#${scan.id}`}));
  update(found.firstChild, urlText(scan.url), time(scan.created_at), badge(scan));
  return found;
}

// Rows that stay are neither replaced nor moved, because they would lose the focus.
function show(rows) {
  for (const each of [...list.children]) if (!rows.includes(each)) each.remove();
  rows.forEach((each, index) => {
    if (list.children[index] !== each) list.insertBefore(each, list.children[index] ?? null);
  });
  mark();
}
