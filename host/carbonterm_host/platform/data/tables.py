"""Tables of data management, and the metadata of all of the store's tables.

A *context* is what holds from an entry of a log on: the site document in force and the device that runs it. Each point
and source of it is a row of `subjects`, which says where its figures come from; every figure refers to one of them.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

# what is known of every figure (9.2), none of it empty: data source, device, sensor models, processing method,
# accounting model, analysis parameters; its collection time is the figure's own
DESCRIPTION = ("origin", "device", "sensor", "processing", "model", "parameters")

schema = Table("schema", metadata, Column("version", Integer, nullable=False))

contexts = Table(
    "contexts", metadata,
    Column("log", ForeignKey("logs.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),  # of the entry it begins with
    Column("config", BigInteger, nullable=False),  # seq of the entry with the site document
    Column("digest", LargeBinary, nullable=False),  # SM3 of the site document
    Column("version", BigInteger, nullable=False),  # of the site document; 0: it cannot be read
    Column("device", Text, nullable=False),
    Column("points", Integer, nullable=False),  # how many subjects there are of closings
    Column("sources", Integer, nullable=False),  # and of emissions
)  # fmt: skip

subjects = Table(
    "subjects", metadata,
    Column("log", Integer, primary_key=True),
    Column("context", BigInteger, primary_key=True),
    Column("kind", Integer, primary_key=True),  # closing: a point, emission: a source
    Column("subject", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("unit", Text, nullable=False),
    *(Column(name, Text, CheckConstraint(f"length({name}) > 0"), nullable=False) for name in DESCRIPTION),
    ForeignKeyConstraint(("log", "context"), ("contexts.log", "contexts.seq")),
    Index("subjects_by_name", "log", "kind", "name"),
)  # fmt: skip

# reports of backups and checks of integrity
upkeep = Table(
    "upkeep", metadata,
    Column("id", Integer, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # backup, check
    Column("ok", Integer, nullable=False),
    Column("report", Text, nullable=False),  # JSON
    Index("upkeep_by_kind", "kind", "id"),
)  # fmt: skip

certifications = Table(
    "certifications", metadata,
    Column("id", Integer, primary_key=True),
    Column("log", ForeignKey("logs.id"), nullable=False),  # the last epoch that was verified
    Column("time_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("ok", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # SM3 of the bundle
    Column("body", LargeBinary, nullable=False),  # what the platform signed (docs/platform_data.md)
    Column("signature", LargeBinary, nullable=False),
)  # fmt: skip
