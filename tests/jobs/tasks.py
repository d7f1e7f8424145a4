"""What Celery's workers do, and one that says where."""

import os

import celery

app = celery.Celery("tasks", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])


@app.task
def square(number):
    return number * number, os.environ["MAYFLY_NODE"]
