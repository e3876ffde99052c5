"""Writing one Parquet file so that it is either wholly there or not at all, and proving it later."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qinglan.core.errors import StoreError
from qinglan.store.catalogue import LakeFile

#: Two DuckDB vectors' worth of row groups: large enough to scan fast, small enough to spread over threads.
ROW_GROUP = 245_760
#: Temporary files begin with this; no reader and no catalogue ever names one.
TEMPORARY = ".writing-"


def folder_of(dataset: str, year: int, month: int) -> str:
    """Folder of a partition, relative to the lake's root.

    >>> folder_of("hours", 2025, 3), folder_of("city_days", 2025, 0)
    ('hours/year=2025/month=03', 'city_days/year=2025')
    """
    return f"{dataset}/year={year:04d}" + (f"/month={month:02d}" if month else "")


def write_file(root: Path, table: pa.Table, target: tuple[str, int, int], added_by: str) -> LakeFile:
    """Write rows (already sorted) as one file of partition `target` (data set, year, month).

    The bytes are on the disk under a temporary name before the file appears under the hash of its content.
    """
    dataset, year, month = target
    folder = root / folder_of(dataset, year, month)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{TEMPORARY}{uuid.uuid4().hex}"
    try:
        pq.write_table(table, temporary, compression="zstd", row_group_size=ROW_GROUP, use_dictionary=True)
        _sync(temporary)
        sha = sha256_of(temporary)
        final = folder / f"{sha[:40]}.parquet"
        size = temporary.stat().st_size
        os.replace(temporary, final)
        _sync(folder)
    except OSError as cause:
        temporary.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write {folder}: {cause}.", remedy="Free some space or mend the rights, then run it again."
        ) from cause
    return LakeFile(
        str(final.relative_to(root)),
        dataset,
        year,
        month,
        table.num_rows,
        size,
        sha,
        content_hash(table),
        added_by,
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def content_hash(table: pa.Table) -> str:
    """SHA-256 of the rows in their order, without `load_id`: the same data give the same hash on any machine.

    >>> a = pa.table({"x": [1.0, None], "load_id": ["l1", "l1"]})
    >>> b = pa.table({"x": [1.0, None], "load_id": ["l2", "l2"]})
    >>> content_hash(a) == content_hash(b), content_hash(a) == content_hash(a.slice(1))
    (True, False)
    """
    digest = hashlib.sha256(str(table.num_rows).encode())
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    for name in sorted(c for c in frame.columns if c != "load_id"):
        column = frame[name]
        digest.update(f"|{name}:{column.dtype}|".encode())
        digest.update(column.is_null().to_numpy().tobytes())
        if column.dtype == pl.String:
            distinct = column.drop_nulls().unique().sort()
            digest.update("\x00".join(distinct.to_list()).encode())
            codes = column.cast(pl.Enum(distinct)).to_physical().cast(pl.UInt32)
            digest.update(codes.fill_null(0).to_numpy().tobytes())
        else:
            digest.update(column.to_physical().fill_null(0).to_numpy().tobytes())
    return digest.hexdigest()


def problems_of(root: Path, entry: LakeFile, schema: pa.Schema) -> list[str]:
    """What is wrong with a file that the catalogue names; empty when it is as it was written."""
    path = root / entry.path
    if not path.exists():
        return [f"{entry.path}: named in the catalogue but not on the disk"]
    size = path.stat().st_size
    if size != entry.bytes:
        return [f"{entry.path}: {size} bytes, the catalogue says {entry.bytes}"]
    if (sha := sha256_of(path)) != entry.sha256:
        return [f"{entry.path}: SHA-256 {sha[:12]}…, the catalogue says {entry.sha256[:12]}…"]
    found = pq.read_schema(path)
    if not found.equals(schema):
        return [f"{entry.path}: its columns are not those of {entry.dataset}: {found.names}"]
    rows = pq.read_metadata(path).num_rows
    return [] if rows == entry.rows else [f"{entry.path}: {rows} rows, the catalogue says {entry.rows}"]
