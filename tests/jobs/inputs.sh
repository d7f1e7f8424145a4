# What every node has before the job starts.
set -eu
cd "$MAYFLY_INPUTS"
find . -type f | sort > "$MAYFLY_RESULTS/names.txt"
cat given/a.txt given/deep/b.txt put > "$MAYFLY_RESULTS/all.txt"
