"""Gives a coupon to each customer who enters a segment: once, whatever is killed and when.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python consumer.py --bootstrap localhost:9092 --topic segment-entries --database coupons.sqlite

How it does not repeat itself. segmentd writes each entry once, and a record's `messageId` is the same whenever and
wherever it is read. A consumer may still see a record again: killed after it has done something and before it has told
Kafka so. Therefore:

1. the effect and the `messageId` are kept in one transaction of the database; a second time nothing happens;
2. the offset is committed after that, never before: a kill in between repeats the record, it does not lose it.

Where the effect is not in a database of yours (an e-mail, a call of a campaign tool), hand the `messageId` over as the
idempotency key, and do step 2 only once the other side has answered.
"""

import argparse
import json
import signal
import sqlite3

from confluent_kafka import Consumer, KafkaException

SCHEMA = """
CREATE TABLE IF NOT EXISTS coupons (
    message_id TEXT PRIMARY KEY,
    customer   TEXT NOT NULL,
    segment    TEXT NOT NULL,
    entered_at TEXT NOT NULL
)
"""


def give_coupon(database: sqlite3.Connection, message_id: str, entry: dict) -> bool:
    """The effect. True the first time; False: it was done already."""
    with database:  # one transaction, on disk when it ends
        done = database.execute(
            "INSERT OR IGNORE INTO coupons VALUES (?, ?, ?, ?)",
            (message_id, entry["customer"], entry["segment"], entry["at"]),
        )
    return done.rowcount == 1


def handle(database: sqlite3.Connection, value: bytes) -> None:
    call = json.loads(value)
    # The topic also has announcements ("Audience Expiring"), and what later versions may add.
    if call["event"] != "Audience Entered":
        return
    entry = call["properties"]
    first = give_coupon(database, call["messageId"], entry)
    print("given" if first else "again", call["messageId"], flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--bootstrap", default="localhost:9092")
    options.add_argument("--topic", default="segment-entries")
    options.add_argument("--group", default="coupons")
    options.add_argument("--database", default="coupons.sqlite")
    options = options.parse_args()

    database = sqlite3.connect(options.database)
    database.execute("PRAGMA synchronous = FULL")
    database.execute(SCHEMA)
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": options.group,
            "isolation.level": "read_committed",  # what was aborted never happened
            "enable.auto.commit": False,  # step 2 is ours
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,  # how soon its successor takes over from one that was killed
        }
    )
    consumer.subscribe([options.topic])

    running = True

    def stop(*_) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        while running:
            record = consumer.poll(0.5)
            if record is None:
                continue
            if record.error():
                raise KafkaException(record.error())
            handle(database, record.value())
            # A commit a record is the simplest; one for many is faster, and as safe.
            consumer.commit(record, asynchronous=False)
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
