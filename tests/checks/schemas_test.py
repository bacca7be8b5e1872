#!/usr/bin/env python3
"""What `chronoctl schema` prints is true of real files: the golden moments, and a machine that was just made. And it is
not true of everything: each file is refused when a field is missing, is one too many, or has another type."""

import base64
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("CHRONOVISOR-SKIP: python3-jsonschema is not installed")
    sys.exit(77)

CHRONOCTL = sys.argv[1]
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "moments"


def validator(kind: str) -> jsonschema.Draft202012Validator:
    text = subprocess.run([CHRONOCTL, "schema", kind], check=True, capture_output=True, text=True).stdout
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def section_of(document: dict) -> dict:
    """The innermost section that can be spoilt: the document's own, or a state's header."""
    return document.get("header", document)


def spoilt(document: dict) -> list[dict]:
    variants = []
    for spoil in ("missing", "extra", "type", "kind", "version"):
        variant = copy.deepcopy(document)
        section = section_of(variant)
        field = next(iter(section["state"]))
        if spoil == "missing":
            if section["kind"] == "usb-rules":
                continue  # a file of rules may have none
            del section["state"][field]
        elif spoil == "extra":
            section["state"]["teapot"] = 1
        elif spoil == "type":
            section["state"][field] = [None]
        elif spoil == "kind":
            section["kind"] = "teapot"
        else:
            section["version"] = 999
        variants.append(variant)
    return variants


def check(kind: str, files: list[pathlib.Path]) -> int:
    schema = validator(kind)
    for file in files:
        document = json.loads(file.read_text(encoding="utf-8"))
        problem = jsonschema.exceptions.best_match(schema.iter_errors(document))
        assert problem is None, f"{file} does not fit the schema of {kind}: {problem.message} at {problem.json_path}"
        for variant in spoilt(document):
            assert not schema.is_valid(variant), f"the schema of {kind} lets something pass: {file}"
    return len(files)


def states_of(versions: list[pathlib.Path]) -> list[pathlib.Path]:
    states = [one for version in versions for one in version.glob("timeline/moments/*.state")]
    assert states
    return states


def cpu_file(folder: str, state: pathlib.Path) -> pathlib.Path:
    """The CPU of that state as a machine keeps it: what writes one needs KVM."""
    header = json.loads(state.read_text(encoding="utf-8"))["header"]["state"]
    file = pathlib.Path(folder) / "cpu.json"
    kept = {"model": "host", "features": header["cpu"]}
    file.write_text(json.dumps({"kind": "cpu", "version": 1, "state": kept}), encoding="utf-8")
    return file


def working_set_file(folder: str) -> pathlib.Path:
    """What a machine needed first: what writes one needs KVM."""
    file = pathlib.Path(folder) / "moment.set"
    needed = {"blocks": ["ram"], "pieces": {"base64": base64.b64encode(bytes(12)).decode()}}
    file.write_text(json.dumps({"kind": "working-set", "version": 1, "state": needed}), encoding="utf-8")
    return file


def main() -> None:
    versions = sorted(GOLDEN.iterdir())
    assert versions, "there are no golden moments"
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "XDG_DATA_HOME": home, "XDG_RUNTIME_DIR": home}
        subprocess.run(
            [CHRONOCTL, "create", "web", "--new-disk", "1M", "--net", "user"], check=True, env=environment,
            capture_output=True)
        made = list(pathlib.Path(home).glob("chronovisor/machines/*/machine.json"))
        assert len(made) == 1
        checked = check("machine", made)
        checked += check("cpu", [cpu_file(home, states_of(versions)[0])])
        checked += check("working-set", [working_set_file(home)])
        for call in (["usb", "rule", "add", "0951:1666", "--ask"], ["moment", "take", "web", "--name", "off"],
                     ["moment", "export", "web", "off", "--bundle", "--to", f"{home}/bundle"]):
            subprocess.run([CHRONOCTL, *call], check=True, env=environment, capture_output=True)
        rules = list(pathlib.Path(home).rglob("usb.json"))
        assert len(rules) == 1
        checked += check("usb-rules", rules)
        subprocess.run(["tar", "--zstd", "-xf", f"{home}/bundle", "-C", home, "bundle.json", "checksums.json"], check=True)
        checked += check("bundle", [pathlib.Path(home) / "bundle.json"])
        checked += check("checksums", [pathlib.Path(home) / "checksums.json"])
    checked += check("timeline", [version / "timeline/timeline.json" for version in versions])
    checked += check("moment", [one for version in versions for one in version.glob("timeline/moments/*.json")])
    checked += check("state", states_of(versions))
    print(f"{checked} files fit their schemas")


main()
