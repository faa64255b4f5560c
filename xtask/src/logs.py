"""Prints the events of the functions' log groups: logs.py FUNCTION|all FOLLOW(0|1). The AWS variables are set."""

import sys
import time

import boto3

PREFIX = "/aws/lambda/"
POLL_SECONDS = 1.0


def main() -> None:
    selected, follow = sys.argv[1], sys.argv[2] == "1"
    logs = boto3.client("logs")
    since = 0
    # The printed events of the newest millisecond, which the next poll returns again.
    printed = set()
    while True:
        for event in sorted(events(logs, selected, since), key=lambda event: event["timestamp"]):
            if event["key"] in printed:
                continue
            if event["timestamp"] > since:
                since = event["timestamp"]
                printed.clear()
            printed.add(event["key"])
            print(event["line"], flush=True)
        if not follow:
            return
        time.sleep(POLL_SECONDS)


def events(logs, selected, since):
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=PREFIX):
        for group in page["logGroups"]:
            name = group["logGroupName"]
            function = name.rsplit("/", 1)[-1]
            if selected not in ("all", function):
                continue
            for found in logs.get_paginator("filter_log_events").paginate(logGroupName=name, startTime=since):
                for event in found["events"]:
                    moment = time.strftime("%H:%M:%S", time.localtime(event["timestamp"] / 1000))
                    yield {
                        "timestamp": event["timestamp"],
                        "key": (name, event["logStreamName"], event["timestamp"], event["message"]),
                        "line": f"{moment} {function:12} {event['message'].rstrip()}",
                    }


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
