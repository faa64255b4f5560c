"""The two calls of the first earlier system, with FastAPI and the jobs in Redis.

    POST /submit {"type": "text", "data": ...} -> {"task_id"}
    GET /status/{task_id} -> {"status": "pending" | "done", "result": {"label", "score"}}

REDIS_URL is the address of Redis. A job is a hash `job:ID` and an entry of the list `jobs`, which worker.py consumes.
"""

import os
import uuid
from typing import Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from redis.asyncio import Redis

app = FastAPI()
redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


class Job(BaseModel):
    type: Literal["text"]
    data: str


@app.post("/submit")
async def submit(job: Job) -> dict:
    task_id = str(uuid.uuid4())
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.hset(f"job:{task_id}", mapping={"type": job.type, "data": job.data, "status": "pending"})
        pipeline.lpush("jobs", task_id)
        await pipeline.execute()
    return {"task_id": task_id}


@app.get("/status/{task_id}")
async def status(task_id: str) -> dict:
    status, label, score = await redis.hmget(f"job:{task_id}", "status", "label", "score")
    if status is None:
        raise HTTPException(404, "there is no such task")
    if status != "done":
        return {"status": status}
    return {"status": status, "result": {"label": label, "score": float(score)}}
