// Builds elements. Text enters the page only as text nodes, because all of it may be hostile.

export const at = (id) => document.getElementById(id);

// Characters that are invisible or change the reading direction; their codes are shown instead.
// `safeurl.printable` removes the same characters from text for terminals and logs.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;

export function plain(value) {
  return String(value ?? "").replace(UNSEEN, (found) =>
    `⟨U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

// URLs, also percent-encoded ones inside other URLs; `safeurl.defang` finds the same ones.
const LINK = /(h(?=tt)|f(?=tp))t{1,2}(ps?)((?::|%(?:25)*3a)(?:[/\\]|%(?:25)*(?:2f|5c))+)(?![\s.,;:)'"/\\]|$)([^\s/?#"'<>%&\\]*)/gi;
const WWW = /(?<![\w.])www\.(?=\w)([\w.-]*)/gi;

const undotted = (host) => host.replace(/(?<!\[)\.(?!\])(?=\w)/g, "[.]");

// Text that is copied from the page contains no link either.
function defang(text) {
  return text
    .replace(LINK, (_, first, last, mid, host) => `${first}${/h/i.test(first) ? "xx" : "x"}${last}${mid}${undotted(host)}`)
    .replace(WWW, (_, host) => `www[.]${undotted(host)}`);
}

const shown = (value) => defang(plain(value));

// Returns the value of a table for a name that may be hostile, such as `constructor`.
export function lookUp(table, name) {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

// el("p", {class: "hint"}, "text", node, null): null and undefined children are left out.
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  return fill(node, children);
}

function fill(node, children) {
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) {
      node.append(child instanceof Node ? child : shown(child));
    }
  }
  return node;
}

// Gives a node these children unless it has equal ones. Replaced nodes lose a selection, and are read
// out again in a live region.
export function update(node, ...children) {
  const wanted = fill(node.cloneNode(false), children);
  if (!wanted.isEqualNode(node)) node.replaceChildren(...wanted.childNodes);
}

// A URL as text and not as a link: it is defanged, and its host is emphasised.
export function urlText(url, attributes = {}) {
  const text = shown(url);
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)(.*)$/is.exec(text);
  const parts = match ? [match[1], el("b", {}, match[2]), match[3]] : [text];
  return el("bdi", {dir: "ltr", ...attributes, class: `url ${attributes.class ?? ""}`}, ...parts);
}

export function time(iso) {
  const at = new Date(iso);
  return el("time", {datetime: iso, title: at.toLocaleString()}, ago(at));
}

function ago(at) {
  const seconds = Math.round((Date.now() - at) / 1000);
  if (seconds < 10) return "just now";
  const format = new Intl.RelativeTimeFormat("en", {numeric: "auto"});
  if (seconds < 60) return format.format(-seconds, "second");
  if (seconds < 3600) return format.format(-Math.round(seconds / 60), "minute");
  if (seconds < 86400) return format.format(-Math.round(seconds / 3600), "hour");
  return format.format(-Math.round(seconds / 86400), "day");
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const kib = bytes / 1024;
  return kib < 1024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}

// A table of names and values; pairs without a value are left out, an empty table is null.
export function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  if (!rows.length) return null;
  return el("dl", {class: "facts"}, rows.map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

export function table(caption, heads, rows) {
  if (!rows.length) return null;
  return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption},
    el("table", {},
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", {scope: "col"}, head)))),
      el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)))))));
}
