# Leaves files in the results folder and in folders of its own, one of them behind a link.
mkdir -p "$MAYFLY_RESULTS/tmp" output/model/tmp
echo kept > "$MAYFLY_RESULTS/table.csv"
echo scratch > "$MAYFLY_RESULTS/tmp/table.csv"
echo weights > output/model/weights.bin
echo scratch > output/model/tmp/step.bin
echo notes > output/notes.txt
mkdir -p /tmp/elsewhere-$$ && echo secret > /tmp/elsewhere-$$/table.csv
ln -s /tmp/elsewhere-$$ output/linked
trap 'rm -rf /tmp/elsewhere-$$' EXIT
