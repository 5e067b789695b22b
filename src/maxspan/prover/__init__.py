"""Proof for each rule: events that make it fire, and events that only just do not."""
