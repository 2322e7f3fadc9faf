"""The parts of a running flora, each opened in its own file; `flora/app.py` puts them together."""
