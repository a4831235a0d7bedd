"""Responses that the fetcher and Chromium both load, and the observations of each."""
