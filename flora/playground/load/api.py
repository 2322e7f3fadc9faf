"""The control API of the load generator; `flora.playground.load` describes it."""

from __future__ import annotations

from flora.playground.errors import Json, not_found
from flora.playground.forms import Form
from flora.playground.load.plan import read_plan
from flora.playground.load.run import Run
from flora.playground.rest.context import model, playground, read_json, reply
from flora.playground.web import Answer, Routes

routes = Routes()


@routes.post("/load")
async def start() -> Answer:
    body = await read_json()
    wait = Form(body).boolean("wait")
    runs = playground().loads
    runs.check_free()
    run = Run(model(), read_plan(model(), body), playground().limits, playground().gateway.backlog)
    run_id = runs.start(run)
    if wait:
        await run.finished.wait()
    return reply(_view(run_id, run), 201)


@routes.get("/load/<run_id>")
async def look(run_id: str) -> Answer:
    return reply(_view(run_id, _find(run_id)))


@routes.delete("/load/<run_id>")
async def stop(run_id: str) -> Answer:
    run = _find(run_id)
    if not run.finished.is_set():
        run.stop("stopped over the control API")
        await run.finished.wait()
    return reply(_view(run_id, run))


def _find(run_id: str) -> Run:
    run = playground().loads.runs.get(run_id)
    if run is None:
        raise not_found()
    return run


def _view(run_id: str, run: Run) -> Json:
    return {"id": run_id, "state": "done" if run.finished.is_set() else "running", **run.result()}
