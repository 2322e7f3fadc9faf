# flora's commands. `just` and `.venv/bin/just` (pip install rust-just) are the same program.

set positional-arguments

python := if path_exists(justfile_directory() / ".venv/bin/python") == "true" { ".venv/bin/python" } else { "python3" }

# Show the commands
default:
    @'{{ just_executable() }}' --justfile '{{ justfile() }}' --list --unsorted

# Complete .venv from the pinned locks, install the TypeScript toolchain, build the SDK; only what has changed
[no-exit-message]
setup *args:
    @'{{ python }}' tools/bootstrap.py "$@"

# Start flora; without a Discord token with its playground
[no-exit-message]
run *args: setup
    @exec .venv/bin/python tools/foreground.py .venv/bin/flora run "$@"

# Play a project in the playground, every save is live; by default the example
[no-exit-message]
dev *args: setup
    @exec .venv/bin/python tools/foreground.py .venv/bin/flora dev "${@:-examples/basic}"

# All checks, then all tests, in a process for each core; arguments go to pytest (`-n 0`: in one process)
[no-exit-message]
test *args: check
    @exec .venv/bin/pytest --numprocesses auto --maxprocesses 4 --dist loadfile "$@"

# Lint, format, types of Python and TypeScript
[no-exit-message]
check: (setup "--dev")
    @.venv/bin/ruff check .
    @.venv/bin/ruff format --check --quiet .
    @.venv/bin/mypy
    @.venv/bin/python -m tools.check_typescript

# Measure; `just bench actors engine` runs these of bench/*.py, without a name all; options go to each of them
bench *args: (setup "--dev")
    @exec .venv/bin/python -m bench "$@"

# Flame graph of the host under load, to dist/profile.svg, and its dearest functions
profile *args: (setup "--dev")
    @exec .venv/bin/python -m tools.profile_host "$@"

# Misfortunes at random for so many minutes (10), then check that nothing was lost; `--seed N` repeats one
soak *args: (setup "--dev")
    @exec .venv/bin/python -m tests.soak "$@"

# Run the tests marked `fuzz` with new random seeds for FLORA_FUZZ_SECONDS (60); arguments go to pytest
fuzz *args: (setup "--dev")
    @exec .venv/bin/python -m tools.fuzz "$@"

# Remove caches and built files; keeps .venv and data
clean:
    rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis dist flora/engine/sdk
    find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
