"""From NDJSON lines to typed, checked rows, all of a chunk at once.

`parse_objects` fills the temporary table `parsed` of a connection: one row per line with every field a column
and `reason` saying what is wrong with it, or null. Nothing is looked up yet, so no lock is held.

DuckDB reads each line twice, once for the values and once for their JSON types: a value of the wrong type is an
error of its row, never converted in silence (`"label": 5`) and never able to fail the chunk.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.dot_ids import DOT_ID_PROBLEM
from airflow_provider_nucleus.local.annotation_table import (
    GEOMETRY_TYPES,
    STORED_TYPES,
    accepted_names,
    sql_list,
)
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.exact_json import dump_json
from airflow_provider_nucleus.local.store.geometry_rules import COORDINATE_LIMIT, geometry_problem, is_number
from airflow_provider_nucleus.local.store.ingest.ndjson import table_of_lines
from airflow_provider_nucleus.local.store.value_rules import (
    BLANK,
    NUMBERS,
    class_pdf_problem,
    labels_problem,
    segments_problem,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.local.store.catalog.object_sets import Role
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["mark_bad", "parse_objects", "stage_lines", "strict_json", "suspect"]

_TEXT: Final = (
    "type", "label", "reference_id", "item_id", "dataset_id", "annotation_id", "task_id", "track_reference_id",
    "taxonomy_name", "mask_url",
)  # fmt: skip
_JSON: Final = ("metadata", "class_pdf", "embedding_vector", "labels", "annotations")
_ROLES: Final[tuple[Role, ...]] = ("truth", "run", "model")
_COLUMNS: Final = {name: column for kind in STORED_TYPES for name, column in kind.columns.items()}
_MASKS: Final = sql_list(
    name for kind in STORED_TYPES if kind.table == "masks" for name in (kind.name, kind.export_key) if name
)
_LISTED: Final = sql_list(kind.name for kind in STORED_TYPES if kind.labels_field == "labels")
_NAMED: Final = (
    "CASE "
    + "".join(
        f"WHEN v.type = '{kind.export_key}' THEN '{kind.name}' " for kind in STORED_TYPES if kind.export_key
    )
    + "ELSE v.type END"
)
# Where text of the client is kept as it is, it must be JSON to a strict reader too: DuckDB's parser takes NaN,
# integers of thousands of digits and any depth, and Python's, which every client reads with, does not.
_LONG: Final = 300
_SUSPECT: Final = (
    "(regexp_matches({0}, '(?i)nan|inf|e\\+?[0-9]{{3}}') OR (length({0}) > {1} AND "
    "(regexp_matches({0}, '[0-9]{{300}}') OR length({0}) - length(translate({0}, '[{{', '')) > 200)))"
)

_STRUCTURE: Final = json.dumps({
    **dict.fromkeys(_TEXT, "VARCHAR"),
    **dict.fromkeys(_JSON, "JSON"),
    "confidence": "DOUBLE",
    "geometry": dict.fromkeys(_COLUMNS, "DOUBLE"),
})
_PATHS: Final = (
    "$",
    *(f"$.{name}" for name in (*_TEXT, *_JSON, "confidence", "geometry")),
    *(f"$.geometry.{a}" for a in _COLUMNS),
)
_NUMERIC: Final = "('UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT')"


def suspect(column: str) -> str:
    """Return the SQL condition under which a text column must be read by `strict_json` before it is kept."""
    return _SUSPECT.format(column, _LONG)


def _type_of(path: str) -> str:
    return f"t[{_PATHS.index(path) + 1}]"


def _not(path: str, *types: str) -> str:
    return f"coalesce({_type_of(path)}, 'NULL') NOT IN ({', '.join(repr(name) for name in types)})"


def _checks(role: Role) -> list[tuple[str, str]]:
    """Return (condition, reason) pairs; the first that holds is the row's error."""
    mask, accepted = (
        f"v.type IN {_MASKS}",
        accepted_names(predictions=role != "truth", run_free=role == "model"),
    )
    optional = (
        "reference_id",
        "item_id",
        "dataset_id",
        "annotation_id",
        "task_id",
        "track_reference_id",
        "taxonomy_name",
    )
    checks = [
        (_not("$", "OBJECT"), "the row is not a JSON object"),
        (_not("$.type", "VARCHAR"), "type is missing or not a string"),
        (f"v.type NOT IN {sql_list(accepted)}", f"type must be one of {', '.join(accepted)}"),
        *((_not(f"$.{name}", "VARCHAR", "NULL"), f"{name} must be a string or null") for name in optional),
        *(
            (f"v.{name} IN ('.', '..')", f"{name} {DOT_ID_PROBLEM}")
            for name in ("reference_id", "annotation_id", "taxonomy_name")
        ),
        ("v.reference_id IS NULL AND v.item_id IS NULL", "reference_id is missing"),
        *((BLANK.format(f"v.{name}"), f"{name} must not be empty") for name in optional),
        (
            f"{mask} AND ({_not('$.mask_url', 'VARCHAR')} OR {BLANK.format('v.mask_url')})",
            "mask_url must be a non-empty string",
        ),
        (
            f"{mask} AND {_not('$.annotations', 'ARRAY')}",
            "annotations (the segments of the mask) must be a list",
        ),
        (f"v.type IN {_LISTED} AND {_not('$.labels', 'ARRAY')}", "labels must be a list of strings"),
        (
            f"NOT {mask} AND v.type NOT IN {_LISTED} AND {_not('$.label', 'VARCHAR')}",
            "label must be a string",
        ),
        (f"NOT {mask} AND v.type NOT IN {_LISTED} AND {BLANK.format('v.label')}", "label must not be empty"),
        (_not("$.geometry", "OBJECT", "NULL"), "geometry must be an object"),
        (_not("$.metadata", "OBJECT", "NULL"), "metadata must be an object"),
        (
            f"{_not('$.embedding_vector', 'NULL')} AND NOT regexp_full_match(v.embedding_vector::VARCHAR, '{NUMBERS}')",
            "embedding_vector must be a list of numbers, not an empty one, or null",
        ),
    ]
    for kind in STORED_TYPES:
        for axis in kind.columns:
            checks += _number_checks(kind.name, axis, size=axis in kind.sizes)
    if role != "truth":
        number = f"coalesce({_type_of('$.confidence')}, 'NULL') IN {_NUMERIC}"
        wrong = f"{_type_of('$.confidence')} <> 'NULL' AND NOT ({number} AND v.confidence >= 0 AND v.confidence <= 1)"
        checks += [
            (wrong, "confidence must be a number from 0 to 1"),
            (_not("$.class_pdf", "OBJECT", "NULL"), "class_pdf must be an object of label: probability"),
            ("v.class_pdf::VARCHAR = '{}'", "class_pdf must not be empty"),
        ]
    return checks


def _number_checks(kind: str, axis: str, *, size: bool) -> list[tuple[str, str]]:
    """Return the checks of a number of a geometry that becomes a column."""
    found, value = _type_of(f"$.geometry.{axis}"), f"v.geometry.{axis}"
    wrong = f"coalesce({found}, '') NOT IN {_NUMERIC} OR NOT isfinite({value}){f' OR {value} < 0' if size else ''}"
    return [
        (
            f"v.type = '{kind}' AND ({wrong})",
            f"geometry.{axis} must be a finite number{' and at least 0' if size else ''}",
        ),
        (
            f"v.type = '{kind}' AND abs({value}) > {COORDINATE_LIMIT}",
            f"geometry.{axis} is too large for a coordinate: at most {COORDINATE_LIMIT:.0f} either way",
        ),
    ]


def _projection(role: Role) -> str:
    reason = " ".join(f"WHEN {condition} THEN '{text}'" for condition, text in _checks(role))
    text = ", ".join(f"v.{name}" for name in _TEXT if name != "type")
    given = "CASE WHEN v.{0}::VARCHAR NOT IN ('null', '{{}}') THEN v.{0}::VARCHAR END"
    confidence = "v.confidence" if role != "truth" else "NULL::DOUBLE"
    pdf = given.format("class_pdf") if role != "truth" else "NULL::VARCHAR"
    numbers = ", ".join(f"v.geometry.{name} AS {column}" for name, column in _COLUMNS.items())
    return f"""
        SELECT n, {_NAMED} AS type, {text},
            {confidence} AS confidence, {pdf} AS class_pdf,
            {given.format("metadata")} AS metadata, {given.format("embedding_vector")} AS embedding_vector,
            CASE WHEN v.type IN {_LISTED} THEN v.labels::VARCHAR END AS labels,
            CASE WHEN v.type IN {_MASKS} THEN v.annotations::VARCHAR END AS segments,
            {numbers},
            CASE WHEN v.type IN {sql_list(GEOMETRY_TYPES)}
                 THEN json_extract(line, '$.geometry')::VARCHAR END AS geometry,
            CASE {reason} END AS reason
        FROM (SELECT n, line, from_json(line, '{_STRUCTURE}') AS v, json_type(line, {list(_PATHS)}) AS t FROM (
            SELECT n, CASE WHEN json_valid(line) THEN line ELSE 'null' END AS line FROM staged))
    """


_SQL: Final = {role: _projection(role) for role in _ROLES}


def stage_lines(cursor: Cursor, data: bytes, *, first: int) -> int:
    """Register NDJSON as the table `staged` (n, line) of a connection and return how many rows it has."""
    lines = table_of_lines(data, first=first)
    cursor.register("staged", lines)
    return int(lines.num_rows)


def parse_objects(cursor: Cursor, role: Role) -> None:
    """Fill the temporary table `parsed` from `staged`, with the first problem of each row in `reason`."""
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE parsed AS {_SQL[role]}")
    _check_rest(cursor)


def _check_rest(cursor: Cursor) -> None:
    """Check what SQL does not: geometries other than boxes, class_pdf, label lists, segments."""
    reasons: list[tuple[int, str]] = []
    query = cursor.execute(
        f"""SELECT n, type, geometry, class_pdf, labels, segments,
            CASE WHEN {suspect("metadata")} THEN metadata END,
            CASE WHEN {suspect("embedding_vector")} THEN embedding_vector END
        FROM parsed WHERE reason IS NULL AND (geometry IS NOT NULL OR class_pdf IS NOT NULL OR labels IS NOT NULL
            OR segments IS NOT NULL OR type IN {sql_list(GEOMETRY_TYPES)}
            OR {suspect("metadata")} OR {suspect("embedding_vector")})"""
    )
    while batch := query.fetchmany(10_000):
        for n, *row in batch:
            problem = _problem(*row)
            if problem is not None:
                reasons.append((n, problem))
    mark_bad(cursor, reasons)


def mark_bad(cursor: Cursor, reasons: Sequence[tuple[int, str]]) -> None:
    """Write the reasons of rows that turned out to be bad into `parsed`."""
    if not reasons:
        return
    numbers, texts = zip(*reasons, strict=True)
    cursor.execute(
        "UPDATE parsed SET reason = bad.reason FROM "
        "(SELECT unnest(?::BIGINT[]) AS n, unnest(?::VARCHAR[]) AS reason) AS bad WHERE parsed.n = bad.n",
        [list(numbers), list(texts)],
    )


def _problem(
    kind: str,
    geometry: str | None,
    class_pdf: str | None,
    labels: str | None,
    segments: str | None,
    metadata: str | None,
    vector: str | None,
) -> str | None:
    try:
        values = [
            None if text is None else strict_json(text) for text in (geometry, class_pdf, labels, segments)
        ]
        _ = None if metadata is None else strict_json(metadata)
        if vector is not None and not all(map(is_number, strict_json(vector))):
            return "embedding_vector holds a number that is too large"
    except ValueError as error:
        return str(error)
    shape, pdf, names, parts = values
    if kind in GEOMETRY_TYPES and (problem := geometry_problem(kind, shape)):
        return problem
    checked = ((pdf, class_pdf_problem), (names, labels_problem), (parts, segments_problem))
    return next((text for value, check in checked if value is not None and (text := check(value))), None)


def strict_json(text: str) -> Any:
    """Parse JSON; raises ValueError for NaN, Infinity, numbers too large to be one, and what nobody could read back."""
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        if len(text) > _LONG or "\\u" in text:
            dump_json(value)
    except (RecursionError, BadRequestError) as error:
        raise ValueError("the row is nested too deeply") from error
    except TypeError as error:
        raise ValueError(f"the row is not text: {error}") from error
    return value


def _refuse(name: str) -> float:
    raise ValueError(f"the row holds {name}, which is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the row holds {text}, which is too large for a number")
    return value
