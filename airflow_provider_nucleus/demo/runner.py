"""The demonstration from beginning to end: a batch, a Nucleus, an Airflow, one DAG run for each model, one table."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.demo.airflow_home import DAG_ID, AirflowHome, find_dags, tail
from airflow_provider_nucleus.demo.breakdown import by_metadata
from airflow_provider_nucleus.demo.coco_batch import coco_batch, coco_numbers
from airflow_provider_nucleus.demo.coco_folder import CocoFolder, find_coco
from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.demo.processes import Children
from airflow_provider_nucleus.demo.remarks import remarks
from airflow_provider_nucleus.demo.rendered_batch import DETECTORS, FRAMES, SEED, detect, render, write_batch
from airflow_provider_nucleus.demo.scenes.weather import WEATHERS
from airflow_provider_nucleus.demo.server import start_server
from airflow_provider_nucleus.demo.sheet import write_sheet
from airflow_provider_nucleus.demo.table import comparison
from airflow_provider_nucleus.demo.task_watch import TaskWatch, failure_of
from airflow_provider_nucleus.demo.work_dir import WorkDir, opened, serve_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from subprocess import Popen

    from airflow_provider_nucleus.coco.objects import Shape
    from airflow_provider_nucleus.demo.batch import Batch, Predictions
    from airflow_provider_nucleus.demo.console import Console
    from airflow_provider_nucleus.demo.server import Server

__all__ = ["Options", "run_demo"]

_LOOK = 0.2
"""Seconds between two looks at the database of Airflow."""


@dataclass(frozen=True)
class Options:
    """Options of the demonstration. *data* is a folder in COCO form, None for the rendered scenes.

    *shape* is what is compared of it, None for what most of its files have.
    """

    work_dir: Path
    data: Path | None = None
    shape: Shape | None = None
    dags: Path | None = None
    frames: int = FRAMES
    seed: int = SEED
    iou_threshold: float = 0.5
    verbose: bool = False


def run_demo(options: Options, console: Console) -> None:
    """Run it; raises DemoError when it cannot go on, Interrupted on a signal. No process is left behind in any case."""
    dags = find_dags(options.dags)
    coco = find_coco(options.data) if options.data else None
    with opened(options.work_dir, data=options.data) as work, Children() as children:
        airflow = AirflowHome(work.airflow, dags=dags, logs=work.logs, bytecode=work.bytecode)
        began = time.time()
        migration = None if airflow.migrated else airflow.start_migration(children)
        batch = (
            _found(coco, options, work, console=console)
            if coco
            else _rendered(options, work, console=console)
        )
        numbers = coco_numbers(coco, batch, iou_threshold=options.iou_threshold) if coco else None
        console.title("Starting the embedded Nucleus")
        server = start_server(children, work.nucleus, log=work.logs / "nucleus.log", bytecode=work.bytecode)
        console.fact(
            f"{server.endpoint}, fresh data in {work.nucleus}, API key in {work.nucleus / 'api-key'}"
        )
        if migration:
            _await_migration(airflow, migration, began=began, console=console)
        evaluation = _Evaluation(options, work, batch, server, airflow, children, console)
        reports = {model.name: evaluation.run(model) for model in batch.models}
        cuts = {} if coco else {"weather": _by_weather(server, reports)}
        children.stop(server.process)
        table = comparison(
            reports,
            cuts=cuts,
            coco=numbers and numbers["models"],
            overlap="OKS" if batch.shape == "keypoints" else "IoU",
        )
        notes = remarks(numbers) if numbers else []
        _conclude(batch, "\n".join([table, *notes]), work=work, console=console)


def _found(coco: CocoFolder, options: Options, work: WorkDir, *, console: Console) -> Batch:
    console.title(f"Reading {coco.root}")
    batch = coco_batch(coco, work.batch, shape=options.shape)
    for fact in batch.facts:
        console.fact(fact)
    return batch


def _rendered(options: Options, work: WorkDir, *, console: Console) -> Batch:
    console.title("Rendering a yard and a loading dock by day, at dusk, at night and in fog")
    began = time.monotonic()
    console.begin("scenes")
    shots = render(work.pictures, frames=options.frames, seed=options.seed)
    console.finish("scenes", f"{len(shots)} pictures", time.monotonic() - began)
    pictures = [(shot.scene.camera, shot.path) for shot in shots]
    found = {}
    for name, detector in DETECTORS.items():
        began = time.monotonic()
        console.begin(name)
        found[name] = detect(pictures, detector)
        console.finish(name, f"{sum(map(len, found[name]))} boxes", time.monotonic() - began)
    batch = write_batch(work.batch, shots, found)
    write_sheet(work.sheet, shots, found)
    for fact in batch.facts:
        console.fact(fact)
    return batch


def _await_migration(
    airflow: AirflowHome, migration: Popen[bytes], *, began: float, console: Console
) -> None:
    """Wait for the migration, which *began* at that time (seconds of the wall clock) and ran while scenes were drawn."""
    console.title("Preparing Airflow's database (SQLite; kept for the next run)")
    console.begin("airflow db migrate")
    airflow.finish_migration(migration.wait())
    console.finish("airflow db migrate", "success", airflow.migration_log.stat().st_mtime - began)


@dataclass(frozen=True)
class _Evaluation:
    """Runs the DAG once for a model and shows its tasks."""

    options: Options
    work: WorkDir
    batch: Batch
    server: Server
    airflow: AirflowHome
    children: Children
    console: Console

    def run(self, model: Predictions) -> dict[str, Any]:
        """Return the metrics that the DAG reports for the model; raises DemoError when it does not."""
        self.console.title(f"Airflow runs {DAG_ID} for {model.name}")
        report, log = self.work.results / f"{model.name}.json", self.work.logs / f"dag-{model.name}.log"
        conf = self.batch.conf(model, iou_threshold=self.options.iou_threshold, report=report)
        watch = TaskWatch(self.airflow.database, DAG_ID)
        process = self.airflow.start_dag(
            self.children, conf, endpoint=self.server.endpoint, api_key=self.server.api_key, log=log
        )
        status = self._follow(process, watch, log)
        failed = [task for task in watch.states() if task.state == "failed"]
        if failed:
            raise DemoError(
                f"Task {failed[0].name} of {DAG_ID} failed for {model.name}. The whole log is {log}.",
                evidence=failure_of(log.read_text(errors="replace"), failed[0].name),
            )
        if status or watch.run_state() != "success":
            raise DemoError(
                f"{DAG_ID} did not end well for {model.name} (airflow ended with status {status}). The whole log is {log}.",
                evidence=tail(log),
            )
        return _metrics(report, log=log)

    def _follow(self, process: Popen[bytes], watch: TaskWatch, log: Path) -> int:
        """Show what happens until Airflow ends, and return its exit status."""
        printed, began, starting = 0, time.monotonic(), "Airflow starts"
        self.console.begin(starting)
        while True:
            status = process.poll()  # before the last look, so that nothing is missed
            if self.options.verbose:
                text = log.read_text(errors="replace")
                self.console.raw(text[printed:])
                printed = len(text)
            changes = watch.changes()
            if starting and changes:
                self.console.finish(starting, "ready", time.monotonic() - began)
                starting = ""
            for task in changes:
                if task.ended:
                    self.console.finish(task.name, task.state, task.seconds)
                else:
                    self.console.begin(task.name)
            if status is not None:
                return status
            time.sleep(_LOOK)


def _metrics(report: Path, *, log: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(report.read_text())["metrics"]
        if not metrics.keys() >= {"iou_threshold", "overall", "per_label"}:
            raise KeyError("overall")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DemoError(f"{report} holds no metrics ({error!r}). The log of the run is {log}.") from None
    return dict(metrics)


def _by_weather(
    server: Server, reports: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return weather -> model -> counts and ratios, in the order in which the weather was recorded."""
    tallies = {model: by_metadata(server, metrics, "weather") for model, metrics in reports.items()}
    return {
        weather.name: {model: tallies[model][weather.name] for model in reports}
        for weather in WEATHERS
        if all(weather.name in values for values in tallies.values())
    }


def _conclude(batch: Batch, table: str, *, work: WorkDir, console: Console) -> None:
    (work.results / "comparison.txt").write_text(table + "\n", encoding="utf-8")
    console.text()
    console.title(f"Result on {batch.dataset_name}")
    console.text(f"\n{table}\n")
    if not batch.originals:
        console.fact(
            f"Overview  {work.sheet} shows a scene of each weather with all boxes; the scenes are rendered"
        )
    console.fact(f"Results   {work.results} has this table and one JSON report per model")
    console.fact(f"Logs      {work.logs}")
    console.fact(f"Serve     {serve_command(work.root)}")
    console.fact(
        f"          keeps this Nucleus running and prints its address; API key: {work.nucleus / 'api-key'}"
    )
    console.text(f"\nDone in {console.elapsed:.0f} s.")
