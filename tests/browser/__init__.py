"""Responses that the fetcher and Chromium both read, and what each of them made of them."""
