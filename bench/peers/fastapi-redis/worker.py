"""Runs the jobs of app.py one by one with the model of the sentiment tasks, on one thread.

    worker.py ASSETS, with REDIS_URL set and the folder of peer.py on PYTHONPATH
"""

import math
import os
import sys
from pathlib import Path

from peer import Sentiment
from redis import Redis


def main() -> None:
    model = Sentiment(Path(sys.argv[1]))
    # The client's default timeout of 5 s would end the wait for a job.
    redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, socket_timeout=None)
    while True:
        _, task_id = redis.brpop("jobs")
        text = redis.hget(f"job:{task_id}", "data")
        positive = 1 / (1 + math.exp(-float(model.logits([text]).ravel()[0])))
        label = "POSITIVE" if positive >= 0.5 else "NEGATIVE"
        score = max(positive, 1 - positive)
        redis.hset(f"job:{task_id}", mapping={"status": "done", "label": label, "score": score})


if __name__ == "__main__":
    main()
