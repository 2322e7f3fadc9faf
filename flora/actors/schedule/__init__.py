"""Schedules, sans I/O: what cron jobs and tasks are due when, and what becomes of their runs.

`expression.py` (cron expressions), `jobs.py` (what scripts declare), `core.py` (the machine).
The driver is `flora/actors/scheduler.py`.
"""
