"""The demonstration from beginning to end: batches, a Nucleus, an Airflow, runs of an example DAG, tables."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.demo.airflow_home import EVALUATE_DAG, GATED_DAG, AirflowHome, find_dags
from airflow_provider_nucleus.demo.coco_batch import coco_batch, coco_numbers
from airflow_provider_nucleus.demo.coco_folder import CocoFolder, find_coco
from airflow_provider_nucleus.demo.dag_runs import DagRuns
from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.demo.judged_days import models_by_weather, read_day, whole_of
from airflow_provider_nucleus.demo.processes import Children
from airflow_provider_nucleus.demo.remarks import remarks
from airflow_provider_nucleus.demo.rendered_batch import (
    DAYS,
    DETECTORS,
    FRAMES,
    SEED,
    detect,
    render,
    write_batch,
)
from airflow_provider_nucleus.demo.scenes.weather import WEATHERS
from airflow_provider_nucleus.demo.server import start_server
from airflow_provider_nucleus.demo.sheet import write_sheet
from airflow_provider_nucleus.demo.table import batch_table, comparison
from airflow_provider_nucleus.demo.trend import batch_series, trend_lines
from airflow_provider_nucleus.demo.verdict_lines import verdict_lines
from airflow_provider_nucleus.demo.work_dir import WorkDir, opened, serve_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from subprocess import Popen

    from airflow_provider_nucleus.coco.objects import Shape
    from airflow_provider_nucleus.demo.batch import Batch
    from airflow_provider_nucleus.demo.console import Console
    from airflow_provider_nucleus.demo.judged_days import JudgedDay
    from airflow_provider_nucleus.demo.server import Server

__all__ = ["Options", "run_demo"]

_CANDIDATES = (
    ("background-relative", "fixed-threshold"),
    ("fixed-threshold", "background-relative"),
)
"""Detectors that are judged, each as the one that would replace the other."""


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
    dag_id = EVALUATE_DAG if options.data else GATED_DAG
    dags = find_dags(options.dags, dag_id=dag_id)
    coco = find_coco(options.data) if options.data else None
    with opened(options.work_dir, data=options.data) as work, Children() as children:
        airflow = AirflowHome(work.airflow, dags=dags, logs=work.logs, bytecode=work.bytecode)
        began = time.time()
        migration = None if airflow.migrated else airflow.start_migration(children)
        runner = None if migration else airflow.start_runner(children)
        found = (
            [_found(coco, options, work, console=console)]
            if coco
            else _rendered(options, work, console=console)
        )
        numbers = coco_numbers(coco, found[0], iou_threshold=options.iou_threshold) if coco else None
        console.title("Starting the embedded Nucleus")
        server = start_server(children, work.nucleus, log=work.logs / "nucleus.log", bytecode=work.bytecode)
        console.fact(
            f"{server.endpoint}, fresh data in {work.nucleus}, API key in {work.nucleus / 'api-key'}"
        )
        if migration:
            _await_migration(airflow, migration, began=began, console=console)
        runs = DagRuns(
            dags / f"{dag_id}.py",
            runner=runner or airflow.start_runner(children),
            database=airflow.database,
            server=server,
            console=console,
            verbose=options.verbose,
        )
        if numbers is not None:
            text = _evaluated(runs, found[0], numbers, options=options, work=work)
        else:
            text = _judged(runs, found, server, options=options, work=work, console=console)
        children.stop(server.process)
        _conclude(found[0], text, work=work, console=console)


def _found(coco: CocoFolder, options: Options, work: WorkDir, *, console: Console) -> Batch:
    console.title(f"Reading {coco.root}")
    batch = coco_batch(coco, work.batch, shape=options.shape)
    for fact in batch.facts:
        console.fact(fact)
    return batch


def _rendered(options: Options, work: WorkDir, *, console: Console) -> list[Batch]:
    console.title("Rendering three days of a yard and a loading dock, from fair weather to foul")
    began = time.monotonic()
    console.begin("scenes")
    shots = render(work.pictures, frames=options.frames, seed=options.seed, days=DAYS)
    console.finish("scenes", f"{len(shots)} pictures", time.monotonic() - began)
    pictures = [(shot.scene.camera, shot.path) for shot in shots]
    found = {}
    for name, detector in DETECTORS.items():
        began = time.monotonic()
        console.begin(name)
        found[name] = detect(pictures, detector)
        console.finish(name, f"{sum(map(len, found[name]))} boxes", time.monotonic() - began)
    write_sheet(work.sheet, shots, found)
    batches = []
    for day in DAYS:
        numbers = [number for number, shot in enumerate(shots) if shot.date == day.date]
        batches.append(
            write_batch(
                work.batch / day.date,
                [shots[number] for number in numbers],
                {name: [per_shot[number] for number in numbers] for name, per_shot in found.items()},
            )
        )
    for batch in batches:
        for fact in batch.facts:
            console.fact(fact)
    console.fact(
        "Rendered by this package: no photographs, and their boxes are exact; the detectors see pixels only."
    )
    return batches


def _await_migration(
    airflow: AirflowHome, migration: Popen[bytes], *, began: float, console: Console
) -> None:
    """Wait for the migration, which *began* at that time (seconds of the wall clock) and ran while scenes were drawn."""
    console.title("Preparing Airflow's database (SQLite; kept for the next run)")
    console.begin("airflow db migrate")
    airflow.finish_migration(migration.wait())
    console.finish("airflow db migrate", "success", airflow.migration_log.stat().st_mtime - began)


def _evaluated(
    runs: DagRuns, batch: Batch, numbers: dict[str, Any], *, options: Options, work: WorkDir
) -> str:
    """Evaluate each model of a COCO folder and return the comparison."""
    reports = {}
    for model in batch.models:
        report, log = work.results / f"{model.name}.json", work.logs / f"dag-{model.name}.log"
        conf = batch.conf(model, iou_threshold=options.iou_threshold, report=report)
        runs.run(conf, what=model.name, log=log)
        reports[model.name] = _metrics(report, log=log)
    table = comparison(
        reports, coco=numbers["models"], overlap="OKS" if batch.shape == "keypoints" else "IoU"
    )
    return "\n".join([table, *remarks(numbers)])


def _metrics(report: Path, *, log: Path) -> dict[str, Any]:
    try:
        found = json.loads(report.read_text())
        metrics = found["metrics"]
        if not metrics.keys() >= {"iou_threshold", "overall"}:
            raise KeyError("overall")
        # The task's result has the labels that fit it, the measurement all of them.
        labels = {label: part["values"] for label, part in found["measurement"]["per_label"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DemoError(f"{report} holds no metrics ({error!r}). The log of the run is {log}.") from None
    return dict(metrics) | {"per_label": labels, "labels": len(labels)}


def _judged(
    runs: DagRuns,
    batches: Sequence[Batch],
    server: Server,
    *,
    options: Options,
    work: WorkDir,
    console: Console,
) -> str:
    """Run the judging DAG for each day, show its verdicts, and return the tables of all of them."""
    days: list[JudgedDay] = []
    for batch in batches:
        folder = work.results / batch.name
        folder.mkdir()
        conf = batch.gated_conf(
            _CANDIDATES, iou_threshold=options.iou_threshold, folder=folder, by_metadata=["weather"]
        )
        runs.run(
            conf, what=batch.name, log=work.logs / f"dag-{batch.name}.log", words=_WORDS, brief=bool(days)
        )
        days.append(
            read_day(
                batch.name,
                folder,
                models=[model.name for model in batch.models],
                candidates=[candidate for candidate, _ in _CANDIDATES],
            )
        )
        for candidate, baseline in _CANDIDATES:
            for line in verdict_lines(
                days[-1].judgements[candidate].verdict, candidate=candidate, baseline=baseline
            ):
                console.fact(line)
    return _report(days, batches, server)


_WORDS = {"gate": {"success": "passed", "skipped": "stopped"}, "deploy": {"success": "deployed"}}


def _report(days: Sequence[JudgedDay], batches: Sequence[Batch], server: Server) -> str:
    models = [model.name for model in batches[0].models]
    dataset_id = days[0].measurements[models[0]].subject.dataset_id
    whole = {model: whole_of(days, model) for model in models}
    table = comparison(
        whole, cuts={"weather": models_by_weather(days, models, [weather.name for weather in WEATHERS])}
    )
    each = {day.name: {model: whole_of([day], model)["overall"] for model in models} for day in days}
    verdicts = {day.name: {model: day.verdict_of(model) for model in models} for day in days}
    width = max(map(len, models))
    return "\n".join([
        "Each day on its own, and whether its gate let the model replace the other one",
        "",
        *batch_table(each, verdicts=verdicts),
        "",
        "Trend of F1, from the server's history",
        "",
        *trend_lines(batch_series(server, str(dataset_id)), models),
        "",
        f"The {len(days)} days together",
        "",
        table,
        "",
        "Reports of the gates, to open in a browser",
        "",
        *(
            f"  {day.name}  {model:<{width}}  {day.verdict_of(model):<22}  {path}"
            for day in days
            for model, path in day.reports.items()
        ),
    ])


def _conclude(batch: Batch, text: str, *, work: WorkDir, console: Console) -> None:
    (work.results / "comparison.txt").write_text(text + "\n", encoding="utf-8")
    console.text()
    console.title(f"Result on {batch.dataset_name}")
    console.text(f"\n{text}\n")
    if not batch.originals:
        console.fact(
            f"Overview  {work.sheet} shows a scene of each weather with all boxes; the scenes are rendered"
        )
    console.fact(
        f"Results   {work.results} has these tables and "
        + ("one JSON report per model" if batch.originals else "what each gate had as evidence, by day")
    )
    console.fact(f"Logs      {work.logs}")
    console.fact(f"Serve     {serve_command(work.root)}")
    console.fact(
        f"          keeps this Nucleus running and prints its address; API key: {work.nucleus / 'api-key'}"
    )
    console.text(f"\nDone in {console.elapsed:.0f} s.")
