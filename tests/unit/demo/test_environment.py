from __future__ import annotations

from airflow_provider_nucleus.demo.processes import child_environment


def test_settings_of_airflow_and_nucleus_are_left_out(monkeypatch, tmp_path):
    """The user's own Airflow and keys do not reach the children."""
    for name in ("AIRFLOW_HOME", "AIRFLOW__CORE__EXECUTOR", "AIRFLOW_CONN_X", "NUCLEUS_API_KEY"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("LANG", "C.UTF-8")
    environment = child_environment(bytecode=tmp_path)

    assert "mine" not in environment.values()
    assert environment["LANG"] == "C.UTF-8"


def test_loopback_is_kept_from_proxies(monkeypatch, tmp_path):
    """What is already exempt stays exempt."""
    monkeypatch.setenv("NO_PROXY", "intranet")
    environment = child_environment(bytecode=tmp_path)

    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet,127.0.0.1,localhost"


def test_bytecode_goes_aside_where_it_may_not_lie_beside_the_sources(monkeypatch, tmp_path):
    """Otherwise Python's own place is used."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    usual = child_environment(bytecode=tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    aside = child_environment(bytecode=tmp_path)

    assert "PYTHONPYCACHEPREFIX" not in usual
    assert "PYTHONDONTWRITEBYTECODE" not in aside
    assert aside["PYTHONPYCACHEPREFIX"] == str(tmp_path)
