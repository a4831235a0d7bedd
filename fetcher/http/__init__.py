"""HTTP as browsers implement it: connections, requests, responses, redirects."""
