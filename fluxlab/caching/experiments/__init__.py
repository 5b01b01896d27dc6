"""Stale reads, stampedes and outages, staged for the report's cache and ours."""
