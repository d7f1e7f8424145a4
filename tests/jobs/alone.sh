# Any program, on one machine. Its first attempt then waits for ever; the next one ends.
set -eu
echo "attempt $MAYFLY_ATTEMPT with $1"
echo "$MAYFLY_NODE" > "$MAYFLY_RESULTS/attempt-$MAYFLY_ATTEMPT.txt"
echo "$MAYFLY_NODE" > "$GATE/.part" && mv "$GATE/.part" "$GATE/attempt-$MAYFLY_ATTEMPT"
if [ "$MAYFLY_ATTEMPT" = 1 ]; then
    while [ ! -e "$GATE/never" ]; do sleep 0.1; done
fi
