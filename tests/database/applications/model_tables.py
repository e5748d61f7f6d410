"""Make the tables of an application from its SQLAlchemy models or its migrations: python model_tables.py prefect URL."""

import sys

from sqlalchemy import create_engine


def main() -> None:
    application, url = sys.argv[1:]
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    if application == "mlflow":
        from mlflow.store.db.utils import _initialize_tables

        _initialize_tables(engine)
        return
    if application == "optuna":
        from optuna.storages._rdb.models import BaseModel as Base
    else:
        from prefect.server.database.orm_models import Base
    seen: set[str] = set()
    for table in Base.metadata.tables.values():
        for index in list(table.indexes):
            # Trigram indexes need an extension; and some names stand twice in the models, of which migrations make one.
            if index.dialect_options["postgresql"].get("using") == "gin" or str(index.name) in seen:
                table.indexes.discard(index)
            seen.add(str(index.name))
    Base.metadata.create_all(engine)


if __name__ == "__main__":
    main()
