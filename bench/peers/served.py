"""A server of `./jneox serve` for the other scripts of this folder."""
import contextlib
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
JNEOX = ROOT / "jneox"


@contextlib.contextmanager
def served(model):
    """Serves a model on a free port, and yields the address of the API."""
    server = subprocess.Popen(
        [JNEOX, "serve", "--model", f"peer={model}", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = []
        for line in server.stdout:
            said.append(line)
            ready = re.match(r"ready in .*?(http://\S+?),? ", line)
            if ready:
                break
        else:
            raise SystemExit("jneox serve ended:\n" + "".join(said))
        yield ready.group(1) + "/v1"
    finally:
        server.terminate()
        server.wait(60)
