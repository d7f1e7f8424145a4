"""The image's scripts against real servers: what is fetched is what was pinned, and a deadline is not missed."""

import hashlib
import http.server
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

HERE = pathlib.Path(__file__).parent
URL = "https://example.org/a/b.jar"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Fetch(unittest.TestCase):
    """`fetch`, with a folder as the mirror."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.file = self.folder / "got.jar"
        source = self.folder / "mirror/example.org/a/b.jar"
        source.parent.mkdir(parents=True)
        source.write_bytes(b"whole")

    def fetch(self, pin, url=URL):
        script = '. "$1"; fetch "$2" "$3" "$4"; echo after'
        command = ["bash", "-euc", script, "bash", HERE / "lib/fetch.sh", url, pin, self.file]
        mirror = {"MAYFLY_MIRROR": f"file://{self.folder}/mirror"}
        return subprocess.run(command, env=os.environ | mirror, capture_output=True, text=True, timeout=30)

    def refused(self, said, *args):
        done = self.fetch(*args)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(said, done.stderr)
        self.assertNotIn("after", done.stdout)
        self.assertEqual(list(self.folder.glob("got*")), [])

    def test_what_is_as_pinned_is_there(self):
        done = self.fetch(sha256(b"whole"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.file.read_bytes(), b"whole")

    def test_another_content_is_refused_and_removed(self):
        self.refused("not the pinned " + sha256(b"other"), sha256(b"other"))

    def test_a_missing_or_odd_pin_is_refused(self):
        self.refused("is missing", "")
        self.refused("64 hex digits", "abc")
        self.refused("64 hex digits", sha256(b"whole").upper())

    def test_a_missing_file_is_refused(self):
        self.refused("cannot download", sha256(b"whole"), URL + "x")


class Pins(unittest.TestCase):
    def test_the_template_has_the_versions_of_the_pins(self):
        pins = dict(re.findall(r"^(\w+)=\$\{\w+:-(.+)\}$", (HERE / "pins.env").read_text(), re.M))
        template = re.findall(r'variable "(\w+_version)" \{[^}]*?default\s+= "(.+)"', (HERE / "image.pkr.hcl").read_text())
        self.assertEqual({name.upper(): version for name, version in template}, pins)
        self.assertEqual(len(pins), 4)


class Metadata(http.server.BaseHTTPRequestHandler):
    """IMDSv2 with the tags of a run's deadline and of a server; its clock is `server.now`."""

    def date_time_string(self, timestamp=None):
        return format_datetime(self.server.now, usegmt=True)

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        ours = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer(200 if ours else 400, "the-token")

    def do_GET(self):
        if self.headers["X-aws-ec2-metadata-token"] != "the-token":
            self.answer(401, "")
        elif self.path == "/latest/meta-data/tags/instance/mayfly:deadline" and self.server.tag:
            self.answer(200, self.server.tag)
        elif self.path == "/latest/meta-data/tags/instance/mayfly:control" and self.server.control:
            self.answer(200, self.server.control)
        else:
            self.answer(404, "<html>404 - Not Found</html>")

    def log_message(self, *_):
        pass


def metadata(tag, now):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    server.tag, server.control, server.now = tag, None, now
    return server


class PastDeadline(unittest.TestCase):
    """`past-deadline`, with a metadata service that has a clock of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.kept = pathlib.Path(folder.name)
        # Two hours from this machine's clock, which must not matter.
        self.server = metadata(None, datetime.now(timezone.utc) + timedelta(hours=2))
        self.addCleanup(self.server.server_close)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.addCleanup(self.server.shutdown)

    def deadline(self, seconds):
        self.server.tag = (self.server.now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def past(self, script=HERE / "bin/past-deadline"):
        own = {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:%d" % self.server.server_address[1],
            "RUNTIME_DIRECTORY": str(self.kept),
        }
        done = subprocess.run([script], env=os.environ | own, capture_output=True, text=True, timeout=30)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.returncode == 0

    def test_a_deadline_to_come_is_not_past(self):
        self.deadline(60)
        self.assertFalse(self.past())

    def test_the_agent_has_some_minutes_after_the_deadline(self):
        self.deadline(-120)
        self.assertFalse(self.past())

    def test_a_deadline_is_past_after_that(self):
        self.deadline(-240)
        self.assertTrue(self.past())

    def test_a_deadline_is_remembered_when_the_metadata_fails(self):
        self.deadline(-240)
        self.past()
        self.server.tag = None
        self.assertTrue(self.past())

    def test_a_longer_deadline_takes_the_place_of_the_old_one(self):
        self.deadline(-240)
        self.past()
        self.deadline(60)
        self.assertFalse(self.past())

    def aged(self):
        """The same script on a machine that has been up for longer than any run."""
        script = self.kept / "aged"
        text = (HERE / "bin/past-deadline").read_text()
        old = "uptime_secs=$(cut -d . -f 1 /proc/uptime)"
        self.assertIn(old, text)
        script.write_text(text.replace(old, "uptime_secs=$((8 * 86400))"))
        script.chmod(0o755)
        return script

    def test_a_machine_without_a_deadline_that_outlives_every_run_is_past(self):
        self.assertTrue(self.past(self.aged()))
        self.server.control = "../x"
        self.assertTrue(self.past(self.aged()))

    def test_the_server_of_a_team_is_left_alone_however_old_it_is(self):
        self.server.control = "default"
        self.assertFalse(self.past(self.aged()))
        # Also when its metadata fails later.
        self.server.control = None
        self.assertFalse(self.past(self.aged()))

    def test_a_deadline_goes_before_the_tag_of_a_server(self):
        self.server.control = "default"
        self.deadline(-240)
        self.assertTrue(self.past())

    def test_no_deadline_or_an_odd_one_is_not_past(self):
        for tag in [None, "", "tomorrow", "2020-01-01", "2020-01-01T00:00:00+01:00", "$(touch x)", "2020-13-01T00:00:00Z"]:
            self.server.tag = tag
            self.assertFalse(self.past(), tag)


def serve(tag):
    """For machines that are booted in a container: says its port, and answers until it is stopped."""
    server = metadata(tag, datetime.now(timezone.utc))
    print(server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        unittest.main()
