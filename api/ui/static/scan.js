// One scan: its progress while it runs, its verdict and the evidence when it is done.

import {el, lookUp, table, time, urlText} from "./dom.js";
import {chain, evidence, folded} from "./evidence.js";

const STEPS = {QUEUED: "Queued", FETCHING: "Opening", ANALYZING: "Analysing", COMPLETED: "Done"};
const ENDS = {COMPLETED: "Done", FAILED: "Failed", TIMED_OUT: "Timed out"};

// A cancel is neither a failure nor a result.
const isCancelled = (scan) => scan.outcome === "cancelled";
const endWord = (scan) => isCancelled(scan) ? "Cancelled" : lookUp(ENDS, scan.state);

const titled = (word) => word[0].toUpperCase() + word.slice(1);

// The verdict on a page that was seen, else the state of the scan.
export function badge(scan) {
  if (scan.state === "COMPLETED" && scan.verdict)
    return el("span", {class: `badge ${scan.verdict}`}, `${titled(scan.verdict)} ${scan.score}`);
  const words = endWord(scan) ?? lookUp(STEPS, scan.state) ?? scan.state;
  const kind = isCancelled(scan) ? "cancelled" : scan.state.toLowerCase();
  return el("span", {class: `badge ${kind}`}, words);
}

// A sentence about the scan for screen readers.
export function sentence(scan) {
  if (!scan.final) return `${lookUp(STEPS, scan.state) ?? scan.state}.`;
  const summary = isCancelled(scan) ? "" : scan.result?.summary;
  return summary || scan.outcome_text || (endWord(scan) ?? scan.state);
}

// `cancel` is called by the button of a scan that has not ended.
export function render(scan, warning, cancel) {
  return [
    el("header", {class: "scan-head"},
      el("h2", {id: "scan-url", tabindex: "-1"}, urlText(scan.url)),
      el("p", {class: "meta"}, "Submitted ", time(scan.created_at), ` by ${scan.source}`,
        scan.finished_at ? ` · took ${took(scan)} s` : "", scan.attempt > 1 ? ` · attempt ${scan.attempt}` : "")),
    warning && !scan.final ? el("p", {class: "notice", role: "status"}, warning) : null,
    ...(scan.final ? [conclusion(scan)] : [progress(scan), cancelling(cancel)]),
    scan.result ? hits(scan.result.hits) : null,
    chain(scan.evidence?.hops),
    ...(scan.evidence ? evidence(scan.evidence, scan.artefacts) : []),
    history(scan.audit),
  ].filter(Boolean);
}

function took(scan) {
  return ((new Date(scan.finished_at) - new Date(scan.created_at)) / 1000).toFixed(1);
}

function progress(scan) {
  const names = Object.keys(STEPS);
  const now = names.indexOf(scan.state);
  return el("ol", {class: "steps", "aria-label": "Progress"}, names.map((name, index) =>
    el("li", {
      class: index < now ? "past" : index === now ? "now" : "",
      "aria-current": index === now ? "step" : null,
    }, STEPS[name])));
}

function cancelling(cancel) {
  const button = el("button", {class: "quiet", id: "cancel", type: "button"}, "Cancel this scan");
  button.addEventListener("click", () => cancel(button));
  return el("p", {}, button);
}

function conclusion(scan) {
  const result = isCancelled(scan) && scan.result?.judgement === "inconclusive" ? null : scan.result;
  const kind = result?.judgement ?? (isCancelled(scan) ? "cancelled" : "inconclusive");
  const text = scan.state === "COMPLETED" ? null : [scan.outcome_text, scan.detail].filter(Boolean).join(" ");
  return el("section", {class: `verdict ${kind}`, "aria-label": "Verdict"},
    el("div", {class: "score"}, el("b", {}, result?.score ?? "–"), el("span", {}, "of 100")),
    el("div", {},
      el("p", {class: "judgement"}, kind[0].toUpperCase() + kind.slice(1),
        (result?.categories ?? []).map((name) => el("span", {class: "tag"}, name.replaceAll("_", " ")))),
      el("p", {}, result?.summary ?? ""),
      text ? el("p", {class: "meta"}, `${endWord(scan) ?? scan.state}: ${text}`) : null,
      el("meter", {min: 0, max: 100, value: result?.score ?? 0, "aria-label": "Score"})));
}

function hits(found) {
  return el("section", {class: "card"},
    el("h3", {}, "Why", el("span", {class: "count"}, found.length)),
    found.length
      ? el("ul", {class: "hits"}, found.map(hit))
      : el("p", {class: "empty"}, "No rule matched. That does not prove the page safe."));
}

function hit(found) {
  const percent = Math.round(found.weight * 100);
  return el("li", {class: percent < 0 ? "minus" : ""},
    el("span", {class: "weight", title: "What this rule says by itself"}, `${String(percent).replace("-", "−")}\u00a0%`),
    el("div", {},
      el("p", {}, found.reason),
      found.excerpt ? el("p", {class: "excerpt"}, el("code", {}, found.excerpt)) : null,
      el("p", {class: "meta"}, `${found.rule} v${found.version} · ${found.group} · `, el("code", {}, found.pointer))));
}

function history(entries) {
  const rows = entries.map((entry) => [
    el("time", {datetime: entry.at}, new Date(entry.at).toLocaleTimeString()),
    entry.to_state ? `${entry.from_state ?? "new"} → ${entry.to_state}` : entry.event,
    entry.version, entry.actor, [entry.outcome, entry.detail].filter(Boolean).join(": "),
  ]);
  return folded("Audit trail", rows.length,
    table("Audit trail", ["Time", "Step", "Version", "By", "Detail"], rows));
}
