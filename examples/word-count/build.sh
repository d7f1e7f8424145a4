#!/bin/sh
# Compiles WordCount.scala to word-count.jar, or to the file that is named, with the Scala compiler that Spark ships. The
# same source and Spark give the same bytes, so `build.sh --check` can tell whether the committed jar is what this source
# makes.
# Needs Java 17 and SPARK_HOME, or a `python3` (PYTHON=...) with pyspark.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
spark=${SPARK_HOME:-$("$python" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

"${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "$spark/jars/*" scala.tools.nsc.Main -usejavacp -release:17 -deprecation -Werror -d "$out" WordCount.scala

# Not `jar`: it is missing from a JRE, and it writes today's date. Stored, since compressors differ in their bytes.
"$python" - "$out" <<'PACK'
import sys, zipfile
from pathlib import Path

out = Path(sys.argv[1])
files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.class")}
manifest = {"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\nMain-Class: WordCount\r\n\r\n"}
with zipfile.ZipFile(out / "word-count.jar", "w") as jar:
    for name, body in (manifest | dict(sorted(files.items()))).items():
        entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16
        jar.writestr(entry, body)
PACK

if [ "${1-}" = --check ]; then
    cmp "$out/word-count.jar" word-count.jar && echo "word-count.jar is what WordCount.scala makes"
else
    cp "$out/word-count.jar" "${1-word-count.jar}"
fi
