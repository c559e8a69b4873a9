"""What every handler can reach: the store, the files, the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.store.database import Database

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.datadir import DataDir
    from airflow_provider_nucleus.local.settings import Settings

__all__ = ["Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one running server."""

    settings: Settings
    folder: DataDir
    db: Database

    @classmethod
    def open(cls, folder: DataDir, settings: Settings) -> Services:
        """Open the store of a locked data directory."""
        db = Database(folder.database, memory_limit=settings.memory_limit, spill=folder.spool / "spill")
        return cls(settings, folder, db)

    def start(self) -> None:
        """Resume unfinished work; called once the server is about to answer."""

    def close(self) -> None:
        """Finish what is running, write everything to disk and release the directory."""
        self.db.close()
        self.folder.close()
