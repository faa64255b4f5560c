"""Calls the API with the client that `cargo xtask clients` generates: submits a text and waits for its result."""

import os

from ai_mesh_client import AuthenticatedClient
from ai_mesh_client.api.tasks import show_task, submit_task
from ai_mesh_client.models import AcceptedTask, SentimentByText, SentimentTask, Task

client = AuthenticatedClient(base_url=os.environ["AI_MESH_URL"], token=os.environ["AI_MESH_TOKEN"])
task = SentimentTask(type_="sentiment", input_=SentimentByText(text="What a delightful little machine."))
accepted = submit_task.sync(client=client, body=task)
assert isinstance(accepted, AcceptedTask), accepted
done = show_task.sync(accepted.id, client=client, wait=20)
assert isinstance(done, Task), done
assert done.status == "completed", done
print(f"{done.result.label} with score {done.result.score:.3f}")
