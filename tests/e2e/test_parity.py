"""The same verdict at every gate: what the API server lets in or keeps out is what `tidewaiter lint` says.

Every workload of the examples and of the corpus stands in a file of its own, in one folder. The command line lints
the folder; the API server is asked to apply each object, dry, and asks the webhook, whose inventory is that folder.
"""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.admission import configuration, configured
from tests.e2e.client import Refused
from tests.e2e.conftest import make_namespace
from tests.webhook.running import running, until
from tidewaiter.cli.main import main
from tidewaiter.rules.loading.resources import read_resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.api_server import ApiServer
    from tests.webhook.running import Webhook

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"

POLICY = """
apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {name: parity}
spec:
  profile: production
  kubernetesVersion: "1.37"
  rules:
    # These read the text of a file, or fields that the API server drops before it asks anybody.
    no-duplicate-keys: {enabled: false}
    valid-schema: {enabled: false}
    # An object reaches the webhook in one of the versions that its rules name, whichever it was written in.
    no-deprecated-api: {enabled: false}
    # The API server gives every object a namespace, so that none is without.
    non-default-namespace: {enabled: false}
  admission: {crossResource: deny, unknown: allow, exempt: {builtIn: false}}
"""

Answer = set[tuple[str, str]]
"""Rule and severity of each violation."""


def workloads_of(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.rglob("*.y*ml")):
        for resource in read_resources(file.read_bytes(), str(file)).resources:
            if resource.workload is not None and resource.name and "*" not in resource.name:
                yield resource.object


def write_each(objects: Iterator[dict[str, Any]], folder: Path, namespace: str) -> list[Path]:
    """Write each object into a file, all in one namespace, so that names alone tell them apart.

    The Namespace stands beside them, as in every cluster: what is said of it as a whole is said there.
    """
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    (folder / "namespace.json").write_text(json.dumps(home), encoding="utf-8")
    files = []
    for number, value in enumerate(objects):
        metadata = {**value["metadata"], "namespace": namespace, "name": f"w{number}"}
        file = folder / f"{number:04}.json"
        file.write_text(json.dumps({**value, "metadata": metadata}), encoding="utf-8")
        files.append(file)
    return files


def lint_answers(
    folder: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> dict[str, Answer]:
    """Return what the command line finds in each file of a folder."""
    capsys.readouterr()
    main(["lint", str(folder), "--policy", str(policy), "--format", "json", "--no-cache"])
    report = json.loads(capsys.readouterr().out)
    found: dict[str, Answer] = {}
    for finding in report["findings"]:
        name = Path(finding["location"]["file"]).name
        found.setdefault(name, set()).add((finding["rule"], finding["severity"]))
    return found


@contextmanager
def gate(
    api_server: ApiServer, namespace: str, folder: Path, files: Path, policy: Path
) -> Iterator[Webhook]:
    """Have the API server ask a webhook that knows the files of a folder."""
    folder.mkdir()
    with running(folder, "--policy", str(policy), "--inventory", str(files)) as webhook:
        wanted = configuration(
            f"parity-{secrets.token_hex(4)}",
            [f"https://127.0.0.1:{webhook.port}/validate"],
            (folder / "ca.crt").read_bytes(),
            namespaces=[namespace],
        )
        with configured(api_server, wanted):
            probe = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "probe", "namespace": namespace},
            }

            def is_asked() -> bool:
                api_server.admin.create(probe, dryRun="All")
                return bool(webhook.audit)

            until(is_asked)
            yield webhook


def decision_after(webhook: Webhook, offset: int, name: str) -> Any:
    """Return the last decision on an object that the audit log has behind an offset.

    It is written after the answer; and the API server asks again where it tries again.
    """
    log = webhook.folder / "stdout"
    found: list[Any] = []

    def is_written() -> bool:
        whole = log.read_bytes()[offset:].rpartition(b"\n")[0]
        lines = (json.loads(line) for line in whole.splitlines())
        found[:] = [line for line in lines if line["object"]["name"] == name]
        return bool(found)

    until(is_written)
    return found[-1]


@pytest.mark.parametrize(
    ("folder", "least"),
    [
        (ROOT / "deploy" / "examples", 3),
        (CORPUS / "kube-prometheus", 6),
        (CORPUS / "kubernetes-examples", 90),
        (CORPUS / "pod-security", 400),
        (CORPUS / "seed", 0),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_the_api_server_gives_every_workload_the_verdict_of_lint(
    folder: Path,
    least: int,
    api_server: ApiServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    compare(folder, least, api_server, tmp_path, capsys)


def test_so_does_one_of_the_minor_version_before(
    older_api_server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compare(CORPUS / "kubernetes-examples", 90, older_api_server, tmp_path, capsys)


def compare(
    folder: Path,
    least: int,
    api_server: ApiServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not folder.exists():
        pytest.skip(f"{folder.name} is not there")
    namespace = make_namespace(api_server)
    policy, files = tmp_path / "policy.yaml", tmp_path / "files"
    policy.write_text(POLICY, encoding="utf-8")
    files.mkdir()
    written = write_each(workloads_of(folder), files, namespace)
    expected = lint_answers(files, policy, capsys)
    compared, differing = 0, []
    with gate(api_server, namespace, tmp_path / "webhook", files, policy) as webhook:
        for file in written:
            value = json.loads(file.read_text(encoding="utf-8"))
            seen = (webhook.folder / "stdout").stat().st_size
            is_denied = False
            try:
                api_server.admin.apply(value, dryRun="All")
            except Refused as refused:
                is_denied = "denied the request" in str(refused)
                if not is_denied:
                    continue  # the API server itself refuses it, whatever we say
            except KeyError:
                continue  # a kind that this API server does not have
            line = decision_after(webhook, seen, value["metadata"]["name"])
            answer = {
                (rule["rule"], rule["severity"])
                for rule in line["rules"]
                if rule["status"] == "violation"
            }
            wanted = expected.get(file.name, set())
            compared += 1
            if answer != wanted or is_denied != any(level == "error" for _, level in wanted):
                differing.append((value["kind"], file.name, sorted(answer ^ wanted), is_denied))
    assert differing == []
    assert compared >= least
