// What works, in the header; below it all that does not, and what to do about that.

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

// Commands stand between backticks.
function item(sentence) {
  return el("li", {}, sentence.split("`").map((part, index) =>
    index % 2 ? el("code", {}, part) : part));
}
