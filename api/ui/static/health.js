// The health: the status in the header; below it all faults, and the advice about them.

import * as client from "./client.js";
import {at, el, update} from "./dom.js";

export async function health() {
  try {
    const {health: {status, issues}, workers, recommendations} = await client.health();
    const ready = `${workers.length} ${workers.length === 1 ? "worker" : "workers"} ready`;
    show(status, [el("b", {class: status}, status), ` ${issues[0] ?? ready}`], issues, recommendations);
  } catch (error) {
    show("unhealthy", [error.message], [], []);
  }
}

function show(status, words, issues, advice) {
  update(at("health"), ...words);
  at("issues").hidden = !issues.length;
  at("issues").className = `issues ${status}`;
  update(at("issues-summary"),
    `${issues.length} ${issues.length === 1 ? "issue" : "issues"}, and what to do`);
  update(at("wrong"), ...issues.map(item));
  update(at("advice"), ...advice.map(item));
}

// Commands are between backticks.
function item(sentence) {
  return el("li", {}, sentence.split("`").map((part, index) =>
    index % 2 ? el("code", {}, part) : part));
}
