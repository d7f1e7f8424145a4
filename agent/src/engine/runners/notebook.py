"""Executes a notebook: `FILE [NAME=VALUE…]`. The values follow the cell that is tagged `parameters`, else they come first. The
executed notebook is saved in $MAYFLY_RESULTS, also when a cell fails."""

import json
import os
import re
import sys
import tempfile

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def parameters(given):
    lines = []
    for pair in given:
        name, sign, text = pair.partition("=")
        if not sign or not name.isidentifier():
            sys.exit(f"{pair!r} is not NAME=VALUE")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        lines.append(f"{name} = {value!r}")
    return "\n".join(lines)


def with_parameters(notebook, source):
    tagged = [n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]})
    notebook.cells.insert(tagged[0] + 1 if tagged else 0, cell)


def kernel(folder):
    """This very interpreter, whatever kernels the machine has."""
    place = os.path.join(folder, "kernels", "this")
    os.makedirs(place)
    # It says that others could listen, were they on this machine's loopback and root.
    quiet = "--IPKernelApp.log_level=ERROR"
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", quiet]
    with open(os.path.join(place, "kernel.json"), "w") as file:
        json.dump({"argv": argv, "display_name": "this", "language": "python"}, file)
    os.environ["JUPYTER_PATH"] = folder
    os.environ["JUPYTER_RUNTIME_DIR"] = folder
    os.environ["IPYTHONDIR"] = os.path.join(folder, "ipython")


def show(cell, cell_index, **_):
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            print(output.text, end="", flush=True)
        elif output.output_type in ("execute_result", "display_data") and "text/plain" in output.data:
            print(output.data["text/plain"], flush=True)


def main(file, *given):
    notebook = nbformat.read(file, as_version=4)
    if given:
        with_parameters(notebook, parameters(given))
    saved = os.path.join(os.environ["MAYFLY_RESULTS"], os.path.basename(file))
    with tempfile.TemporaryDirectory() as folder:
        kernel(folder)
        client = NotebookClient(notebook, kernel_name="this", timeout=None, on_cell_executed=show)
        try:
            client.execute(cwd=os.getcwd())
        except CellExecutionError as error:
            sys.exit(re.sub(r"\x1b\[[0-9;]*m", "", str(error)))
        finally:
            nbformat.write(notebook, saved)


if __name__ == "__main__":
    main(*sys.argv[1:])
