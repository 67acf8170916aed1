"""Measurements that print ratios: the API beside the least that could do the same work, in one run on one machine.

`python -m benchmarks --help` says how; docs/performance.md keeps the last table and what it taught.
"""
