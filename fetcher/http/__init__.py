"""HTTP as browsers speak it: connections, requests, responses, redirects."""
