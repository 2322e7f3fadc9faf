"""The inside of a guild process: fork server, SpiderMonkey, watchdog, seal.

Runs under `python -I -S` as the top-level package `child`, with the standard library alone: it must start in
milliseconds, share its memory with every fork, and hold nothing that a script could reach. It therefore
imports nothing of flora outside this folder, and nothing of flora imports it except for its constants.
"""
