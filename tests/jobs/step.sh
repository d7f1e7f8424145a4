# One step of several: says which, and ends as it is told.
echo "$1" >> "$MAYFLY_RESULTS/steps.txt"
exit "$2"
