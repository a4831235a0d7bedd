// The evidence of the sandbox as lists and tables. Every field may be missing.

import {el, facts, lookUp, size, table, urlText} from "./dom.js";

const VIA = {submitted: "Submitted", redirect: "Redirect", meta_refresh: "Page refresh"};

export function chain(hops) {
  if (!hops?.length) return null;
  return section("Redirect chain", hops.length,
    el("ol", {class: "chain"}, hops.map((hop) => el("li", {},
      el("div", {class: "hop"},
        el("span", {class: `status s${String(hop.status ?? "x")[0]}`}, hop.status ?? "–"),
        urlText(hop.url)),
      el("p", {class: "meta"}, [
        lookUp(VIA, hop.via ?? "submitted") ?? hop.via,
        hop.address && `${hop.address} port ${hop.port}`,
        hop.http_version && `HTTP ${hop.http_version.replace(/^HTTP\//i, "")}`,
        hop.tls && `${hop.tls.version}${hop.tls.verified ? "" : ", certificate does not verify"}`,
        hop.timings?.total_ms !== undefined && `${Math.round(hop.timings.total_ms)} ms`,
      ].filter(Boolean).join(" · ")),
      hop.error ? el("p", {class: "meta bad"}, hop.error) : null))));
}

export function evidence(found, artefacts) {
  return [
    response(found), certificate(found), forms(found.page), scripts(found.page),
    frames(found.page), refusals(found), headers(found.hops?.at(-1)), blobs(artefacts),
  ];
}

function section(title, count, ...children) {
  return el("section", {class: "card"},
    el("h3", {}, title, count === null ? null : el("span", {class: "count"}, count)), ...children);
}

function response({body, page, report}) {
  const list = facts([
    ["Title", page?.title],
    ["Final URL", report?.final_url && urlText(report.final_url)],
    ["Language", page?.language],
    ["Content type", body && [body.declared_type, body.sniffed_type !== body.declared_type
      && body.sniffed_type && `looks like ${body.sniffed_type}`].filter(Boolean).join(", ")],
    ["Size", body && size(body.size_bytes) + (body.truncated ? " (cut)" : "")],
    ["SHA-256", body && el("code", {}, body.sha256)],
    ["Links", page?.links_total && `${page.links_total}, of which ${page.links_null ?? 0} lead nowhere`],
    ["Leads on to", page?.onward?.length && el("ul", {}, ...page.onward.map((lead) =>
      el("li", {}, lead.url ? urlText(lead.url) : "an address that a script works out",
        lead.conditional ? " (where a condition of the script holds)" : null)))],
    ["Favicon", page?.favicon && urlText(page.favicon.url)],
    ["Favicon mmh3", page?.favicon?.mmh3],
  ]);
  return list && section("Page", null, list);
}

function certificate({hops}) {
  const tls = hops?.findLast((hop) => hop.tls)?.tls;
  if (!tls) return null;
  return section("Certificate", null, facts([
    ["Verifies", tls.verified ? "yes" : el("span", {class: "bad"}, `no: ${tls.verify_error ?? ""}`)],
    ["Subject", tls.subject],
    ["Issuer", tls.issuer],
    ["Names", tls.sans?.join(", ")],
    ["Valid", tls.not_before && `${tls.not_before} to ${tls.not_after}`],
    ["SHA-256", tls.sha256 && el("code", {}, tls.sha256)],
  ]));
}

function forms(page) {
  const rows = (page?.forms ?? []).map((form) => [
    [el("span", {}, (form.method ?? "get").toUpperCase(), " "), urlText(form.action || "(the page itself)"),
      ...(form.targets ?? []).flatMap((target) => [" or ", urlText(target)]),
      form.cross_origin ? el("span", {class: "tag warn"}, "other site") : null],
    [(form.fields ?? []).map((field) => field.name || field.type).join(", "),
      form.has_password ? el("span", {class: "tag warn"}, "password") : null,
      form.by_script ? el("span", {class: "tag"}, "written by a script") : null],
  ]);
  return rows.length ? section("Forms", rows.length, table("Forms", ["Sends to", "Fields"], rows)) : null;
}

function scripts(page) {
  const rows = (page?.scripts ?? []).map((script) =>
    [script.url ? urlText(script.url) : `inline, ${size(script.inline_bytes ?? 0)}`]);
  return rows.length ? folded("Scripts", rows.length, table("Scripts", ["Source"], rows)) : null;
}

function frames(page) {
  const rows = (page?.iframes ?? []).map((frame) => [urlText(frame.url), frame.hidden ? "hidden" : "visible"]);
  return rows.length ? section("Frames", rows.length, table("Frames", ["Source", "Shown"], rows)) : null;
}

// The refusals of the fetcher, and those that only the gateway recorded; each of them once.
function refusals(found) {
  const asked = (found.egress?.decisions ?? []).filter((decision) => !decision.allowed)
    .map(({name, port, addresses, rule}) => ({host: name, port, address: addresses?.[0], rule}));
  const distinct = new Map([...(found.refusals ?? []), ...asked].map((refusal) =>
    [[refusal.host.replace(/[[\]]/g, ""), refusal.port, refusal.rule].join(" "), refusal]));
  const rows = [...distinct.values()].map((refusal) =>
    [`${refusal.host || "unreadable"} port ${refusal.port}`, refusal.address ?? "", refusal.rule ?? ""]);
  return rows.length
    ? section("Connections that were refused", rows.length, table("Refused connections", ["Host", "Address", "Rule"], rows))
    : null;
}

function headers(hop) {
  const rows = (hop?.headers ?? []).map(([name, value]) => [el("code", {}, name), el("code", {}, value)]);
  return rows.length ? folded("Response headers", rows.length, table("Response headers", ["Name", "Value"], rows)) : null;
}

function blobs(artefacts) {
  const rows = artefacts.map((blob) =>
    [blob.kind, blob.media_type, size(blob.size_bytes), el("code", {}, blob.sha256)]);
  return rows.length
    ? folded("Stored artefacts", rows.length, table("Stored artefacts", ["Kind", "Type", "Size", "SHA-256"], rows))
    : null;
}

export function folded(title, count, ...children) {
  return el("details", {class: "card"},
    el("summary", {}, el("h3", {}, title, el("span", {class: "count"}, count))), ...children);
}
