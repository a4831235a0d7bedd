// Requests to the API. A failure is an Error with the API's own message.

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, {...options, headers: {accept: "application/json", ...options.headers}});
  } catch {
    throw new Error("The server does not answer.");
  }
  const body = await response.json().catch(() => null);
  // An unhealthy server returns 503 with a complete document.
  if (!response.ok && !body?.health) {
    throw Object.assign(new Error(body?.message ?? `The server answered ${response.status}.`),
      {status: response.status});
  }
  return body;
}

export const health = () => ask("/health");
export const page = (limit, before) =>
  ask(`/api/scans?${new URLSearchParams(before ? {limit, before} : {limit})}`);
export const scan = (id) => ask(`/api/scans/${encodeURIComponent(id)}`);
export const read = (text) => ask("/api/pasted", {
  method: "POST",
  headers: {"content-type": "application/json"},
  body: JSON.stringify({text}),
});
export const submit = (url) => ask("/api/scans", {
  method: "POST",
  headers: {"content-type": "application/json"},
  body: JSON.stringify({url}),
});
export const cancel = (id) => ask(`/api/scans/${encodeURIComponent(id)}`, {method: "DELETE"});
