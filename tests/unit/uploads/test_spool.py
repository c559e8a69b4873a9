"""Chunks: how rows are cut, digests that mean what was sent, bodies that are stretches of a file."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.client.uploads.check.spool import NdjsonBlock, Spool, SpoolWriter
from airflow_provider_nucleus.exceptions import NucleusUploadError


def spool(folder, batches, *, rows=3, salt="s", is_known=lambda _: False, size=10**9) -> Spool:
    with SpoolWriter(
        folder / "spool", chunk_rows=rows, salt=salt, is_known=is_known, chunk_bytes=size
    ) as writer:
        for batch in batches:
            writer.write(NdjsonBlock(b"".join(batch), len(batch)))
        return writer.finish()


LINES = st.lists(st.integers(0, 10**6).map(lambda n: b"%d\n" % n), max_size=40)


@given(st.lists(LINES, max_size=6), st.integers(1, 9), st.integers(8, 60))
@settings(max_examples=60, deadline=None)
def test_every_row_is_in_exactly_one_chunk(tmp_path_factory, batches, rows, size):
    """In order, within both limits, however the rows arrive; and the body of a chunk is its lines."""
    made = spool(tmp_path_factory.mktemp("s"), batches, rows=rows, size=size)
    everything = [line for batch in batches for line in batch]

    assert [line + b"\n" for chunk in made.chunks for line in made.lines(chunk)] == everything
    assert made.rows == len(everything)
    for chunk in made.chunks:
        content = made.content(chunk)
        body = b"".join(content.chunks())
        assert 0 < chunk.rows <= rows
        assert len(body) == content.size <= size
        assert body.count(b"\n") == chunk.rows


@given(st.lists(LINES, max_size=4), st.data())
@settings(max_examples=40, deadline=None)
def test_batches_do_not_show_in_digests(tmp_path_factory, batches, data):
    """The same rows give the same chunks however the source batches them, so a retry recognises them."""
    everything = [line for batch in batches for line in batch]
    cut = data.draw(st.integers(0, len(everything)))
    one = spool(tmp_path_factory.mktemp("s"), batches)
    other = spool(tmp_path_factory.mktemp("s"), [everything[:cut], everything[cut:]])

    assert one.chunks == other.chunks


def test_digests_tell_content_and_settings_apart(tmp_path):
    """Another row, another order or another target is another chunk."""
    lines = [b"1\n", b"2\n", b"3\n"]
    digests = {
        spool(tmp_path, [lines]).chunks[0].digest,
        spool(tmp_path, [lines[::-1]]).chunks[0].digest,
        spool(tmp_path, [[b"1\n", b"2\n", b"4\n"]]).chunks[0].digest,
        spool(tmp_path, [lines], salt="other").chunks[0].digest,
    }

    assert len(digests) == 4


def test_what_the_server_has_is_not_kept_on_disk(tmp_path):
    """A chunk that was accepted before costs no disk, and the others still read right."""
    batches = [[b"%d\n" % n for n in range(10)]]
    full = spool(tmp_path, batches)
    known = {full.chunks[0].digest, full.chunks[2].digest}
    rest = spool(tmp_path, batches, is_known=known.__contains__)

    assert [chunk.to_send for chunk in rest.chunks] == [False, True, False, True]
    assert [chunk.rows for chunk in rest.chunks] == [3, 3, 3, 1]
    assert [list(rest.lines(chunk)) for chunk in rest.chunks if chunk.to_send] == [[b"3", b"4", b"5"], [b"9"]]
    assert rest.path.stat().st_size == 8


@pytest.mark.parametrize("batches", [1, 2, 5])
def test_a_disk_that_is_full_is_said_and_nothing_passes_for_written(tmp_path, monkeypatch, batches):
    """Whether the write that fails is the last one or is followed by others: an error that says where, and what to do."""
    writer = SpoolWriter(tmp_path / "spool", chunk_rows=100, salt="", is_known=lambda _: False)

    class Full:
        closed = False

        def write(self, data):
            raise OSError(28, "No space left on device")

        def close(self):
            Full.closed = True

    writer._file.close()
    monkeypatch.setattr(writer, "_file", Full())

    def write_all():
        with writer:
            for _ in range(batches):
                writer.write(NdjsonBlock(b"1\n", 1))
            writer.finish()

    with pytest.raises(NucleusUploadError, match=r"No space left on device.* Nothing .* was sent.*TMPDIR"):
        write_all()
    assert Full.closed
