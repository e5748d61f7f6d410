"""Make the tables of an application from its SQLAlchemy models or its migrations: python model_tables.py prefect URL."""

import importlib
import pkgutil
import sys
from typing import Any

from sqlalchemy import create_engine


def optuna() -> Any:
    from optuna.storages._rdb.models import BaseModel

    return BaseModel.metadata


def prefect() -> Any:
    from prefect.server.database.orm_models import Base

    return Base.metadata


def buildbot() -> Any:
    from buildbot.db.model import Model

    return Model.metadata


def airflow() -> Any:
    from airflow import models
    from airflow.models.base import Base

    models.import_all_models()
    return Base.metadata


def keystone() -> Any:
    import keystone
    from keystone.common.sql.core import ModelBase

    for module in pkgutil.walk_packages(keystone.__path__, "keystone."):
        if ".backends.sql" in module.name:
            importlib.import_module(module.name)
    return ModelBase.metadata


METADATA = {each.__name__: each for each in (optuna, prefect, buildbot, airflow, keystone)}


def main() -> None:
    application, url = sys.argv[1:]
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    if application == "mlflow":
        from mlflow.store.db.utils import _initialize_tables

        _initialize_tables(engine)
        return
    metadata = METADATA[application]()
    seen: set[str] = set()
    for table in metadata.tables.values():
        for index in list(table.indexes):
            # Trigram indexes need an extension; and some names stand twice in the models, of which migrations make one.
            if index.dialect_options["postgresql"].get("using") == "gin" or str(index.name) in seen:
                table.indexes.discard(index)
            seen.add(str(index.name))
    metadata.create_all(engine)


if __name__ == "__main__":
    main()
