"""Prints what it must not, and waits for the test to look around meanwhile."""

import hashlib
import os

import gate

for name in ["OF_ENV", "OF_FILE", "OF_CONSUL", "OF_SSM", "OF_SECRETSMANAGER"]:
    print(name, "is", os.environ[name], flush=True)
    (gate.RESULTS / name).write_text(hashlib.sha256(os.environ[name].encode()).hexdigest())
gate.say("told")
gate.wait("go")
